"""Attention over sequences of different lengths in one forward pass, with their keys and values in cells.

transformers calls an attention function of ours in every layer, by the interface that it has for such functions. The
rows of a step belong to several sequences; each row sees the cells of its own sequence up to its own position. Rows
that decode are computed together, padded to the longest of a group of similar lengths; longer runs of rows (prompts)
one run at a time. Nothing else of a model mixes rows, so the rest of it runs as it is.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

from .cell_table import CellTable

NAME = "practorflow_cells"
FOLDED_ROWS = 16
_KNOWN = frozenset(
    ("is_causal", "position_ids", "use_cache", "output_attentions", "output_hidden_states", "output_router_logits")
)


class Interrupted(Exception):
    """The step was aborted."""


class UnknownAttention(Exception):
    """The model asks for an attention that is not known here."""


@dataclass(frozen=True, slots=True)
class Run:
    """Consecutive rows of a step that belong to one sequence: `count` rows from `first`, at positions from `start`."""

    sequence: int
    first: int
    count: int
    start: int

    @property
    def end(self) -> int:
        return self.start + self.count


@dataclass(frozen=True)
class _Group:
    """Rows that are computed together: sequences with the same number of rows each.

    rows: index of each row in the step, sequence after sequence; None stands for all rows in order.
    cells: for each sequence the cells that its rows see, padded, in one flat tensor.
    mask: True where a row sees a cell; None where every row sees every cell.
    causal: one sequence whose rows are the cells, so that the kernel's own causal mask will do.
    """

    rows: torch.Tensor | None
    cells: torch.Tensor
    sequences: int
    count: int
    length: int
    mask: torch.Tensor | None
    causal: bool


class CellStep:
    """One forward pass as the attention function sees it.

    Args:
        table: the cells; the step's own are already in it.
        runs: the rows, in order.
        memory: keys and values of all layers.
        device: where the tensors are.
        abort: set to interrupt the pass at the next layer.
    """

    def __init__(
        self,
        table: CellTable,
        runs: Sequence[Run],
        memory: CellMemory,
        *,
        device: torch.device,
        abort: threading.Event,
    ) -> None:
        self._table = table
        self._runs = runs
        self._device = device
        self._abort = abort
        self.memory = memory
        self.written = self._tensor(np.concatenate([table.cells(run.sequence)[run.start : run.end] for run in runs]))
        self._groups: dict[int | None, list[_Group]] = {}
        self.windows: dict[int, int | None] = {}

    def check(self) -> None:
        if self._abort.is_set():
            raise Interrupted

    def groups(self, window: int | None) -> list[_Group]:
        """The groups for layers in which a row sees at most `window` positions, its own included; None for all."""
        if window not in self._groups:
            decoding = [run for run in self._runs if run.count == 1]
            alone = [[run] for run in self._runs if run.count > 1]
            self._groups[window] = [self._group(runs, window) for runs in [*similar_lengths(decoding), *alone]]
        return self._groups[window]

    def _group(self, runs: Sequence[Run], window: int | None) -> _Group:
        count = runs[0].count
        begins = [0 if window is None else max(0, run.start - window + 1) for run in runs]
        length = max(run.end - begin for run, begin in zip(runs, begins, strict=True))
        cells = np.zeros((len(runs), length), dtype=np.int64)
        for place, (run, begin) in enumerate(zip(runs, begins, strict=True)):
            cells[place, : run.end - begin] = self._table.cells(run.sequence)[begin : run.end]
        causal = len(runs) == 1 and count == length and (window is None or window >= length)
        rows = np.concatenate([np.arange(run.first, run.first + count) for run in runs])
        return _Group(
            rows=None if np.array_equal(rows, np.arange(len(self.written))) else self._tensor(rows),
            cells=self._tensor(cells.reshape(-1)),
            sequences=len(runs),
            count=count,
            length=length,
            mask=None if causal else self._mask(runs, begins, length, window),
            causal=causal and count > 1,
        )

    def _mask(self, runs: Sequence[Run], begins: Sequence[int], length: int, window: int | None) -> torch.Tensor | None:
        """Shape (sequences, 1, rows of each, cells of each)."""
        seen = self._tensor(np.array([[run.start + row - begin for row in range(run.count)]
                            for run, begin in zip(runs, begins, strict=True)]))  # fmt: skip
        seen = seen[:, None, :, None]
        places = torch.arange(length, device=self._device)
        mask = places <= seen
        if window is not None:
            mask &= places > seen - window
        elif len(runs) == 1 and runs[0].count == 1:
            return None
        return mask

    def _tensor(self, values: Any) -> torch.Tensor:
        return torch.from_numpy(values).to(self._device, non_blocking=True)


class CellMemory:
    """Keys and values of all layers, allocated when a layer first stores some."""

    def __init__(self, cells: int) -> None:
        self._cells = cells
        self._layers: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}

    def store(
        self, layer: int, key: torch.Tensor, value: torch.Tensor, cells: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write rows of shape (rows, heads, width) and return the whole memory of the layer."""
        if layer not in self._layers:
            self._layers[layer] = (
                key.new_empty((self._cells, *key.shape[1:])),
                value.new_empty((self._cells, *value.shape[1:])),
            )
        keys, values = self._layers[layer]
        keys.index_copy_(0, cells, key)
        values.index_copy_(0, cells, value)
        return keys, values

    @property
    def bytes(self) -> int:
        """What it has taken so far."""
        return sum(tensor.nbytes for layer in self._layers.values() for tensor in layer)

    def clear(self) -> None:
        """Free the memory."""
        self._layers.clear()


def similar_lengths(runs: Sequence[Run]) -> list[list[Run]]:
    """Groups of runs so that padding each to its longest at most doubles it, or adds little."""
    groups: list[list[Run]] = []
    for run in sorted(runs, key=lambda run: run.end):
        if groups and run.end <= 2 * groups[-1][0].end + 256:
            groups[-1].append(run)
        else:
            groups.append([run])
    return groups


def attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    cell_step: CellStep | None = None,
    scaling: float | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    s_aux: torch.Tensor | None = None,
    dropout: float = 0.0,
    **others: Any,
) -> tuple[torch.Tensor, None]:
    """The attention function: query, key, value of shape (1, heads, rows, width); see `AttentionInterface`."""
    if cell_step is None or attention_mask is not None or dropout or query.shape[0] != 1:
        raise UnknownAttention("the model does not pass on what this attention needs")
    unknown = [name for name, setting in others.items() if setting is not None and name not in _KNOWN]
    if unknown:
        raise UnknownAttention(f"the model asks for {', '.join(sorted(unknown))}")
    cell_step.check()
    layer = module.layer_idx
    assert isinstance(layer, int)
    cell_step.windows[layer] = sliding_window
    query = query[0].transpose(0, 1)
    keys, values = cell_step.memory.store(layer, key[0].transpose(0, 1), value[0].transpose(0, 1), cell_step.written)
    output = query.new_empty((*query.shape[:2], values.shape[-1]))
    for group in cell_step.groups(sliding_window):
        rows = query if group.rows is None else query.index_select(0, group.rows)
        heads = keys.shape[1]
        shape = (group.sequences, group.length, heads)
        k = keys.index_select(0, group.cells).view(*shape, -1).transpose(1, 2)
        v = values.index_select(0, group.cells).view(*shape, -1).transpose(1, 2)
        # Query heads that share a key head stand beside each other: (sequences, key heads, sharing, rows, width).
        q = rows.view(group.sequences, group.count, heads, -1, query.shape[-1]).permute(0, 2, 3, 1, 4)
        if softcap is not None or s_aux is not None:
            result = _attend_explicitly(q, k, v, group, scaling, softcap, s_aux)
        elif group.count <= FOLDED_ROWS and not (group.causal and q.shape[2] > 1):
            result = _attend_folded(q, k, v, group, scaling)
        else:
            result = _attend_by_turns(q, k, v, group, scaling)
        result = result.permute(0, 3, 1, 2, 4).reshape(len(rows), -1, values.shape[-1])
        if group.rows is None:
            output = result
        else:
            output.index_copy_(0, group.rows, result)
    return output[None], None


def _attend_folded(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, group: _Group, scaling: float | None
) -> torch.Tensor:
    """Heads that share keys as further rows, so that no key is copied for them."""
    sharing, count = q.shape[2:4]
    mask = group.mask
    if mask is not None and count > 1:
        mask = mask.repeat(1, 1, sharing, 1)
    folded = q.flatten(2, 3)
    result = scaled_dot_product_attention(folded, k, v, attn_mask=mask, is_causal=group.causal, scale=scaling)
    return result.view(*result.shape[:2], sharing, count, -1)


def _attend_by_turns(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, group: _Group, scaling: float | None
) -> torch.Tensor:
    """One of the heads that share keys after the other: a mask for all of them would be large."""
    results = [
        scaled_dot_product_attention(turn, k, v, attn_mask=group.mask, is_causal=group.causal, scale=scaling)
        for turn in q.unbind(2)
    ]
    return torch.stack(results, dim=2)


def _attend_explicitly(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    group: _Group,
    scaling: float | None,
    softcap: float | None,
    sinks: torch.Tensor | None,
) -> torch.Tensor:
    """With scores that are capped, or sinks that take a part of the attention; no kernel does either."""
    scale = q.shape[-1] ** -0.5 if scaling is None else scaling
    scores = (q @ k.unsqueeze(2).transpose(-1, -2)).float() * scale
    if softcap is not None:
        scores = softcap * torch.tanh(scores / softcap)
    mask = group.mask
    if group.causal:
        mask = torch.ones(group.count, group.length, dtype=torch.bool, device=q.device).tril()[None, None]
    if mask is not None:
        scores = scores.masked_fill(~mask.unsqueeze(2), -torch.inf)
    if sinks is not None:
        sink = sinks.float().view(1, *q.shape[1:3], 1, 1).expand(*scores.shape[:-1], 1)
        weights = torch.cat([scores, sink], dim=-1).softmax(dim=-1)[..., :-1]
    else:
        weights = scores.softmax(dim=-1)
    return weights.to(v.dtype) @ v.unsqueeze(2)


AttentionInterface.register(NAME, attend)

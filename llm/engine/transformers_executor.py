"""A transformers model as an executor: batches of many sequences in one forward pass, their keys and values in cells.

The model's own code computes everything but attention. Whether it can be computed in this way is not told by its
name; `transformers_opening` compares a short trial with the model's ordinary forward pass.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ..exceptions import EngineFailedError
from .cell_attention import NAME, CellMemory, CellStep, Interrupted, Run
from .cell_table import CellTable
from .executor import Capabilities, ComputeStatus, TokenBatch


class TransformersExecutor:
    """A loaded model with memory for `cells` tokens.

    Args:
        model: the `PreTrainedModel`; its attention is replaced by ours.
        vocabulary: number of token ids that have logits.
        window: the most positions of one sequence.
        cells: tokens of key-value memory.
        max_batch: rows of one batch.
        max_running: sequences that decode at once.

    Attributes:
        windows: for each layer of the latest step, how many positions a row sees; None for all.
        tolerance: by how much logits may differ from those of an ordinary forward pass, in parts of their spread.
    """

    def __init__(
        self, model: Any, *, vocabulary: int, window: int, cells: int, max_batch: int, max_running: int
    ) -> None:
        self._model = model
        self._device = torch.device(model.device)
        max_sequences = 2 * max_running + 16
        self._capabilities = Capabilities(
            vocabulary=vocabulary,
            window=min(cells, window),
            cells=cells,
            max_sequences=max_sequences,
            max_batch=max_batch,
            max_outputs=max_running + 16,
        )
        self._batch = TokenBatch(max_batch)
        self._table = CellTable(cells, max_sequences)
        self._memory = CellMemory(cells)
        self._abort = threading.Event()
        self._logits: npt.NDArray[np.float32] = np.zeros((0, vocabulary), dtype=np.float32)
        self._output_of_row: dict[int, int] = {}
        self._keeps_logits = bool(model._supports_logits_to_keep())
        self.windows: dict[int, int | None] = {}
        self.tolerance = 1e-2 if model.dtype == torch.float32 else 0.25
        model.set_attn_implementation(NAME)

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    @property
    def batch(self) -> TokenBatch:
        return self._batch

    def compute(self) -> ComputeStatus:
        batch = self._batch
        assert 0 < batch.size <= self._capabilities.max_batch
        if batch.size > self._table.free:
            return "full"
        for run in self._runs():
            assert self._table.length(run.sequence) == run.start
            self._table.extend(run.sequence, run.count)
        try:
            self._forward()
        except Interrupted:
            return "aborted"
        except Exception as error:
            raise EngineFailedError(
                f"PyTorch failed to compute a batch of {batch.size} tokens ({type(error).__name__}: "
                f"{str(error).partition(chr(10))[0][:200]}). Requests under way are lost; new ones may work."
            ) from error
        finally:
            self._abort.clear()
        return "done"

    @torch.inference_mode()
    def _forward(self) -> None:
        batch = self._batch
        size = batch.size
        step = CellStep(self._table, self._runs(), self._memory, device=self._device, abort=self._abort)
        wanted = np.flatnonzero(batch.outputs[:size])
        kept = self._tensor(wanted if len(wanted) else np.array([size - 1]))
        options: dict[str, Any] = {"logits_to_keep": kept} if self._keeps_logits else {}
        logits = self._model(
            input_ids=self._tensor(batch.tokens[:size].astype(np.int64))[None],
            position_ids=self._tensor(batch.positions[:size].astype(np.int64))[None],
            use_cache=False,
            cell_step=step,
            **options,
        ).logits[0]
        self.windows = step.windows
        if not len(wanted):
            return
        if not self._keeps_logits:
            logits = logits.index_select(0, kept)
        self._logits = logits.float().cpu().numpy()
        self._output_of_row = {int(row): index for index, row in enumerate(wanted)}

    def logits(self, row: int) -> npt.NDArray[np.float32]:
        logits: npt.NDArray[np.float32] = self._logits[self._output_of_row[row]]
        return logits

    def share(self, source: int, target: int, length: int) -> None:
        self._table.share(source, target, length)

    def truncate(self, sequence: int, length: int) -> None:
        self._table.truncate(sequence, length)

    def length(self, sequence: int) -> int:
        return self._table.length(sequence)

    def abort(self) -> None:
        self._abort.set()

    def clear_abort(self) -> None:
        self._abort.clear()

    def close(self) -> None:
        self._memory.clear()
        self._model = None

    def _runs(self) -> list[Run]:
        batch = self._batch
        sequences = batch.sequences[: batch.size]
        firsts = [0, *(np.flatnonzero(np.diff(sequences)) + 1).tolist()]
        ends = [*firsts[1:], batch.size]
        return [
            Run(int(sequences[first]), first, end - first, int(batch.positions[first]))
            for first, end in zip(firsts, ends, strict=True)
        ]

    def _tensor(self, values: npt.NDArray[Any]) -> torch.Tensor:
        return torch.from_numpy(values).to(self._device, non_blocking=True)

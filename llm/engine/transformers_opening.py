"""Which executor serves a transformers model: found out by a trial, not from a list of names.

Batching replaces a model's attention, so it is used only where it makes no difference: a few tokens are computed by
the model's ordinary forward pass, and again in pieces beside a second sequence, and the logits have to agree. A
model with a memory of another kind, an attention that we do not know, or layers that mix rows fails the trial and
is served by `generate`, one request at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ..exceptions import EngineFailedError
from ..logs import RUNNER, get_logger
from .compute_budget import PROCESS_BUDGET
from .executor import Executor
from .generate_executor import GenerateExecutor
from .transformers_executor import TransformersExecutor

TRIAL_TOKENS = 24
_LAYERS = ("full_attention", "sliding_attention")
_LENGTH_DEPENDENT = ("dynamic", "longrope")

_logger = get_logger(RUNNER)


def open_executor(
    model: Any, *, cells: int, max_batch: int, max_running: int, threads: int, batching: bool = True
) -> Executor:
    """The executor for a loaded model. Call it on the thread that will use it.

    Args:
        model: the `PreTrainedModel`.
        cells: tokens of key-value memory.
        max_batch: rows of one batch.
        max_running: sequences that decode at once.
        threads: of the CPU.
        batching: try it; otherwise take `generate`.
    """
    torch.set_num_threads(threads)
    config = model.config.get_text_config()
    window = _window(config) or cells
    with PROCESS_BUDGET.turn():
        tokens = trial_tokens(config.vocab_size, min(TRIAL_TOKENS, cells // 2))
        reference = _ordinary_logits(model, tokens)
        vocabulary = reference.shape[-1]
        attention = config._attn_implementation
        obstacle = "it was not asked for" if not batching else _obstacle(config)
        if obstacle is None:
            executor = TransformersExecutor(
                model, vocabulary=vocabulary, window=window, cells=cells, max_batch=max_batch, max_running=max_running
            )
            obstacle = trial(executor, tokens, reference, config)
            if obstacle is None:
                return executor
            executor.close()
            model.set_attn_implementation(attention)
    _logger.info("Requests on this model are computed one after another: %s.", obstacle)
    return GenerateExecutor(model, vocabulary=vocabulary, window=min(window, cells), max_batch=max_batch)


def trial_tokens(vocabulary: int, count: int) -> list[int]:
    """Tokens for a trial: always the same ones, spread over the vocabulary."""
    return np.random.default_rng(0).integers(0, vocabulary, count).tolist()  # type: ignore[no-any-return]


def trial(
    executor: TransformersExecutor, tokens: Sequence[int], reference: npt.NDArray[np.float32], config: Any
) -> str | None:
    """Why batching would be wrong; None when it gives what the ordinary pass gave.

    Args:
        executor: with nothing in its memory.
        tokens: two or more.
        reference: logits after each of them, by the model's ordinary pass.
        config: of the text model.
    """
    half = len(tokens) // 2
    other = tokens[::-1][: half + 1]
    computed = []
    try:
        for pieces in ([(0, 0, tokens[:half]), (1, 0, other)], [(1, len(other), tokens[:1]), (0, half, tokens[half:])]):
            executor.batch.clear()
            for sequence, start, piece in pieces:
                last = executor.batch.add(sequence, start, piece, outputs=1) + len(piece) - 1
                if sequence == 0:
                    row = last
            if executor.compute() != "done":
                return "the trial was interrupted"
            computed.append(executor.logits(row).copy())
    except EngineFailedError as error:
        return str(error.__cause__).partition("\n")[0][:200]
    finally:
        for sequence in (0, 1):
            executor.truncate(sequence, 0)
    ordinary = np.stack([reference[half - 1], reference[-1]])
    difference = float(np.abs(np.stack(computed) - ordinary).max() / max(float(ordinary.std()), 1e-6))
    if not difference < executor.tolerance:
        return f"batched logits differ from ordinary ones by {difference:.2g} of their spread"
    for layer, kind in enumerate(getattr(config, "layer_types", None) or ()):
        if (kind == "sliding_attention") != (executor.windows.get(layer) is not None):
            return f"layer {layer} does not say how far it sees"
    return None


@torch.inference_mode()
def _ordinary_logits(model: Any, tokens: Sequence[int]) -> npt.NDArray[np.float32]:
    """Logits after each token."""
    output = model(input_ids=torch.tensor([list(tokens)], device=model.device), use_cache=False)
    logits: npt.NDArray[np.float32] = output.logits[0].float().cpu().numpy()
    return logits


def _obstacle(config: Any) -> str | None:
    kinds = set(getattr(config, "layer_types", None) or ())
    if kinds - set(_LAYERS):
        return f"it has layers of the kinds {', '.join(sorted(kinds - set(_LAYERS)))}"
    return None


def _window(config: Any) -> int | None:
    """The most positions that the model was made for. Where it counts positions in another way beyond some length, that
    length: what is long would change what is short beside it."""
    window = getattr(config, "max_position_embeddings", None)
    rope = getattr(config, "rope_parameters", None) or {}
    if rope.get("rope_type") in _LENGTH_DEPENDENT:
        original = rope.get("original_max_position_embeddings") or getattr(
            config, "original_max_position_embeddings", None
        )
        window = min(filter(None, (window, original)), default=None)
    return window

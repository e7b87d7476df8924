"""Embeds with onnxruntime: needs no torch, starts in a second, and computes with 8-bit weights.

The graph is made from the model's own weights whenever a model is opened. That takes less than a second, so nothing is
exported, cached or left behind, and the graph can never be one of other weights.

Where there are several cores, each computes a batch of its own: the matrices of one are too small to be divided among
threads with much gain.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import cast

import numpy as np
import numpy.typing as npt
import onnxruntime  # type: ignore[import-untyped]
from safetensors import SafetensorError, safe_open

from ..engine.compute_budget import PROCESS_BUDGET
from ..exceptions import EngineClosedError, ModelFormatError, ModelLoadError
from ..privacy import require_private
from .embedding_folder import EmbeddingFolder
from .embedding_tokenizer import open_tokenizer, token_ids
from .onnx_graph import Precision, build_graph
from .token_batches import token_batches

_Inputs = dict[str, npt.NDArray[np.int64]]
_WARNINGS_ARE_SILENT = 3


class OnnxEmbedder:
    """An embedding model on onnxruntime, on the CPU. Thread-safe.

    Args:
        folder: the model's checked folder; `can_build` says whether this engine runs it.
        precision: of the large matrices.

    Raises:
        PrivacyError: onnxruntime was imported before llm and sends telemetry.
        ModelFormatError: the weights do not fit the configuration.
        ModelLoadError: onnxruntime refused the model.
    """

    def __init__(self, folder: EmbeddingFolder, *, precision: Precision = "int8") -> None:
        require_private("onnxruntime")
        tokenizer = open_tokenizer(folder)
        if tokenizer is None:
            raise ModelLoadError(f"{str(folder.path)!r} has no tokenizer.json, which embedding with onnxruntime needs.")
        self._tokenizer = tokenizer
        self._folder = folder
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = _WARNINGS_ARE_SILENT
        graph = build_graph(folder, _read_weights(folder), precision=precision)
        try:
            session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        except Exception as exc:
            raise ModelLoadError(
                f"onnxruntime refused the embedding model in {str(folder.path)!r}: {type(exc).__name__}. Set "
                "KB_CHROMA_EMBEDDING_ENGINE=sentence_transformers."
            ) from exc
        self._session: onnxruntime.InferenceSession | None = session
        self._workers = ThreadPoolExecutor(PROCESS_BUDGET.threads, thread_name_prefix="embedder")
        self.dimension = int(session.get_outputs()[0].shape[1])
        self.identity = f"{folder.digest}/onnx-{precision}/l2"

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Vectors of length 1, one row for each text of a document."""
        return self._embed(texts, self._folder.document_prompt)

    def embed_query(self, text: str) -> npt.NDArray[np.float32]:
        """The vector of length 1 of a question."""
        row: npt.NDArray[np.float32] = self._embed([text], self._folder.query_prompt)[0]
        return row

    def close(self) -> None:
        """Free the model. A second call does nothing."""
        with PROCESS_BUDGET.turn():
            self._session = None
        self._workers.shutdown()

    def _embed(self, texts: Sequence[str], prompt: str) -> npt.NDArray[np.float32]:
        vectors = np.empty((len(texts), self.dimension), dtype=np.float32)
        tokens = [token_ids(self._tokenizer, prompt + text) for text in texts]
        batches = token_batches(list(map(len, tokens)))
        for first in range(0, len(batches), PROCESS_BUDGET.threads):
            together = batches[first : first + PROCESS_BUDGET.threads]
            inputs = [_padded([tokens[position] for position in batch]) for batch in together]
            for batch, rows in zip(together, self._compute(inputs), strict=True):
                vectors[batch] = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
        return vectors

    def _compute(self, inputs: Sequence[_Inputs]) -> list[npt.NDArray[np.float32]]:
        """One turn at the cores: a batch for each, all at once."""
        with PROCESS_BUDGET.turn():
            session = self._session
            if session is None:
                raise EngineClosedError("The embedding model was closed by its owner.")

            def compute(batch: _Inputs) -> npt.NDArray[np.float32]:
                (rows,) = session.run(["vectors"], batch)
                return cast("npt.NDArray[np.float32]", rows)

            if len(inputs) == 1:
                return [compute(inputs[0])]
            return list(self._workers.map(compute, inputs))


def _padded(tokens: list[list[int]]) -> _Inputs:
    width = max(1, *map(len, tokens))
    ids = np.zeros((len(tokens), width), dtype=np.int64)
    mask = np.zeros_like(ids)
    for row, text in enumerate(tokens):
        ids[row, : len(text)] = text
        mask[row, : max(1, len(text))] = 1
    return {"input_ids": ids, "attention_mask": mask, "positions": np.arange(width, dtype=np.int64)}


def _read_weights(folder: EmbeddingFolder) -> dict[str, npt.NDArray[np.float32]]:
    file = folder.path / "model.safetensors"
    try:
        with safe_open(str(file), framework="numpy") as weights:
            return {name: weights.get_tensor(name).astype(np.float32) for name in weights.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, TypeError, KeyError) as exc:
        raise ModelFormatError(f"{str(file)!r} cannot be read as weights. Download the model again.") from exc

"""Embeds with onnxruntime: needs no torch, starts in a second, and computes with 8-bit weights.

The graph is made from the model's own weights whenever a model is opened. That takes less than a second, so nothing is
exported, cached or left behind, and the graph can never be one of other weights.
"""

from __future__ import annotations

from collections.abc import Sequence

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
        options.intra_op_num_threads = PROCESS_BUDGET.threads
        options.inter_op_num_threads = 1
        options.log_severity_level = _WARNINGS_ARE_SILENT
        # Threads that spin while they wait would take the cores from everybody else.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        graph = build_graph(folder, _read_weights(folder), precision=precision)
        try:
            session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        except Exception as exc:
            raise ModelLoadError(
                f"onnxruntime refused the embedding model in {str(folder.path)!r}: {type(exc).__name__}. Set "
                "KB_CHROMA_EMBEDDING_ENGINE=sentence_transformers."
            ) from exc
        self._session: onnxruntime.InferenceSession | None = session
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

    def _embed(self, texts: Sequence[str], prompt: str) -> npt.NDArray[np.float32]:
        vectors = np.empty((len(texts), self.dimension), dtype=np.float32)
        tokens = [token_ids(self._tokenizer, prompt + text) for text in texts]
        for batch in token_batches(list(map(len, tokens))):
            inputs = _padded([tokens[position] for position in batch])
            with PROCESS_BUDGET.turn():
                if self._session is None:
                    raise EngineClosedError("The embedding model was closed by its owner.")
                (rows,) = self._session.run(["vectors"], inputs)
            vectors[batch] = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
        return vectors


def _padded(tokens: list[list[int]]) -> dict[str, npt.NDArray[np.int64]]:
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

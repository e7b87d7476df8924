"""Embeds with sentence-transformers on torch: whatever model it knows, on a GPU where there is one.

On a CPU each batch takes its turn at the process's compute budget, so that a query waits for one batch and not for a
whole document, and a decoding model keeps its share.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ..engine.compute_budget import PROCESS_BUDGET, ComputeBudget
from ..exceptions import EngineClosedError, ModelLoadError
from .embedding_folder import EmbeddingFolder
from .embedding_tokenizer import open_tokenizer, token_ids, whole_characters
from .passive_openmp import passive_openmp
from .token_batches import BATCH_SIZE, token_batches

try:
    with passive_openmp():
        import torch
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging as transformers_logging
except ImportError as exc:
    raise ModelLoadError(
        "Embedding with torch needs sentence-transformers, which is not installed: pip install "
        "'practorflow[transformers]'. Or set KB_CHROMA_EMBEDDING_ENGINE=onnx."
    ) from exc

GPU_BATCH_SIZE = 256


def sees_gpu() -> bool:
    """Whether torch can compute on a GPU."""
    return torch.cuda.is_available()


class SentenceTransformerEmbedder:
    """An embedding model on torch. Thread-safe.

    Args:
        folder: the model's checked folder.
        device: "cuda", "cpu" or another device of torch; None takes a GPU where there is one.

    Raises:
        ModelLoadError: sentence-transformers refused the model.
    """

    def __init__(self, folder: EmbeddingFolder, *, device: str | None = None) -> None:
        self._device = device or ("cuda" if sees_gpu() else "cpu")
        self._folder = folder
        self._on_cpu = self._device == "cpu"
        self._turns = PROCESS_BUDGET if self._on_cpu else ComputeBudget(1)
        self._tokenizer = open_tokenizer(folder)
        logging.getLogger("sentence_transformers").setLevel(logging.WARNING)
        transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        try:
            model = SentenceTransformer(
                str(folder.path),
                device=self._device,
                local_files_only=True,
                trust_remote_code=False,
                model_kwargs={"use_safetensors": True},
            )
        except Exception as exc:
            raise ModelLoadError(
                f"sentence-transformers refused the embedding model in {str(folder.path)!r}: {type(exc).__name__}."
            ) from exc
        self._model: SentenceTransformer | None = model.eval()
        dimension = model.get_embedding_dimension()
        if not dimension:
            raise ModelLoadError(f"The model in {str(folder.path)!r} does not say how long its vectors are.")
        self.dimension = int(dimension)
        self.identity = f"{folder.digest}/torch-fp32/l2"

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Vectors of length 1, one row for each text of a document."""
        return self._embed(texts, self._folder.document_prompt)

    def embed_query(self, text: str) -> npt.NDArray[np.float32]:
        """The vector of length 1 of a question."""
        row: npt.NDArray[np.float32] = self._embed([text], self._folder.query_prompt)[0]
        return row

    def close(self) -> None:
        """Free the model. A second call does nothing."""
        with self._turns.turn():
            self._model = None

    def _embed(self, texts: Sequence[str], prompt: str) -> npt.NDArray[np.float32]:
        vectors = np.empty((len(texts), self.dimension), dtype=np.float32)
        lengths = list(map(self._length, texts)) if len(texts) > 1 else [0] * len(texts)
        for batch in token_batches(lengths, size=BATCH_SIZE if self._on_cpu else GPU_BATCH_SIZE):
            with self._turns.turn() as threads:
                if self._model is None:
                    raise EngineClosedError("The embedding model was closed by its owner.")
                if self._on_cpu and torch.get_num_threads() != threads:
                    torch.set_num_threads(threads)
                vectors[batch] = self._model.encode(
                    [whole_characters(texts[position]) for position in batch],
                    prompt=prompt or None,
                    batch_size=len(batch),
                    show_progress_bar=False,
                    convert_to_numpy=True,
                    normalize_embeddings=True,
                )
        return vectors

    def _length(self, text: str) -> int:
        return len(token_ids(self._tokenizer, text)) if self._tokenizer else len(text)

"""From texts to vectors on this machine: what an embedder is, and how the configured one is opened.

Invariant: vectors of one identity can be compared with each other. A store keeps the identity beside its vectors and
takes no others.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ..exceptions import ConfigError
from ..hub.progress import ProgressCallback
from ..knowledge.chroma_knowledge_config import ChromaKnowledgeConfig
from .embedding_folder import EmbeddingFolder, read_embedding_folder
from .embedding_location import locate_embedding_model
from .onnx_graph import can_build

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_DRIVER = Path("/dev/nvidiactl")


class Embedder(Protocol):
    """An embedding model that is loaded. Any thread may call it.

    Attributes:
        identity: names the model by the digest of its files, the engine, and how vectors are scaled.
        dimension: numbers in a vector.
    """

    @property
    def identity(self) -> str:
        """Equal where vectors can be compared with each other."""

    @property
    def dimension(self) -> int:
        """Numbers in a vector, from 1."""

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Vectors of length 1, one row for each text of a document, in the order of the texts.

        Raises:
            EngineClosedError: the embedder was closed.
        """

    def embed_query(self, text: str) -> npt.NDArray[np.float32]:
        """The vector of length 1 of a question.

        Raises:
            EngineClosedError: the embedder was closed.
        """

    def close(self) -> None:
        """Free the model. A second call does nothing."""


def open_embedder(config: ChromaKnowledgeConfig, *, progress: ProgressCallback | None = None) -> Embedder:
    """Find the configured embedding model, check its files and load it. Blocks; seconds where torch is imported.

    Args:
        config: names the model and the engine.
        progress: called while the model is downloaded; None shows a bar where standard error is a terminal.

    Raises:
        ConfigError: the name is not one, or the engine cannot run this model.
        ModelNotFoundError: there is no such model.
        ModelFormatError: its files are not safe to load.
        OfflineError: it would have to be downloaded, and that is forbidden.
        DownloadError: it could not be downloaded.
        ModelLoadError: the engine is not installed, or refused the model.
    """
    folder = read_embedding_folder(locate_embedding_model(config, progress=progress))
    engine = config.embedding_engine
    if engine == "auto":
        engine = "sentence_transformers" if _has_gpu() or not _runs_on_onnx(folder) else "onnx"
    if engine == "sentence_transformers":
        from .sentence_transformer_embedder import SentenceTransformerEmbedder

        return SentenceTransformerEmbedder(folder)
    if not _runs_on_onnx(folder):
        raise ConfigError(
            "embedding_engine",
            engine,
            f"'auto' or 'sentence_transformers' for the model {config.embedding_model!r}, whose architecture the "
            "engine on onnxruntime does not know",
        )
    from .onnx_embedder import OnnxEmbedder

    return OnnxEmbedder(folder)


def _runs_on_onnx(folder: EmbeddingFolder) -> bool:
    return can_build(folder) and find_spec("onnxruntime") is not None


def _has_gpu() -> bool:
    """Whether torch sees a GPU; torch is imported only where there is a driver."""
    if not _DRIVER.exists() or find_spec("sentence_transformers") is None:
        return False
    from .sentence_transformer_embedder import sees_gpu

    return sees_gpu()

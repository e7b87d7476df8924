"""From texts to vectors on this machine: what an embedder is, and how the configured one is opened.

Invariant: vectors of one identity can be compared with each other. A store keeps the identity beside its vectors and
takes no others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from ..hub.progress import ProgressCallback
from ..knowledge.chroma_knowledge_config import ChromaKnowledgeConfig
from .embedding_folder import read_embedding_folder
from .embedding_location import locate_embedding_model

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


class Embedder(Protocol):
    """An embedding model that is loaded. Any thread may call it.

    Attributes:
        identity: names the model by the digest of its files, the engine, and how vectors are scaled.
        dimension: numbers in a vector.
    """

    @property
    def identity(self) -> str: ...

    @property
    def dimension(self) -> int: ...

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
    from .sentence_transformer_embedder import SentenceTransformerEmbedder

    return SentenceTransformerEmbedder(folder)

"""A search: what is near a question and what has its words, looked for at the same time and fused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from .aside import Aside
from .dense_search import NearChunks, near_chunks
from .document_index import DocumentIndex
from .document_rows import storable
from .document_scope import DocumentScope
from .passage import Passage, SearchMode
from .rank_fusion import fused
from .vector_index import VectorIndex

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CANDIDATES = 50  # context chunks of each ranking that are fused
WEIGHTS = (0.5, 0.5, 2.0)  # of the nearest piece, of the whole chunk's direction, of words: measured, see docs/log.md
_ATTEMPTS = 3  # until one sees no document leave under its hands


class EmbedsQuestions(Protocol):
    """Turns a question into a vector; an Embedder does."""

    def embed_query(self, text: str) -> NDArray[np.float32]: ...


class DocumentSearch:
    """Finds passages. Safe from any thread.

    Args:
        index: of the documents.
        vectors: of the documents.
        embedder: makes vectors of questions.
    """

    def __init__(self, *, index: DocumentIndex, vectors: VectorIndex, embedder: EmbedsQuestions) -> None:
        self._index = index
        self._vectors = vectors
        self._embedder = embedder
        self._aside = Aside()

    def find(self, query: str, scope: DocumentScope, top_k: int, mode: SearchMode) -> list[Passage]:
        """Passages of the scope, best first."""
        query = storable(query)
        depth = max(CANDIDATES, top_k)
        question: NDArray[np.float32] | None = None
        for _ in range(_ATTEMPTS):
            near = None
            words: list[tuple[int, float]] = []
            if mode == "text":
                words = self._index.by_words(query, scope, depth)
            else:
                # SQLite computes without the interpreter's lock, and so do the embedder and Chroma.
                if mode == "hybrid":
                    found_by_words = self._aside.begin(lambda: self._index.by_words(query, scope, depth))
                if question is None:
                    question = self._embedder.embed_query(query)
                near = near_chunks(self._index, self._vectors, question, scope, depth, aside=self._aside)
                if mode == "hybrid":
                    words = found_by_words()
            scores = _scores(near, words, mode)
            keys = list(scores)[:top_k]
            matches = {} if near is None else {key: piece for key, (piece, _) in near.pieces.items()}
            passages = self._index.passages(keys, scope, scores=scores, matches=matches)
            if len(passages) == len(keys):
                break
        return passages

    def close(self) -> None:
        """End its threads, once what they are looking for was found."""
        self._aside.close()


def _scores(near: NearChunks | None, words: list[tuple[int, float]], mode: SearchMode) -> dict[int, float]:
    """Keys of context chunks with their scores, best first."""
    if near is None:
        return dict(words)
    if mode == "dense":
        return near.scores()
    return dict(fused([list(near.pieces), list(near.wholes), [key for key, _ in words]], weights=WEIGHTS))

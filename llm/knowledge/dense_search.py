"""Which context chunks are near a question: through Chroma's graph, or exactly, whichever answers well.

A graph finds what is near among all; when only few documents may be seen, it would have to look through everything else
first. So a small scope is compared vector by vector, and a large one takes what the graph finds and drops the rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .document_index import DocumentIndex
from .document_rows import CHUNK_BITS
from .document_scope import DocumentScope
from .vector_index import VectorIndex

if TYPE_CHECKING:
    from numpy.typing import NDArray

EXACT_CHUNKS = 20_000  # about 10 ms to compare
MOST_NEAR = 4096
_PIECES_EACH = 4  # retrieval chunks asked for, for each context chunk that is wanted
_EXACT_PIECES_EACH = 16


@dataclass(frozen=True, slots=True)
class NearChunk:
    """A context chunk, and which of its retrieval chunks is nearest."""

    key: int
    piece: int
    similarity: float


def near_chunks(
    index: DocumentIndex, vectors: VectorIndex, question: NDArray[np.float32], scope: DocumentScope, count: int
) -> list[NearChunk]:
    """Context chunks in the scope, nearest first, each once; at least `count` of them where there are so many."""
    if not scope.is_everything and index.scope_size(scope) <= EXACT_CHUNKS:
        return exact_chunks(index, question, scope, count)
    chunks = _in_graph(index, vectors, question, scope, count)
    return exact_chunks(index, question, scope, count) if chunks is None else chunks


def _in_graph(
    index: DocumentIndex, vectors: VectorIndex, question: NDArray[np.float32], scope: DocumentScope, count: int
) -> list[NearChunk] | None:
    """By looking among all, further and further; None where that does not lead to enough, or Chroma cannot be asked."""
    asked = count * _PIECES_EACH
    while True:
        found = vectors.nearest(question, asked)
        if found is None:
            return None
        keys = index.keys_of({near.uid for near in found}, scope)
        chunks: dict[int, NearChunk] = {}
        for near in found:
            if near.uid in keys:
                key = (keys[near.uid] << CHUNK_BITS) + near.number
                chunks.setdefault(key, NearChunk(key, near.piece, near.similarity))
        if len(chunks) >= count or len(found) < asked:
            return list(chunks.values())
        if asked >= MOST_NEAR:
            return None
        asked = min(MOST_NEAR, asked * 4)


def exact_chunks(
    index: DocumentIndex, question: NDArray[np.float32], scope: DocumentScope, count: int
) -> list[NearChunk]:
    """The same without Chroma, by comparing every vector of the scope."""
    documents = [document for document in index.vectors(scope) if len(document.vectors)]
    if not documents:
        return []
    similarities = np.concatenate([document.vectors for document in documents]).astype(np.float32) @ question
    best = _best(similarities, count * _EXACT_PIECES_EACH)
    ends = np.cumsum([len(document.vectors) for document in documents])
    chunks: dict[int, NearChunk] = {}
    for place in best:
        number = int(np.searchsorted(ends, place, side="right"))
        document = documents[number]
        chunk, piece = _chunk_of(document.pieces, int(place - (ends[number] - len(document.vectors))))
        key = (document.key << CHUNK_BITS) + chunk
        chunks.setdefault(key, NearChunk(key, piece, float(similarities[place])))
    return list(chunks.values())


def _best(similarities: NDArray[np.float32], count: int) -> NDArray[np.int64]:
    """Places of the greatest, greatest first."""
    everything = np.arange(len(similarities))
    some = np.argpartition(similarities, -count)[-count:] if count < len(similarities) else everything
    ordered: NDArray[np.int64] = some[np.argsort(-similarities[some], kind="stable")]
    return ordered


def _chunk_of(pieces: tuple[int, ...], place: int) -> tuple[int, int]:
    """Context chunk and piece of a document's retrieval chunk number `place`."""
    for chunk, count in enumerate(pieces):
        if place < count:
            return chunk, place
        place -= count
    raise IndexError(place)

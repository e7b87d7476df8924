"""Which context chunks are near a question: through Chroma's graphs, or exactly, whichever answers well.

A graph finds what is near among all; when only few documents may be seen, it would have to look through everything else
first. So a small scope is compared vector by vector, and a large one takes what the graphs find and drops the rest.

A chunk is near in two ways: by the best of its pieces, which holds an answer, and by their common direction, which is
what it is about. The two rankings together find more than either.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .aside import Aside
from .document_index import DocumentIndex
from .document_rows import CHUNK_BITS, sums_of
from .document_scope import DocumentScope
from .vector_index import Near, VectorIndex

if TYPE_CHECKING:
    from numpy.typing import NDArray

EXACT_CHUNKS = 20_000  # the most that are compared before the graphs are asked
FEW_CHUNKS = 500  # compared in a millisecond or two, whatever else there is
LARGE_SHARE = 0.1  # of all chunks: in this much of everything the graphs find enough at once
MOST_NEAR = 4096
_PIECES_EACH = 3  # retrieval chunks asked for, for each context chunk that is wanted
_EXACT_PIECES_EACH = 16


@dataclass(frozen=True, slots=True)
class NearChunks:
    """Context chunks near a question, by their keys, each ranking with the nearest first.

    Attributes:
        pieces: number and similarity of the retrieval chunk that is nearest.
        wholes: similarity of the direction that its retrieval chunks have together.
    """

    pieces: Mapping[int, tuple[int, float]]
    wholes: Mapping[int, float]

    def scores(self) -> dict[int, float]:
        """Both similarities' mean, best first. What stands in one ranking only has no more than the other's least."""
        least_piece = min((similarity for _, similarity in self.pieces.values()), default=0.0)
        least_whole = min(self.wholes.values(), default=0.0)
        scores = {
            key: (self.pieces.get(key, (0, least_piece))[1] + self.wholes.get(key, least_whole)) / 2
            for key in (*self.pieces, *self.wholes)
        }
        return dict(sorted(scores.items(), key=lambda item: -item[1]))


def near_chunks(
    index: DocumentIndex,
    vectors: VectorIndex,
    question: NDArray[np.float32],
    scope: DocumentScope,
    count: int,
    *,
    aside: Aside,
) -> NearChunks:
    """Context chunks in the scope; in each ranking at least `count` where there are so many."""
    if _is_large(index, scope):
        found_wholes = aside.begin(lambda: _in_graph("context", index, vectors, question, scope, count, count))
        pieces = _in_graph("retrieval", index, vectors, question, scope, count, count * _PIECES_EACH)
        wholes = found_wholes()
        if pieces is not None and wholes is not None:
            return NearChunks(
                {key: (near.piece or 0, near.similarity) for key, near in pieces.items()},
                {key: near.similarity for key, near in wholes.items()},
            )
    return exact_chunks(index, question, scope, count)


def _is_large(index: DocumentIndex, scope: DocumentScope) -> bool:
    """Whether the graphs are asked first."""
    if scope.is_everything or index.is_most(scope):
        return True
    size = index.scope_size(scope)
    return size > EXACT_CHUNKS or (size > FEW_CHUNKS and size > LARGE_SHARE * index.size())


def _in_graph(
    kind: str,
    index: DocumentIndex,
    vectors: VectorIndex,
    question: NDArray[np.float32],
    scope: DocumentScope,
    count: int,
    asked: int,
) -> dict[int, Near] | None:
    """By looking among all, further and further; None where that does not lead to enough, or Chroma cannot be asked."""
    while True:
        found = vectors.nearest(kind, question, asked)
        if found is None:
            return None
        keys = index.keys_of({near.uid for near in found}, scope)
        chunks: dict[int, Near] = {}
        for near in found:
            if near.uid in keys:
                chunks.setdefault((keys[near.uid] << CHUNK_BITS) + near.number, near)
        if len(chunks) >= count or len(found) < asked:
            return chunks
        if asked >= MOST_NEAR:
            return None
        asked = min(MOST_NEAR, asked * 4)


def exact_chunks(index: DocumentIndex, question: NDArray[np.float32], scope: DocumentScope, count: int) -> NearChunks:
    """The same without Chroma, by comparing every vector of the scope."""
    there = index.vectors(scope)
    similarities = there.vectors.astype(np.float32) @ question if len(there.vectors) else np.zeros(0, np.float32)
    ends = there.pieces.cumsum()
    pieces: dict[int, tuple[int, float]] = {}
    nearest = _best(similarities, count * _EXACT_PIECES_EACH)
    chunks = np.searchsorted(ends, nearest, side="right")
    numbers = nearest - (ends - there.pieces)[chunks]
    for key, number, similarity in zip(
        there.keys[chunks].tolist(), numbers.tolist(), similarities[nearest].tolist(), strict=True
    ):
        pieces.setdefault(key, (number, similarity))
    together = (sums_of(similarities, there.pieces) / np.maximum(there.lengths, 1e-6)).astype(np.float32)
    best = _best(together, count)
    return NearChunks(pieces, dict(zip(there.keys[best].tolist(), together[best].tolist(), strict=True)))


def _best(similarities: NDArray[np.float32], count: int) -> NDArray[np.int64]:
    """Places of the greatest, greatest first."""
    everything = np.arange(len(similarities))
    some = np.argpartition(similarities, -count)[-count:] if count < len(similarities) else everything
    ordered: NDArray[np.int64] = some[np.argsort(-similarities[some], kind="stable")]
    return ordered

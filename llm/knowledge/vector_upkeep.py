"""Chroma kept in step with the documents: what has left goes, what is missing is made from the documents' own vectors.

Everything here runs on the one thread that writes vectors, or before there is another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from ..exceptions import StoreFullError
from ..logs import KNOWLEDGE, get_logger
from .document_index import DocumentIndex
from .document_rows import sums_of
from .vector_index import VectorIndex, context_ids, retrieval_ids

if TYPE_CHECKING:
    from numpy.typing import NDArray

T = TypeVar("T")

Small = tuple[str, str, Sequence[int], "NDArray[np.float16]"]
"""A version's uid, its document's id, its pieces, and the vectors of its retrieval chunks."""

SLICE = 256  # retrieval chunks that are embedded, written or removed together

log = get_logger(KNOWLEDGE)


def write_large(vectors: VectorIndex, versions: Iterable[Small]) -> None:
    """Vectors of versions' context chunks and of the whole: the directions of what is in them, together."""
    filled = [version for version in versions if len(version[-1])]
    if not filled:
        return
    contexts = [_directions(sums_of(small, pieces)[[count > 0 for count in pieces]]) for _, _, pieces, small in filled]
    ids = [context_ids(uid, pieces) for uid, _, pieces, _ in filled]
    vectors.add(
        "context",
        [id_ for of_version in ids for id_ in of_version],
        np.concatenate(contexts),
        document_ids=[
            document_id for (_, document_id, _, _), of_version in zip(filled, ids, strict=True) for _ in of_version
        ],
    )
    vectors.add(
        "document",
        [uid for uid, *_ in filled],
        _directions(np.stack([directions.sum(axis=0) for directions in contexts])),
        document_ids=[document_id for _, document_id, _, _ in filled],
    )


def pay_debts(index: DocumentIndex, vectors: VectorIndex, *, of_writers: Iterable[str] = ()) -> int:
    """Remove the vectors of what has left; how many versions those were of."""
    debts = index.debts(of_writers=of_writers)
    for group in _groups(debts, lambda debt: sum(debt.pieces)):
        vectors.remove([(debt.uid, debt.pieces) for debt in group])
        index.paid(group)
    return len(debts)


def repair(index: DocumentIndex, vectors: VectorIndex, *, dead_writers: Iterable[str], can_rebuild: bool) -> None:
    """Remove what an ingest that died has left, and make vectors anew where they are missing.

    Args:
        index: of the documents.
        vectors: of the documents.
        dead_writers: whose debts nobody else will pay.
        can_rebuild: whether the vectors are written by nobody else.
    """
    try:
        removed = pay_debts(index, vectors, of_writers=dead_writers)
        if removed:
            log.warning("removed what was left of %d documents that were being added or deleted", removed)
        counts, _, debts = index.counts()
        stored = vectors.count("retrieval"), vectors.count("document")
        expected = counts["retrieval_chunks"], sum(any(pieces) for *_, pieces in index.versions())
        if debts == 0 and can_rebuild and stored != expected:
            log.warning("Chroma has %d of %d vectors; they are written anew", stored[0], expected[0])
            rebuild(index, vectors)
    except StoreFullError:
        log.warning("the disk is full: the store can be read, and is repaired when it is opened with room to write")


def rebuild(index: DocumentIndex, vectors: VectorIndex) -> None:
    """Write all vectors anew; what dies in between is begun again when the store is opened."""
    with vectors.written_anew():
        for group in _groups(index.versions(), lambda version: sum(version[-1])):
            there = [
                (uid, document_id, pieces, small)
                for key, uid, document_id, pieces in group
                if (small := index.vectors_of(key)) is not None and len(small)
            ]
            if not there:
                continue
            vectors.add(
                "retrieval",
                [id_ for uid, _, pieces, _ in there for id_ in retrieval_ids(uid, pieces)],
                np.concatenate([small for *_, small in there]).astype(np.float32),
                document_ids=[document_id for _, document_id, _, small in there for _ in small],
            )
            write_large(vectors, there)


def _groups(items: Iterable[T], size: Callable[[T], int]) -> Iterator[list[T]]:
    """Neighbours, as many as make a slice."""
    group: list[T] = []
    taken = 0
    for item in items:
        group.append(item)
        taken += size(item)
        if taken >= SLICE or len(group) >= SLICE:
            yield group
            group, taken = [], 0
    if group:
        yield group


def _directions(sums: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)
    directions: NDArray[np.float32] = sums / np.maximum(lengths, 1e-6)
    return directions

"""From files to visible documents: reading, embedding and writing at the same time.

    threads of its own        the caller's thread          the writer's thread
    read, convert, cut   ->   embed slices of chunks   ->   vectors to Chroma, then the commit

A slice holds chunks of as many documents as it takes, so that small documents are embedded and written in full batches
and committed together. What is under way is bounded at every arrow. Invariant: a debt is written before a version's
first vector, and the version is committed after its last.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np

from ..document.chunk import ContextChunk
from ..document.document import LoadedDocument
from ..exceptions import KnowledgeError, LLMError
from .document_index import DocumentIndex
from .passage import AddedDocument
from .placement import Content, NewVersion, new_id
from .vector_index import VectorIndex, retrieval_ids
from .vector_upkeep import SLICE, pay_debts, write_large

if TYPE_CHECKING:
    from numpy.typing import NDArray

READERS = 2
_AHEAD = 2  # documents read before they are needed
_UNWRITTEN = 4  # slices embedded and not yet written


class Loader(Protocol):
    """Turns a file's bytes into a document; DocumentLoader does."""

    def load_bytes(self, data: bytes, filename: str) -> LoadedDocument: ...


class Embeds(Protocol):
    """Turns texts into vectors; an Embedder does."""

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]: ...


@dataclass(frozen=True, slots=True)
class Item:
    """A document that is to be added.

    Attributes:
        read: gives the bytes of the file and its name; what it raises is this document's failure.
        source: what tells whether it is another version of a document.
    """

    read: Callable[[], tuple[bytes, str]]
    source: str | None = field(repr=False)


Outcome = AddedDocument | LLMError


@dataclass(slots=True)
class _Underway:
    """A version that is being embedded and written."""

    place: int
    version: NewVersion
    ids: list[str]
    vectors: NDArray[np.float16]


@dataclass(frozen=True, slots=True)
class _Segment:
    """Retrieval chunks of one version that wait to be embedded."""

    underway: _Underway
    start: int
    texts: list[str] = field(repr=False)

    @property
    def end(self) -> int:
        return self.start + len(self.texts)

    @property
    def is_last(self) -> bool:
        return self.end == len(self.underway.ids)


class IngestPipeline:
    """Adds documents. Safe from any thread: each call has its own reading and embedding.

    Args:
        index: where documents become visible.
        vectors: where their vectors go.
        writer: the one thread that writes vectors.
        loader: reads files.
        embedder: makes vectors.
        dimension: of the vectors.
        chunk: cuts a document.
        fingerprint: of everything but the file that decides what is stored.
    """

    def __init__(
        self,
        *,
        index: DocumentIndex,
        vectors: VectorIndex,
        writer: ThreadPoolExecutor,
        loader: Loader,
        embedder: Embeds,
        dimension: int,
        chunk: Callable[[LoadedDocument], Sequence[ContextChunk]],
        fingerprint: str,
    ) -> None:
        self._index = index
        self._vectors = vectors
        self._writer = writer
        self._loader = loader
        self._embedder = embedder
        self._dimension = dimension
        self._chunk = chunk
        self._fingerprint = fingerprint

    def add(
        self, items: Sequence[Item], *, written: Callable[[int], None] | None = None
    ) -> Iterator[tuple[int, Outcome]]:
        """Add documents; each item's number with what came of it, as it comes.

        Args:
            items: at most the readers' and embedders' share of them is in memory.
            written: called with the number of retrieval chunks after each slice.

        Raises:
            KnowledgeError: the store cannot go on. What had been committed is kept.
        """
        return _Run(self, items, written or (lambda _: None)).outcomes()

    def prepared(self, item: Item) -> NewVersion | AddedDocument:
        """Read a document and cut it, unless the store has it already."""
        data, filename = item.read()
        content = Content(sha256=hashlib.sha256(data).hexdigest(), fingerprint=self._fingerprint)
        known = self._index.recognized(content, item.source)
        if known is not None:
            return known
        document = self._loader.load_bytes(data, filename)
        return NewVersion(
            uid=new_id(),
            document_id=self._index.id_for(content, item.source),
            content=content,
            source=item.source,
            document=document,
            chunks=self._chunk(document),
        )


class _Run:
    """One call of `add`."""

    def __init__(self, pipeline: IngestPipeline, items: Sequence[Item], written: Callable[[int], None]) -> None:
        self._pipeline = pipeline
        self._items = items
        self._written = written
        self._slice: list[_Segment] = []
        self._slice_size = 0
        self._underway: dict[int, _Underway] = {}
        self._writing: deque[Future[None]] = deque()
        self._outcomes: deque[tuple[int, Outcome]] = deque()
        self._torn = False  # a slice was written in part; the writer's

    def outcomes(self) -> Iterator[tuple[int, Outcome]]:
        readers = ThreadPoolExecutor(min(READERS, len(self._items)) or 1, thread_name_prefix="read documents")
        try:
            for place, reading in self._read(readers):
                self._take(place, reading)
                yield from self._ready()
            self._embed()
            while self._writing:
                self._writing.popleft().result()
            yield from self._ready()
        finally:
            readers.shutdown(wait=True, cancel_futures=True)
            self._give_up()

    def _read(self, readers: ThreadPoolExecutor) -> Iterator[tuple[int, Future[NewVersion | AddedDocument]]]:
        ahead: deque[tuple[int, Future[NewVersion | AddedDocument]]] = deque()
        for place, item in enumerate(self._items):
            ahead.append((place, readers.submit(self._pipeline.prepared, item)))
            if len(ahead) > _AHEAD:
                yield ahead.popleft()
        yield from ahead

    def _take(self, place: int, reading: Future[NewVersion | AddedDocument]) -> None:
        try:
            prepared = reading.result()
        except KnowledgeError:
            raise
        except LLMError as exc:
            self._outcomes.append((place, exc))
            return
        if not isinstance(prepared, NewVersion):
            self._outcomes.append((place, prepared))
            return
        ids = retrieval_ids(prepared.uid, prepared.pieces)
        underway = _Underway(place, prepared, ids, np.zeros((len(ids), self._pipeline._dimension), np.float16))
        self._underway[place] = underway
        texts = [piece.text for chunk in prepared.chunks for piece in chunk.retrieval]
        start = 0
        while True:
            part = texts[start : start + SLICE - self._slice_size]
            self._slice.append(_Segment(underway, start, part))
            self._slice_size += len(part)
            start += len(part)
            if self._slice_size >= SLICE or len(self._slice) >= SLICE:
                self._embed()
            if start >= len(texts):
                return

    def _embed(self) -> None:
        """Embed the slice and hand it to the writer, who may have a few unwritten ones."""
        segments, self._slice, self._slice_size = self._slice, [], 0
        if not segments:
            return
        texts = [text for segment in segments for text in segment.texts]
        vectors = (
            self._pipeline._embedder.embed(texts) if texts else np.zeros((0, self._pipeline._dimension), np.float32)
        )
        self._writing.append(self._pipeline._writer.submit(self._write, segments, vectors))
        while len(self._writing) > _UNWRITTEN or (self._writing and self._writing[0].done()):
            self._writing.popleft().result()
        self._written(len(texts))

    def _write(self, segments: Sequence[_Segment], vectors: NDArray[np.float32]) -> None:
        """On the writer's thread: vectors, and the commit of versions that are complete with them."""
        if self._torn:  # later slices are of the same versions
            return
        self._torn = True
        self._pipeline._index.owe([segment.underway.version for segment in segments if not segment.start])
        self._write_small(segments, vectors)
        self._commit([segment.underway for segment in segments if segment.is_last])
        pay_debts(self._pipeline._index, self._pipeline._vectors)
        self._torn = False

    def _write_small(self, segments: Sequence[_Segment], vectors: NDArray[np.float32]) -> None:
        ids: list[str] = []
        document_ids: list[str] = []
        for segment in segments:
            underway = segment.underway
            part = vectors[len(ids) : len(ids) + len(segment.texts)]
            underway.vectors[segment.start : segment.end] = part
            ids += underway.ids[segment.start : segment.end]
            document_ids += [underway.version.document_id] * len(part)
        self._pipeline._vectors.add("retrieval", ids, vectors, document_ids=document_ids)

    def _commit(self, complete: Sequence[_Underway]) -> None:
        if not complete:
            return
        versions = [(underway.version, underway.vectors) for underway in complete]
        write_large(
            self._pipeline._vectors,
            [(version.uid, version.document_id, version.pieces, small) for version, small in versions],
        )
        for underway, added in zip(complete, self._pipeline._index.commit(versions), strict=True):
            del self._underway[underway.place]
            self._outcomes.append((underway.place, added))

    def _ready(self) -> Iterator[tuple[int, Outcome]]:
        while self._outcomes:
            yield self._outcomes.popleft()

    def _give_up(self) -> None:
        """What was not committed is a debt that anybody may pay: the next ingest, or whoever opens the store."""
        for writing in self._writing:
            writing.cancel()
        for writing in self._writing:
            with suppress(BaseException):  # the first one was raised
                writing.result()
        if not self._underway:
            return
        with suppress(KnowledgeError):  # they stay debts of this writer, and are paid when the store is opened
            self._pipeline._index.abandon([underway.version.uid for underway in self._underway.values()])

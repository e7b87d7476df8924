"""A knowledge store on this machine: documents and words in SQLite, vectors in Chroma.

    store = ChromaKnowledgeStore(appConfiguration.KnowledgeChromaConfiguration)
    document = store.add_document_from_file("report.pdf")
    passages = store.search_scoped("What are the key findings?", {document["id"]})

What can be seen is decided in one place, the documents' database; Chroma only says what is near. So there is one moment
at which a document appears, is replaced, or leaves, although two databases are written.
"""

from __future__ import annotations

import json
import os
import re
import threading
import weakref
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from ..document.chunker import ChunkSizes, chunk_document
from ..document.document_source import read_file
from ..document.file_type import EXTENSIONS
from ..document.limits import DocumentLimits
from ..exceptions import (
    DocumentNotFoundError,
    KnowledgeStoreError,
    LLMError,
    RequestError,
    StoreFullError,
    StoreLockedError,
)
from ..logs import KNOWLEDGE, get_logger
from .chroma_knowledge_config import ChromaKnowledgeConfig
from .document_index import DocumentIndex
from .document_rows import storable
from .document_scope import DocumentScope
from .document_search import DocumentSearch
from .folder_lock import FolderLock
from .ingest import IngestProgress, IngestResult, ProgressCallback, StrPath, files_of
from .ingest_pipeline import IngestPipeline, Item, Loader
from .knowledge_store import KnowledgeStore
from .passage import (
    AddedDocument,
    Counts,
    DocumentInfo,
    Passage,
    RetrievalPassage,
    SearchMode,
    Stats,
    StoredDocument,
)
from .placement import new_id
from .progress_bar import shown_progress
from .vector_index import VectorIndex
from .vector_upkeep import pay_debts, rebuild, repair

if TYPE_CHECKING:
    from ..document.embeddings import Embedder

_CHUNKER = 1  # goes up when documents are cut differently
_CONTEXT_ID = re.compile(r"([0-9a-f]{24}):([0-9]{1,8})")
_RETRIEVAL_ID = re.compile(_CONTEXT_ID.pattern + r":([0-9]{1,8})")
_LONGEST_SOURCE = 4096

log = get_logger(KNOWLEDGE)


class ChromaKnowledgeStore(KnowledgeStore):
    """See KnowledgeStore for what each call promises. Opening loads the embedding model and repairs what a crash left.

    Args:
        config: where data is kept, and how documents are cut.
        loader: reads files; None reads all supported kinds in a process of its own.
        embedder: makes vectors; None opens the configured model. What is given here is not closed with the store.

    Raises:
        StoreLockedError: another process has the folder open.
        EmbedderMismatchError: the store's vectors were made by another model.
        KnowledgeStoreError: the folder or the server cannot be used.
        ModelError: the embedding model cannot be had.
    """

    def __init__(
        self, config: ChromaKnowledgeConfig, *, loader: Loader | None = None, embedder: Embedder | None = None
    ) -> None:
        self._config = config
        self._folder = Path(config.persist_directory)
        self._users: Counter[int] = Counter()
        self._state = threading.Condition()
        self._closed = False
        self._process = os.getpid()
        with ExitStack() as resources:
            self._open(resources, loader, embedder)
            kept = resources.pop_all()
        self._release = weakref.finalize(self, kept.close)

    def _open(self, resources: ExitStack, loader: Loader | None, embedder: Embedder | None) -> None:
        """Everything that is given back again, in the opposite order."""
        _make_folder(self._folder)
        writer = new_id()
        lock = FolderLock(self._folder, **({} if self._config.host is None else {"name": _writer_lock(writer)}))
        resources.callback(lock.release)
        self._index = DocumentIndex(self._folder, writer=writer)
        resources.callback(self._index.database.close)
        if embedder is None:
            from ..document.embeddings import open_embedder

            embedder = open_embedder(self._config)
            resources.callback(embedder.close)
        self._embedder = embedder
        if loader is None:
            from ..document.document_loader import DocumentLoader

            loader = DocumentLoader(artifacts_path=self._config.artifacts_path, encoding=self._config.text_encoding)
            resources.callback(loader.close)
        self._vectors = VectorIndex(
            self._config,
            store=self._index.fact("store", new_id()),
            embedder=embedder.identity,
            dimension=embedder.dimension,
        )
        resources.callback(self._vectors.close)
        self._documents = DocumentSearch(index=self._index, vectors=self._vectors, embedder=embedder)
        resources.callback(self._documents.close)
        writing = ThreadPoolExecutor(1, thread_name_prefix="write documents")
        resources.callback(writing.shutdown)
        sizes = ChunkSizes.of(self._config)
        self._pipeline = IngestPipeline(
            index=self._index,
            vectors=self._vectors,
            writer=writing,
            loader=loader,
            embedder=embedder,
            dimension=embedder.dimension,
            chunk=lambda document: chunk_document(document, sizes),
            fingerprint=json.dumps(
                [_CHUNKER, sizes.context, sizes.context_overlap, sizes.retrieval, sizes.retrieval_overlap]
            ),
        )
        self._writing = writing
        repair(
            self._index,
            self._vectors,
            dead_writers=[writer for writer in self._index.writers() if self._is_dead(writer)],
            can_rebuild=self._config.host is None,
        )

    # Adding

    def add_document_from_file(self, path: StrPath, *, source: str | None = None) -> AddedDocument:
        return self._add(_item_of_file(path, source))

    def add_document_from_bytes(self, data: bytes, filename: str, *, source: str | None = None) -> AddedDocument:
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise RequestError(f"data must be bytes, not {type(data).__name__}.")
        return self._add(_item_of_bytes(lambda: bytes(data), filename, source))

    def add_document_from_stream(self, stream: BinaryIO, filename: str, *, source: str | None = None) -> AddedDocument:
        # One byte more than allowed tells the loader that it is too much.
        data = stream.read(DocumentLimits().max_file_size + 1)
        return self.add_document_from_bytes(data, filename, source=source)

    def add_documents(
        self, paths: StrPath | Iterable[StrPath], *, progress: ProgressCallback | bool | None = None
    ) -> list[IngestResult]:
        files = list(files_of(paths, is_supported=_is_supported))
        results: list[IngestResult | None] = [None] * len(files)
        done = chunks = 0
        with self._using(), shown_progress(progress, len(files)) as tell:

            def written(count: int) -> None:
                nonlocal chunks
                chunks += count
                tell(IngestProgress(done, len(files), chunks))

            outcomes = self._pipeline.add([_item_of_file(path, None) for path in files], written=written)
            for place, outcome in outcomes:
                if isinstance(outcome, LLMError):
                    log.warning("document %r was not added: %s", files[place].name, type(outcome).__name__)
                    result = IngestResult(str(files[place]), error=outcome)
                else:
                    result = IngestResult(str(files[place]), outcome)
                results[place] = result
                done += 1
                tell(IngestProgress(done, len(files), chunks, result))
        return [result for result in results if result is not None]

    def _add(self, item: Item) -> AddedDocument:
        with self._using():
            (outcome,) = (outcome for _, outcome in self._pipeline.add([item]))
        if isinstance(outcome, LLMError):
            raise outcome
        log.info(
            "document %s: %d context chunks, %d retrieval chunks%s",
            outcome["id"],
            outcome["context_chunks"],
            outcome["retrieval_chunks"],
            ", already there" if outcome["already_there"] else "",
        )
        return outcome

    # Finding

    def _find(self, query: str, scope: DocumentScope, top_k: int, mode: SearchMode) -> list[Passage]:
        with self._using():
            return self._documents.find(query, scope, top_k, mode)

    # Looking

    def get_document(self, document_id: str) -> StoredDocument:
        with self._using():
            return self._index.info(document_id)

    def get_chunk(self, chunk_id: str) -> RetrievalPassage:
        found = _RETRIEVAL_ID.fullmatch(chunk_id) if isinstance(chunk_id, str) else None
        if found is None:
            raise DocumentNotFoundError(f"{chunk_id!r} is not the id of a retrieval chunk.")
        with self._using():
            return self._index.retrieval_chunk(found[1], int(found[2]), int(found[3]))

    def get_context_chunk(self, chunk_id: str) -> Passage:
        text = chunk_id if isinstance(chunk_id, str) else ""
        found = _CONTEXT_ID.fullmatch(text) or _RETRIEVAL_ID.fullmatch(text)
        if found is None:
            raise DocumentNotFoundError(f"{chunk_id!r} is not the id of a chunk.")
        with self._using():
            return self._index.context_chunk(found[1], int(found[2]))

    def list_documents(self, *, limit: int | None = None, after: str | None = None) -> list[DocumentInfo]:
        if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 1):
            raise RequestError(f"limit={limit!r} is not allowed: a whole number from 1, or None.")
        with self._using():
            return self._index.documents(limit=limit, after=after)

    def counts(self) -> Counts:
        with self._using():
            return self._index.counts()[0]

    def stats(self) -> Stats:
        with self._using():
            counts, characters, debts = self._index.counts()
        return {
            **counts,
            "characters": characters,
            "disk_bytes": None if self._config.host is not None else _size(self._folder),
            "embedder": self._embedder.identity,
            "dimension": self._embedder.dimension,
            "pending": debts,
        }

    # Removing

    def delete_document(self, document_id: str) -> bool:
        with self._using():
            removed = self._index.remove(document_id)
            if removed:
                log.info("document %s was deleted", document_id)
                self._pay()
        return removed

    def clear(self) -> None:
        with self._using():
            self._index.remove_all()
            log.info("all documents were deleted")
            self._pay()

    def purge(self) -> None:
        """Remove what was deleted from the bytes of the files as well. Takes as long as copying the store.

        Vectors say something about the text that they are of, so Chroma's files are made anew. Searches go on
        meanwhile. What a Chroma server keeps on its disk is up to the server.
        """
        with self._using():
            self._pay()
            self._index.database.compact()
            if self._config.host is None:
                self._writing.submit(rebuild, self._index, self._vectors).result()

    def close(self) -> None:
        """Give everything back, once the calls of other threads have ended. A second call does nothing."""
        with self._state:
            self._closed = True
            self._state.wait_for(lambda: not set(self._users) - {threading.get_ident()})
        if os.getpid() == self._process:
            self._release()

    def _pay(self) -> None:
        """Have the writer's thread remove the vectors of what has left."""
        try:
            self._writing.submit(pay_debts, self._index, self._vectors).result()
        except StoreFullError:
            log.warning("vectors of deleted documents stay in Chroma until there is room on the disk")

    def _is_dead(self, writer: str) -> bool:
        if self._config.host is None:
            return True  # the folder is ours alone
        try:
            lock = FolderLock(self._folder, name=_writer_lock(writer))
        except StoreLockedError:
            return False
        lock.release()
        (self._folder / _writer_lock(writer)).unlink(missing_ok=True)
        return True

    @contextmanager
    def _using(self) -> Iterator[None]:
        """A call is under way; the store is not closed before it has ended."""
        thread = threading.get_ident()
        with self._state:
            if os.getpid() != self._process:
                raise KnowledgeStoreError(
                    f"The knowledge store in {str(self._folder)!r} was opened in another process; open it in this one."
                )
            if self._closed:
                raise KnowledgeStoreError(f"The knowledge store in {str(self._folder)!r} was closed; open another one.")
            self._users[thread] += 1
        try:
            yield
        finally:
            with self._state:
                self._users[thread] -= 1
                if not self._users[thread]:
                    del self._users[thread]
                self._state.notify_all()

    def __repr__(self) -> str:
        return f"<ChromaKnowledgeStore {str(self._folder)!r}{', closed' if self._closed else ''}>"


def _item_of_file(path: StrPath, source: str | None) -> Item:
    known_as = "path:" + storable(os.path.realpath(path)) if source is None else _named(source)
    return Item(lambda: read_file(path, max_size=DocumentLimits().max_file_size), known_as)


def _item_of_bytes(read: Callable[[], bytes], filename: str, source: str | None) -> Item:
    if not isinstance(filename, str) or not filename:
        raise RequestError("filename must be the name of the file, which says what kind of document it is.")
    return Item(lambda: (read(), filename), None if source is None else _named(source))


def _named(source: object) -> str:
    if not isinstance(source, str) or not 0 < len(source) <= _LONGEST_SOURCE:
        raise RequestError(f"source must be text of 1 to {_LONGEST_SOURCE} characters, or None.")
    return "name:" + storable(source)


def _is_supported(name: str) -> bool:
    return name.rpartition(".")[2].lower() in EXTENSIONS


def _writer_lock(writer: str) -> str:
    return f"writer-{writer}.lock"


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as exc:
        raise KnowledgeStoreError(
            f"The folder {str(folder)!r} cannot be made: {exc.strerror}. "
            "Name another one in KB_CHROMA_PERSIST_DIRECTORY."
        ) from exc


def _size(folder: Path) -> int:
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(place, name)).st_size
            except FileNotFoundError:
                continue  # Chroma has just replaced it
    return total

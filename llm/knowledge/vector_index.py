"""The vectors in Chroma: one collection for each size of thing, given vectors only, never text.

Chroma is told every vector; it has no embedding function, for its own would be downloaded. Ids say whose a vector is:

    UID                 a document's version
    UID:NUMBER          a context chunk of it
    UID:NUMBER:PIECE    a retrieval chunk of that

Nothing is filtered in here. What a search may see is decided where documents are, and a filter costs Chroma more than
looking further.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import chromadb
import numpy as np
from chromadb.config import Settings
from chromadb.errors import ChromaError, InternalError

from ..exceptions import EmbedderMismatchError, KnowledgeStoreError, StoreFullError
from ..logs import KNOWLEDGE, get_logger
from .index_padding import wipe_unused_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .chroma_knowledge_config import ChromaKnowledgeConfig

T = TypeVar("T")

log = get_logger(KNOWLEDGE)

WRITE_BATCH = 50  # Chroma in this process holds the interpreter lock while it writes; an event loop would wait for more
_ATTEMPTS = 3
FREE_BYTES = 4 << 20  # left on the disk: Chroma does not survive writing to a full one
_BYTES_PER_ROW = 8192  # a vector in Chroma's log, its index, and the index while it is being written
_STORE, _EMBEDDER, _DIMENSION = "practorflow_store", "practorflow_embedder", "practorflow_dimension"


@dataclass(frozen=True, slots=True)
class Near:
    """A chunk that is near a question; `piece` is None for a context chunk."""

    uid: str
    number: int
    piece: int | None
    similarity: float


class VectorIndex:
    """Three collections. Safe from any thread.

    Args:
        config: of the store.
        store: names the store; collections of another one are refused.
        embedder: identity of what the vectors are made with.
        dimension: of the vectors.

    Raises:
        EmbedderMismatchError: the collections' vectors were made by something else.
        KnowledgeStoreError: Chroma, or its server, cannot be used.
    """

    def __init__(self, config: ChromaKnowledgeConfig, *, store: str, embedder: str, dimension: int) -> None:
        self._config = config
        self._folder = Path(config.persist_directory)
        self._facts = {_STORE: store, _EMBEDDER: embedder, _DIMENSION: dimension}
        self._broken = False
        self._rebuilding = False
        self._open()

    def add(self, kind: str, ids: Sequence[str], vectors: NDArray[np.float32], *, document_ids: Sequence[str]) -> None:
        """Write vectors, in batches that an event loop can bear.

        Args:
            kind: "document", "context" or "retrieval".
            ids: of the vectors.
            vectors: one row each.
            document_ids: whose each is, for those who look into Chroma; nothing here depends on it.
        """
        collection = self._collections[kind]
        for first in range(0, len(ids), self._batch):
            part = ids[first : first + self._batch]
            self._check_room(len(part))
            with self._errors():
                collection.upsert(
                    ids=list(part),
                    embeddings=vectors[first : first + self._batch],
                    metadatas=[{"document_id": id_} for id_ in document_ids[first : first + self._batch]],
                )
                if kind in self._empty:  # its file has just been made
                    self._empty.discard(kind)
                    self._wipe()

    def remove(self, versions: Sequence[tuple[str, Sequence[int]]]) -> None:
        """Remove all vectors of documents' versions, as far as they are there.

        Args:
            versions: uid of each, and the number of retrieval chunks of each of its context chunks.
        """
        retrieval = [id_ for uid, pieces in versions for id_ in retrieval_ids(uid, pieces)]
        contexts = [id_ for uid, pieces in versions for id_ in context_ids(uid, pieces)]
        for kind, ids in (("retrieval", retrieval), ("context", contexts), ("document", [uid for uid, _ in versions])):
            for first in range(0, len(ids), self._batch):
                with self._errors():
                    self._collections[kind].delete(ids=ids[first : first + self._batch])

    def nearest(self, kind: str, vector: NDArray[np.float32], count: int) -> list[Near] | None:
        """The chunks of a kind nearest to a vector, nearest first; `count` of them where there are so many.

        None when Chroma cannot be asked: it has run into a full disk, is being written anew, or fails.
        """
        found: Any = self._asked(
            lambda: self._collections[kind].query(
                query_embeddings=vector.reshape(1, -1), n_results=count, include=["distances"]
            )
        )
        if found is None:
            return None
        return [_near(id_, distance) for id_, distance in zip(found["ids"][0], found["distances"][0], strict=True)]

    def _asked(self, question: Callable[[], T]) -> T | None:
        """Chroma's answer. A question may meet a deletion half way and fail, so it is asked again."""
        for _ in range(_ATTEMPTS):
            if self._broken or self._rebuilding:
                return None
            try:
                with self._errors():
                    return question()
            except KnowledgeStoreError as exc:
                cause = type(exc.__cause__).__name__
        log.warning("Chroma in %s does not answer (%s); vectors are compared without it", self._where(), cause)
        return None

    def count(self, kind: str = "retrieval") -> int:
        """Vectors in a collection, those without a document included."""
        with self._errors():
            return int(self._collections[kind].count())

    @contextmanager
    def written_anew(self) -> Iterator[None]:
        """Drop the collections with their files; the caller fills the new ones until the block ends."""
        self._rebuilding = True
        self._drop()
        self._open()
        yield
        self._rebuilding = False

    def close(self) -> None:
        """Give Chroma's files back."""
        self._client.close()

    def _open(self) -> None:
        with self._errors():
            self._connect()
            try:
                sizes = self._sizes()
            except InternalError:
                if self._config.host is not None:
                    raise
                # Chroma writes an index in place, so a process that dies meanwhile leaves half of it.
                log.warning("Chroma in %s cannot read its index; it is dropped", self._where())
                self._drop()
                self._connect()
                sizes = self._sizes()
            self._empty = {kind for kind, size in sizes.items() if not size}
            self._wipe()

    def _connect(self) -> None:
        self._client = _client(self._config)
        most = WRITE_BATCH if self._config.host is None else self._client.get_max_batch_size()
        self._batch = min(self._config.batch_size, most) if most > 0 else self._config.batch_size
        self._collections = {
            "retrieval": self._collection(self._config.retrieve_collection),
            "context": self._collection(self._config.context_collection),
            "document": self._collection(self._config.document_collection),
        }

    def _sizes(self) -> dict[str, int]:
        """Counting opens an index, which makes its file anew as long as it is small."""
        return {kind: int(collection.count()) for kind, collection in self._collections.items()}

    def _drop(self) -> None:
        """Remove the collections with their files, and close."""
        with self._errors():
            for collection in self._collections.values():
                self._client.delete_collection(collection.name)
        self._client.close()
        for entry in self._folder.iterdir():  # Chroma leaves the folders of dropped collections behind
            if entry.is_dir() and not entry.is_symlink() and (entry / "data_level0.bin").exists():
                shutil.rmtree(entry)
        self._compact()

    def _wipe(self) -> None:
        """Chroma makes its files with what memory happens to hold; see index_padding."""
        if self._config.host is None:
            wipe_unused_rows(self._folder)

    def _compact(self) -> None:
        """Write Chroma's own SQLite file anew without what was deleted, while nobody has it open."""
        with self._errors(), closing(sqlite3.connect(self._folder / "chroma.sqlite3")) as connection:
            connection.execute("VACUUM")

    def _collection(self, name: str) -> Any:
        collection = self._client.get_or_create_collection(
            name, embedding_function=None, metadata=dict(self._facts), configuration={"hnsw": {"space": "cosine"}}
        )
        found = collection.metadata or {}
        if found.get(_EMBEDDER) != self._facts[_EMBEDDER] or found.get(_DIMENSION) != self._facts[_DIMENSION]:
            raise EmbedderMismatchError(
                f"Collection {name!r} has vectors of {found.get(_EMBEDDER)!r} with {found.get(_DIMENSION)} dimensions, "
                f"and the configuration names {self._facts[_EMBEDDER]!r} with {self._facts[_DIMENSION]}. Set "
                "KB_CHROMA_EMBEDDING_MODEL back, or add the documents to a store in another folder."
            )
        if found.get(_STORE) != self._facts[_STORE]:
            raise KnowledgeStoreError(
                f"Collection {name!r} in {self._where()} belongs to another knowledge store, or the database of its "
                "documents is gone. Name other collections (KB_CHROMA_RETRIEVE_COLLECTION and so on) or another folder."
            )
        return collection

    def _where(self) -> str:
        if self._config.host is None:
            return repr(self._config.persist_directory)
        return f"the Chroma server {self._config.host}:{self._config.port}"

    def _check_room(self, rows: int) -> None:
        """Refuse to write before the disk is full: Chroma keeps what it says has failed, and hangs afterwards."""
        if self._config.host is not None:
            return
        free = shutil.disk_usage(self._folder).free
        if free < FREE_BYTES + rows * _BYTES_PER_ROW:
            raise StoreFullError(
                f"The disk of the knowledge store {str(self._folder)!r} has {free >> 20} MB left, which is not enough. "
                "What was stored can still be read; make room and add the document again."
            )

    @contextmanager
    def _errors(self) -> Iterator[None]:
        if self._broken:
            raise StoreFullError(
                f"Chroma in {self._where()} ran into a full disk. What was stored can be read; make room, then close "
                "the store and open it again."
            )
        try:
            yield
        except (ChromaError, ValueError, OSError, AttributeError, sqlite3.Error) as exc:  # the last but one: closed
            words = str(exc)
            if "full" in words or "No space left" in words:
                self._broken = True
                raise StoreFullError(
                    f"The disk of Chroma in {self._where()} is full. What was stored can be read; make room, then give "
                    "the same command again."
                ) from exc
            # Chroma's own words may quote what it was given.
            raise KnowledgeStoreError(
                f"Chroma in {self._where()} failed: {type(exc).__name__}. {self._advice()}"
            ) from exc

    def _advice(self) -> str:
        if self._config.host is None:
            return "Try again; if that does not help, name another folder in KB_CHROMA_PERSIST_DIRECTORY and fill it."
        return "Check that it runs there (KB_CHROMA_HOST, KB_CHROMA_PORT), and that it is of the same version."


def retrieval_ids(uid: str, pieces: Sequence[int]) -> list[str]:
    """Ids of a version's retrieval chunks, from their number in each of its context chunks."""
    return [f"{uid}:{number}:{piece}" for number, count in enumerate(pieces) for piece in range(count)]


def context_ids(uid: str, pieces: Sequence[int]) -> list[str]:
    """Ids of a version's context chunks that have retrieval chunks; the others have no vector."""
    return [f"{uid}:{number}" for number, count in enumerate(pieces) if count]


def _near(id_: str, distance: float) -> Near:
    uid, number, *piece = id_.split(":")
    return Near(uid, int(number), int(piece[0]) if piece else None, 1.0 - distance)


def _client(config: ChromaKnowledgeConfig) -> Any:
    settings = Settings(
        anonymized_telemetry=False, chroma_otel_collection_endpoint="", chroma_otel_collection_headers={}
    )
    if config.host is not None:
        return chromadb.HttpClient(host=config.host, port=config.port, settings=settings)
    return chromadb.PersistentClient(path=config.persist_directory, settings=settings)

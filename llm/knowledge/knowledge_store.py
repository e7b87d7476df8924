"""The contract of knowledge stores: documents go in as files, passages that can be cited come out.

Calls block (a disk, an embedding model or a database answers them) and are safe from any thread; in asynchronous code
they go through `asyncio.to_thread`.

Invariants: a document is visible as a whole or not at all, whatever kills the process in between; what a call has
acknowledged by returning is kept; a search sees nothing outside its scope; after `delete_document` has returned,
nothing finds the document.
"""

from __future__ import annotations

import base64
import binascii
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import BinaryIO

from ..exceptions import RequestError
from .document_scope import DocumentScope
from .ingest import IngestResult, ProgressCallback, StrPath
from .passage import (
    SEARCH_MODES,
    AddedDocument,
    Counts,
    DocumentInfo,
    Passage,
    RetrievalPassage,
    SearchMode,
    Stats,
    StoredDocument,
)

DEFAULT_TOP_K = 5
MAX_TOP_K = 1000


class KnowledgeStore(ABC):
    """Keeps documents and finds passages in them. Also a context manager that closes it."""

    @abstractmethod
    def add_document_from_file(self, path: StrPath, *, source: str | None = None) -> AddedDocument:
        """Add a document from a file on this machine.

        The same content again is recognized and written once. A file that has changed since it was added replaces its
        earlier version, at once and under the same id.

        Args:
            path: of the file.
            source: what tells whether this is another version of a document; None takes the file's absolute path.

        Raises:
            DocumentError: the file cannot be read as a document.
            KnowledgeError: it cannot be stored. Nothing of it is visible then.
        """

    @abstractmethod
    def add_document_from_bytes(self, data: bytes, filename: str, *, source: str | None = None) -> AddedDocument:
        """Add a document from its bytes.

        Args:
            data: content of the file.
            filename: names the kind of document and is cited; nothing is opened by it.
            source: what tells whether this is another version of a document; None takes it for one of its own,
                unless the store has the same content.

        Raises:
            As `add_document_from_file`.
        """

    def add_document_from_base64(self, data: str, filename: str, *, source: str | None = None) -> AddedDocument:
        """Add a document from base64 text, with or without a ``data:`` prefix; see `add_document_from_bytes`.

        Raises:
            RequestError: it is not base64.
        """
        if not isinstance(data, str):
            raise RequestError(f"data must be base64 text, not {type(data).__name__}.")
        body = data.partition(",")[2] if data.startswith("data:") else data
        try:
            content = base64.b64decode("".join(body.split()), validate=True)
        except (binascii.Error, ValueError):
            content = None
        if content is None:
            # Outside the handler's reach: the cause would quote the data.
            raise RequestError(f"data of {filename!r} is not base64.")
        return self.add_document_from_bytes(content, filename, source=source)

    @abstractmethod
    def add_document_from_stream(self, stream: BinaryIO, filename: str, *, source: str | None = None) -> AddedDocument:
        """Add a document from an open binary file, read from where it stands; see `add_document_from_bytes`."""

    @abstractmethod
    def add_documents(
        self,
        paths: StrPath | Iterable[StrPath],
        *,
        progress: ProgressCallback | bool | None = None,
    ) -> list[IngestResult]:
        """Add files and folders. One that fails does not stop the others; what is there already costs one read.

        An ingest that was broken off is resumed by calling it again.

        Args:
            paths: a file or folder, or several.
            progress: called after each file, in the calling thread; True shows a bar; None shows one on a terminal.

        Returns:
            What came of each file, in order.

        Raises:
            KnowledgeError: the store cannot go on: it is full, closed, or broken.
        """

    def search(self, query: str, top_k: int = DEFAULT_TOP_K, *, mode: SearchMode = "hybrid") -> list[Passage]:
        """The passages of all documents that answer best.

        Args:
            query: in words.
            top_k: the most passages.
            mode: "hybrid" fuses meaning and words, "dense" takes meaning alone, "text" words alone.

        Returns:
            Passages, best first, each once.

        Raises:
            RequestError: an argument is wrong.
            KnowledgeError: the store cannot answer.
        """
        return self._search(query, DocumentScope.everything(), top_k, mode)

    def search_scoped(
        self,
        query: str,
        document_ids: Iterable[str] | DocumentScope,
        top_k: int = DEFAULT_TOP_K,
        *,
        mode: SearchMode = "hybrid",
    ) -> list[Passage]:
        """The passages of exactly these documents that answer best; nothing where there are no ids.

        Args:
            query: in words.
            document_ids: any number of them; one that no document has adds nothing.
            top_k, mode: as for `search`.

        Raises:
            RequestError: an argument is wrong. None is no scope; `search` covers all documents.
        """
        scope = document_ids if isinstance(document_ids, DocumentScope) else DocumentScope.only(document_ids)
        return self._search(query, scope, top_k, mode)

    def _search(self, query: str, scope: DocumentScope, top_k: int, mode: SearchMode) -> list[Passage]:
        """Checks what it is asked. An empty scope touches nothing."""
        if not isinstance(query, str):
            raise RequestError(f"query must be text, not {type(query).__name__}.")
        if isinstance(top_k, bool) or not isinstance(top_k, int) or not 1 <= top_k <= MAX_TOP_K:
            raise RequestError(f"top_k={top_k!r} is not allowed: a whole number from 1 to {MAX_TOP_K}.")
        if mode not in SEARCH_MODES:
            raise RequestError(f"mode={mode!r} is not allowed: one of {', '.join(map(repr, SEARCH_MODES))}.")
        if scope.is_empty or not query.strip():
            return []
        return self._find(query, scope, top_k, mode)

    @abstractmethod
    def _find(self, query: str, scope: DocumentScope, top_k: int, mode: SearchMode) -> list[Passage]:
        """The search itself; arguments are checked and the scope is not empty."""

    @abstractmethod
    def get_document(self, document_id: str) -> StoredDocument:
        """A document with its text.

        Raises:
            DocumentNotFoundError: there is none of this id.
        """

    @abstractmethod
    def get_chunk(self, chunk_id: str) -> RetrievalPassage:
        """A retrieval chunk.

        Raises:
            DocumentNotFoundError: there is none of this id.
        """

    @abstractmethod
    def get_context_chunk(self, chunk_id: str) -> Passage:
        """A context chunk, by its own id or by that of a retrieval chunk in it.

        Raises:
            DocumentNotFoundError: there is none of this id.
        """

    @abstractmethod
    def list_documents(self, *, limit: int | None = None, after: str | None = None) -> list[DocumentInfo]:
        """The documents, oldest first.

        Args:
            limit: the most documents; None lists all.
            after: id of the last document of the page before.

        Raises:
            RequestError: the limit is no whole number from 1.
            DocumentNotFoundError: there is no document of the id `after`.
        """

    @abstractmethod
    def delete_document(self, document_id: str) -> bool:
        """Remove a document everywhere. Nothing finds it once this has returned.

        Returns:
            Whether there was one.
        """

    @abstractmethod
    def purge(self) -> None:
        """Remove what was deleted from the bytes of the files as well. Takes as long as copying the store."""

    @abstractmethod
    def clear(self) -> None:
        """Delete all documents."""

    @abstractmethod
    def counts(self) -> Counts:
        """How many documents and chunks there are."""

    @abstractmethod
    def stats(self) -> Stats:
        """Counts, and what they take."""

    @abstractmethod
    def close(self) -> None:
        """Give everything back. A second call does nothing; every other call raises KnowledgeStoreError afterwards."""

    def __enter__(self) -> KnowledgeStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

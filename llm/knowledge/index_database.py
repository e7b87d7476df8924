"""The store's own SQLite file: transactions to read and to write in, and errors of our own.

It holds what documents say and which of them there are; a document is visible if and only if it stands here. Chroma
holds vectors only, and nothing in it can be seen that is not also here.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Empty, LifoQueue

from ..exceptions import KnowledgeStoreError, StoreFullError

FILE_NAME = "documents.sqlite3"
SCHEMA_VERSION = 1
BUSY_SECONDS = 30.0

_SETTINGS = (
    "PRAGMA journal_mode = WAL",  # readers do not wait for the writer, nor it for them
    "PRAGMA synchronous = FULL",  # a commit is on the disk before it is acknowledged, through a power cut too
    "PRAGMA secure_delete = ON",  # what is deleted is overwritten
    "PRAGMA temp_store = MEMORY",  # no text in temporary files
)
_SCHEMA = (
    "CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
    """CREATE TABLE documents (
        key INTEGER PRIMARY KEY AUTOINCREMENT,  -- of this version; a replaced document gets a new one
        id TEXT NOT NULL UNIQUE,
        uid TEXT NOT NULL UNIQUE,  -- of this version, in the ids of its vectors
        sha256 TEXT NOT NULL,
        fingerprint TEXT NOT NULL,
        filename TEXT NOT NULL,
        file_type TEXT NOT NULL,
        content_length INTEGER NOT NULL,
        page_count INTEGER,
        complete INTEGER NOT NULL,
        warnings TEXT NOT NULL,
        context_chunks INTEGER NOT NULL,
        retrieval_chunks INTEGER NOT NULL,
        pieces TEXT NOT NULL,  -- retrieval chunks of each context chunk
        created_at TEXT NOT NULL,
        updated_at TEXT NOT NULL
    )""",
    "CREATE INDEX documents_by_content ON documents (sha256)",
    "CREATE TABLE sources (source TEXT PRIMARY KEY, document_id TEXT NOT NULL) WITHOUT ROWID",
    "CREATE INDEX sources_by_document ON sources (document_id)",
    "CREATE TABLE texts (document INTEGER PRIMARY KEY, text TEXT NOT NULL)",
    # In half precision; and for each context chunk the length of the sum of its retrieval chunks' vectors.
    "CREATE TABLE vectors (document INTEGER PRIMARY KEY, vectors BLOB NOT NULL, lengths BLOB NOT NULL)",
    """CREATE TABLE context_chunks (
        key INTEGER PRIMARY KEY,  -- of the document, shifted, and its number in it
        start INTEGER NOT NULL,
        end INTEGER NOT NULL,
        page INTEGER,
        last_page INTEGER,
        part TEXT,
        headings TEXT NOT NULL,
        pieces TEXT NOT NULL,  -- start and end of each retrieval chunk
        text TEXT NOT NULL
    )""",
    # Without content: the words lead to a context chunk's key, and the text stands there.
    "CREATE VIRTUAL TABLE words USING fts5(body, content='', tokenize='porter unicode61 remove_diacritics 2')",
    # Vectors that are, or may be, in Chroma without a document: of one being added, or of one that has left.
    "CREATE TABLE debts (uid TEXT PRIMARY KEY, pieces TEXT NOT NULL, writer TEXT) WITHOUT ROWID",
)


class IndexDatabase:
    """Hands out transactions; any number of threads may ask.

    Args:
        folder: of the store; exists.

    Raises:
        KnowledgeStoreError: the file cannot be used, or is of a later version of this library.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE_NAME
        self._idle: LifoQueue[sqlite3.Connection] = LifoQueue()
        self._one_writer = threading.Lock()
        self._closed = False
        try:
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
        except OSError as exc:
            raise _translated(exc, self.path) from exc
        with self.writing() as connection:
            _prepare(connection, self.path)

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A transaction that sees one moment and changes nothing."""
        with self._connection() as connection:
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                connection.execute("ROLLBACK")

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction that is kept when the block ends, and undone when it raises."""
        with self._one_writer, self._connection() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):  # SQLite may have rolled back by itself, as on a full disk
                    connection.execute("ROLLBACK")
                raise

    def compact(self) -> None:
        """Write the file anew without what was deleted, and empty the log. Needs as much room as the file takes."""
        with self.writing() as connection:
            connection.execute("INSERT INTO words (words) VALUES ('optimize')")
        with self._one_writer, self._connection() as connection:
            connection.execute("VACUUM")
        self.empty_log()

    def empty_log(self) -> None:
        """Move the write-ahead log into the file: it still has what was there before."""
        with self._one_writer, self._connection() as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def close(self) -> None:
        """Give back the connections that are idle; the others are when they come back."""
        self._closed = True
        with suppress(Empty):
            while True:
                self._idle.get_nowait().close()

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        if self._closed:
            raise KnowledgeStoreError(f"The knowledge store in {str(self.path.parent)!r} was closed; open another one.")
        connection: sqlite3.Connection | None = None
        try:
            try:
                connection = self._idle.get_nowait()
            except Empty:
                connection = _connect(self.path)
            yield connection
        except sqlite3.Error as exc:
            raise _translated(exc, self.path) from exc
        finally:
            if connection is not None:
                if self._closed or connection.in_transaction:
                    connection.close()
                else:
                    self._idle.put(connection)


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    connection.row_factory = sqlite3.Row
    for setting in _SETTINGS:
        connection.execute(setting).fetchall()
    return connection


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > SCHEMA_VERSION:
        raise KnowledgeStoreError(
            f"{str(path)!r} has version {version} and this library reads up to {SCHEMA_VERSION}. Upgrade practorflow, "
            "or name another folder in KB_CHROMA_PERSIST_DIRECTORY."
        )
    if version == 0:
        for statement in _SCHEMA:
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _translated(exc: Exception, path: Path) -> KnowledgeStoreError:
    """An error of ours. SQLite's messages name tables and files and quote no values."""
    words = str(exc)
    if "full" in words or "No space left" in words:
        return StoreFullError(
            f"The disk of the knowledge store {str(path.parent)!r} is full. What was stored can still be read; make "
            "room and add the document again."
        )
    return KnowledgeStoreError(
        f"The knowledge store's database {str(path)!r} failed: {words}. Look after it, or name another folder in "
        "KB_CHROMA_PERSIST_DIRECTORY."
    )

"""Which documents there are and what they say, in the store's own database.

Invariants: a document's rows are written in one transaction and removed in one, so that it is visible as a whole or not
at all. A vector that is in Chroma belongs to a document here or to a debt here; a debt is written before the vectors
and paid after they have gone.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from ..document.chunk import ContextChunk
from ..document.document import LoadedDocument
from ..exceptions import DocumentNotFoundError
from .document_scope import DocumentScope
from .index_database import IndexDatabase
from .index_words import indexed_text, match_expression
from .passage import AddedDocument, Counts, DocumentInfo, Passage, RetrievalPassage, StoredDocument

if TYPE_CHECKING:
    from numpy.typing import NDArray

CHUNK_BITS = 24  # of a context chunk's key, for its number in the document
_MANY = 500  # variables in one statement
_COLUMNS = (
    "id, filename, file_type, content_length, context_chunks, retrieval_chunks, page_count, sha256, complete, warnings, "
    "created_at, updated_at"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """A document's content as this store would keep it: the same bytes, cut the same way, are the same."""

    sha256: str
    fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NewVersion:
    """A document that is about to be stored.

    Attributes:
        uid: names this version in Chroma.
        document_id: for a document that is new; one that is replaced keeps its own.
        source: what tells whether it is another version of a document; None where nothing does.
    """

    uid: str
    document_id: str
    content: Content
    source: str | None = field(repr=False)
    document: LoadedDocument
    chunks: Sequence[ContextChunk] = field(repr=False)

    @property
    def pieces(self) -> list[int]:
        return [len(chunk.retrieval) for chunk in self.chunks]


@dataclass(frozen=True, slots=True)
class Placement:
    """What adding a content comes to.

    Attributes:
        kind: it is there already, it replaces a document's content, or it is a new document.
        document_id: that is there, or that is replaced.
    """

    kind: Literal["there", "replace", "new"]
    document_id: str | None = None


@dataclass(frozen=True, slots=True)
class Debt:
    """Vectors that have to go."""

    uid: str
    pieces: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Vectors:
    """A document version's vectors, in the order of its retrieval chunks."""

    key: int
    pieces: tuple[int, ...]
    vectors: NDArray[np.float16]


def new_id() -> str:
    """An id that no other document or version has."""
    return secrets.token_hex(12)


def place_content(
    content: Content, *, of_source: tuple[str, Content] | None, shared: bool, same: tuple[str, Content] | None
) -> Placement:
    """Where a content belongs. Pure.

    Args:
        content: that is added.
        of_source: the document that its source has led to until now, with its content.
        shared: whether another source leads to that document as well.
        same: a document with the same bytes, wherever it came from, with its content.
    """
    if of_source is not None:
        document_id, there = of_source
        if there == content:
            return Placement("there", document_id)
        # Where two files were the same and one of them has changed, the other's document stays as it is.
        if not shared or there.sha256 == content.sha256:
            return Placement("replace", document_id)
    if same is not None:
        document_id, there = same
        return Placement("there" if there == content else "replace", document_id)
    return Placement("new")


class DocumentIndex:
    """Documents, their texts and words. Safe from any thread.

    Args:
        folder: of the store; exists.
        writer: names whoever writes, in its debts.
    """

    def __init__(self, folder: Path, *, writer: str) -> None:
        self.database = IndexDatabase(folder)
        self._writer = writer

    def fact(self, name: str, default: str) -> str:
        """What was noted under a name; notes `default` where nothing was."""
        with self.database.writing() as connection:
            connection.execute("INSERT OR IGNORE INTO facts VALUES (?, ?)", (name, default))
            return str(connection.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()[0])

    def set_fact(self, name: str, value: str) -> None:
        """Note something under a name."""
        with self.database.writing() as connection:
            connection.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))

    # Adding

    def recognized(self, content: Content, source: str | None) -> AddedDocument | None:
        """The document that has this content already, if there is one; its source is noted."""
        with self.database.reading() as connection:
            placement = _placement(connection, content, source)
            if placement.kind != "there" or placement.document_id is None:
                return None
            known = source is None or _document_of_source(connection, source) == placement.document_id
            row = _row(connection, placement.document_id)
        if not known:
            with self.database.writing() as connection:
                if _placement(connection, content, source) != placement:
                    return None
                _link(connection, source, placement.document_id)
        return {**_info(row), "already_there": True, "replaced": False}

    def owe(self, version: NewVersion) -> None:
        """Note that vectors of this version are about to be written."""
        with self.database.writing() as connection:
            connection.execute(
                "INSERT INTO debts VALUES (?, ?, ?)", (version.uid, json.dumps(version.pieces), self._writer)
            )

    def commit(self, version: NewVersion, vectors: NDArray[np.float32]) -> AddedDocument:
        """Make the version visible, its vectors being written. What it replaces leaves at the same moment.

        Where somebody else has committed the same content meanwhile, that one stays, and this one remains a debt.
        """
        now = _now()
        with self.database.writing() as connection:
            placement = _placement(connection, version.content, version.source)
            document_id, created_at = version.document_id, now
            if placement.document_id is not None:
                document_id = placement.document_id
                earlier = _row(connection, document_id)
                if placement.kind == "there":
                    connection.execute("UPDATE debts SET writer = NULL WHERE uid = ?", (version.uid,))
                    _link(connection, version.source, document_id)
                    return {**_info(earlier), "already_there": True, "replaced": False}
                created_at = earlier["created_at"]
                _remove(connection, earlier)
            _insert(connection, version, vectors, document_id=document_id, created_at=created_at, updated_at=now)
            _link(connection, version.source, document_id)
            connection.execute("DELETE FROM debts WHERE uid = ?", (version.uid,))
            row = _row(connection, document_id)
        return {**_info(row), "already_there": False, "replaced": placement.kind == "replace"}

    # Removing

    def remove(self, document_id: str) -> bool:
        """Make a document invisible and erase what it says; its vectors become a debt."""
        with self.database.writing() as connection:
            try:
                row = _row(connection, document_id)
            except DocumentNotFoundError:
                return False
            _remove(connection, row)
            connection.execute("DELETE FROM sources WHERE document_id = ?", (document_id,))
        return True

    def remove_all(self) -> None:
        """Make every document invisible."""
        with self.database.writing() as connection:
            for row in connection.execute("SELECT * FROM documents").fetchall():
                _remove(connection, row)
            connection.execute("DELETE FROM sources")

    def abandon(self, uid: str) -> None:
        """The version's writer has given up; anybody may pay its debt."""
        with self.database.writing() as connection:
            connection.execute("UPDATE debts SET writer = NULL WHERE uid = ?", (uid,))

    def debts(self, *, of_writers: Iterable[str] = ()) -> list[Debt]:
        """Debts that can be paid: of what has left, and of these writers."""
        with self.database.reading() as connection:
            rows = connection.execute(
                "SELECT uid, pieces FROM debts WHERE writer IS NULL OR writer IN (SELECT value FROM json_each(?))",
                (json.dumps(list(of_writers)),),
            ).fetchall()
        return [Debt(row["uid"], tuple(json.loads(row["pieces"]))) for row in rows]

    def writers(self) -> set[str]:
        """Who has debts."""
        with self.database.reading() as connection:
            return {row[0] for row in connection.execute("SELECT DISTINCT writer FROM debts WHERE writer IS NOT NULL")}

    def paid(self, uid: str) -> None:
        """The vectors have gone."""
        with self.database.writing() as connection:
            connection.execute("DELETE FROM debts WHERE uid = ?", (uid,))

    # Looking

    def info(self, document_id: str) -> StoredDocument:
        """A document with its text."""
        with self.database.reading() as connection:
            row = _row(connection, document_id)
            (text,) = connection.execute("SELECT text FROM texts WHERE document = ?", (row["key"],)).fetchone()
        return {**_info(row), "text": text}

    def documents(self, *, limit: int | None, after: str | None) -> list[DocumentInfo]:
        """Documents, oldest first."""
        with self.database.reading() as connection:
            beginning = ("", "")
            if after is not None:
                row = _row(connection, after)
                beginning = (row["created_at"], row["id"])
            rows = connection.execute(
                f"SELECT {_COLUMNS} FROM documents WHERE (created_at, id) > (?, ?) ORDER BY created_at, id LIMIT ?",
                (*beginning, -1 if limit is None else limit),
            ).fetchall()
        return [_info(row) for row in rows]

    def counts(self) -> tuple[Counts, int, int]:
        """Counts, characters of all texts, and how many debts there are."""
        with self.database.reading() as connection:
            documents, contexts, retrieval, characters = connection.execute(
                "SELECT count(*), coalesce(sum(context_chunks), 0), coalesce(sum(retrieval_chunks), 0), "
                "coalesce(sum(content_length), 0) FROM documents"
            ).fetchone()
            (debts,) = connection.execute("SELECT count(*) FROM debts").fetchone()
        counts: Counts = {"documents": documents, "context_chunks": contexts, "retrieval_chunks": retrieval}
        return counts, characters, debts

    def scope_size(self, scope: DocumentScope) -> int:
        """Retrieval chunks in a scope."""
        with self.database.reading() as connection:
            (count,) = connection.execute(
                f"SELECT coalesce(sum(retrieval_chunks), 0) FROM documents {_where(scope)}", _values(scope)
            ).fetchone()
        return int(count)

    def vectors(self, scope: DocumentScope) -> list[Vectors]:
        """The vectors of all documents in a scope."""
        with self.database.reading() as connection:
            return [
                Vectors(row["key"], tuple(json.loads(row["pieces"])), _vectors(row["vectors"], row["retrieval_chunks"]))
                for row in connection.execute(
                    "SELECT key, pieces, retrieval_chunks, vectors FROM documents JOIN vectors ON document = key "
                    f"{_where(scope)}",
                    _values(scope),
                )
            ]

    def versions(self) -> list[tuple[int, str, str, tuple[int, ...]]]:
        """Key, uid, document id and pieces of every document."""
        with self.database.reading() as connection:
            rows = connection.execute("SELECT key, uid, id, pieces FROM documents ORDER BY key").fetchall()
        return [(row["key"], row["uid"], row["id"], tuple(json.loads(row["pieces"]))) for row in rows]

    def vectors_of(self, key: int) -> NDArray[np.float16] | None:
        """The vectors of one version; None where it has left."""
        with self.database.reading() as connection:
            row = connection.execute(
                "SELECT vectors, retrieval_chunks FROM documents JOIN vectors ON document = key WHERE key = ?", (key,)
            ).fetchone()
        return None if row is None else _vectors(row["vectors"], row["retrieval_chunks"])

    def keys_of(self, uids: Iterable[str], scope: DocumentScope) -> dict[str, int]:
        """Keys of those versions that are visible and in the scope."""
        with self.database.reading() as connection:
            rows = connection.execute(
                "SELECT uid, key, id FROM documents WHERE uid IN (SELECT value FROM json_each(?))",
                (json.dumps(list(uids)),),
            ).fetchall()
        return {row["uid"]: row["key"] for row in rows if row["id"] in scope}

    def by_words(self, query: str, scope: DocumentScope, count: int) -> list[tuple[int, float]]:
        """Keys of context chunks in the scope that have words of the query, with their BM25 scores, best first."""
        expression = match_expression(query)
        if expression is None:
            return []
        among = (
            "" if scope.is_everything else f"AND (rowid >> {CHUNK_BITS}) IN (SELECT key FROM documents {_where(scope)})"
        )
        with self.database.reading() as connection:
            rows = connection.execute(
                f"SELECT rowid, rank FROM words WHERE words MATCH ? {among} ORDER BY rank LIMIT ?",
                (expression, *_values(scope), count),
            ).fetchall()
        return [(row[0], -row[1]) for row in rows]

    def passages(
        self,
        keys: Sequence[int],
        scope: DocumentScope,
        *,
        scores: Mapping[int, float],
        matches: Mapping[int, int],
    ) -> list[Passage]:
        """Context chunks by their keys, in that order; without those that have left or are not in the scope.

        Args:
            keys: of context chunks.
            scope: is applied here once more, whatever has been looked at before.
            scores: of each.
            matches: number of the retrieval chunk that matched best, where one did.
        """
        with self.database.reading() as connection:
            found = {key: _chunk_row(connection, key) for key in keys}
        return [
            _passage(row, score=scores.get(key, 0.0), match=matches.get(key))
            for key in keys
            for row in [found[key]]
            if row is not None and row["id"] in scope
        ]

    def context_chunk(self, uid: str, number: int) -> Passage:
        """A context chunk by what its id says."""
        return _passage(self._chunk(uid, number))

    def retrieval_chunk(self, uid: str, number: int, piece: int) -> RetrievalPassage:
        """A retrieval chunk by what its id says."""
        row = self._chunk(uid, number)
        pieces = json.loads(row["pieces"])
        if piece >= len(pieces):
            raise _no_chunk(f"{uid}:{number}:{piece}")
        start, end = pieces[piece]
        return RetrievalPassage(
            id=f"{uid}:{number}:{piece}",
            context_id=f"{uid}:{number}",
            document_id=row["id"],
            text=row["text"][start - row["start"] : end - row["start"]],
            start=start,
            end=end,
        )

    def _chunk(self, uid: str, number: int) -> sqlite3.Row:
        with self.database.reading() as connection:
            version = connection.execute("SELECT key FROM documents WHERE uid = ?", (uid,)).fetchone()
            row = None if version is None else _chunk_row(connection, (version["key"] << CHUNK_BITS) + number)
        if row is None:
            raise _no_chunk(f"{uid}:{number}")
        return row


def _no_chunk(chunk_id: str) -> DocumentNotFoundError:
    return DocumentNotFoundError(f"There is no chunk {chunk_id!r}; its document was deleted or replaced, or never was.")


def _where(scope: DocumentScope) -> str:
    return "" if scope.is_everything else "WHERE id IN (SELECT value FROM json_each(?))"


def _values(scope: DocumentScope) -> tuple[str, ...]:
    # Half of a surrogate pair is escaped by JSON, and refused by SQLite; no id has one.
    return () if scope.ids is None else (json.dumps([id_ for id_ in scope.ids if id_.isalnum()]),)


def _row(connection: sqlite3.Connection, document_id: str) -> sqlite3.Row:
    row = None
    if isinstance(document_id, str) and document_id.isalnum():
        row = connection.execute("SELECT * FROM documents WHERE id = ?", (document_id,)).fetchone()
    if row is None:
        raise DocumentNotFoundError(f"There is no document {document_id!r}; it was deleted or never was.")
    found: sqlite3.Row = row
    return found


def _chunk_row(connection: sqlite3.Connection, key: int) -> sqlite3.Row | None:
    row: sqlite3.Row | None = connection.execute(
        "SELECT c.*, d.id, d.uid, d.filename, d.file_type FROM context_chunks c JOIN documents d "
        f"ON d.key = c.key >> {CHUNK_BITS} WHERE c.key = ?",
        (key,),
    ).fetchone()
    return row


def _passage(row: sqlite3.Row, *, score: float = 0.0, match: int | None = None) -> Passage:
    match_start, match_end = (None, None) if match is None else json.loads(row["pieces"])[match]
    return Passage(
        id=f"{row['uid']}:{row['key'] & ((1 << CHUNK_BITS) - 1)}",
        document_id=row["id"],
        filename=row["filename"],
        file_type=row["file_type"],
        text=row["text"],
        start=row["start"],
        end=row["end"],
        page=row["page"],
        last_page=row["last_page"],
        part=row["part"],
        headings=tuple(json.loads(row["headings"])),
        score=score,
        match_start=match_start,
        match_end=match_end,
    )


def _info(row: sqlite3.Row) -> DocumentInfo:
    return {
        "id": row["id"],
        "filename": row["filename"],
        "file_type": row["file_type"],
        "content_length": row["content_length"],
        "context_chunks": row["context_chunks"],
        "retrieval_chunks": row["retrieval_chunks"],
        "page_count": row["page_count"],
        "sha256": row["sha256"],
        "complete": bool(row["complete"]),
        "warnings": json.loads(row["warnings"]),
        "created_at": row["created_at"],
        "updated_at": row["updated_at"],
    }


def _placement(connection: sqlite3.Connection, content: Content, source: str | None) -> Placement:
    of_source = None
    shared = False
    document_id = None if source is None else _document_of_source(connection, source)
    if document_id is not None:
        of_source = (document_id, _content(_row(connection, document_id)))
        (leading,) = connection.execute("SELECT count(*) FROM sources WHERE document_id = ?", (document_id,)).fetchone()
        shared = leading > 1
    same = connection.execute(
        "SELECT * FROM documents WHERE sha256 = ? ORDER BY fingerprint = ? DESC, key LIMIT 1",
        (content.sha256, content.fingerprint),
    ).fetchone()
    return place_content(
        content, of_source=of_source, shared=shared, same=None if same is None else (same["id"], _content(same))
    )


def _content(row: sqlite3.Row) -> Content:
    return Content(sha256=row["sha256"], fingerprint=row["fingerprint"])


def _document_of_source(connection: sqlite3.Connection, source: str) -> str | None:
    row = connection.execute("SELECT document_id FROM sources WHERE source = ?", (source,)).fetchone()
    return None if row is None else row["document_id"]


def _link(connection: sqlite3.Connection, source: str | None, document_id: str) -> None:
    if source is not None:
        connection.execute("INSERT OR REPLACE INTO sources VALUES (?, ?)", (source, document_id))


def _insert(
    connection: sqlite3.Connection,
    version: NewVersion,
    vectors: NDArray[np.float32],
    *,
    document_id: str,
    created_at: str,
    updated_at: str,
) -> None:
    document, chunks = version.document, version.chunks
    key = connection.execute(
        "INSERT INTO documents VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            document_id, version.uid, version.content.sha256, version.content.fingerprint,
            storable(document.filename), document.file_type, len(document.text), document.page_count, document.complete,
            json.dumps(document.warnings), len(chunks), sum(version.pieces), json.dumps(version.pieces),
            created_at, updated_at,
        ),
    ).lastrowid  # fmt: skip
    assert key is not None
    connection.execute("INSERT INTO texts VALUES (?, ?)", (key, document.text))
    connection.execute("INSERT INTO vectors VALUES (?, ?)", (key, vectors.astype(np.float16).tobytes()))
    rows = [
        (
            (key << CHUNK_BITS) + number, chunk.start, chunk.end, chunk.page, chunk.last_page,
            None if chunk.part is None else storable(chunk.part), json.dumps(chunk.headings),
            json.dumps([(piece.start, piece.end) for piece in chunk.retrieval]), chunk.text,
        )
        for number, chunk in enumerate(chunks)
    ]  # fmt: skip
    connection.executemany("INSERT INTO context_chunks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
    connection.executemany(
        "INSERT INTO words (rowid, body) VALUES (?, ?)", ((row[0], indexed_text(row[-1])) for row in rows)
    )


def _remove(connection: sqlite3.Connection, row: sqlite3.Row) -> None:
    """Erase a version's rows; what is left of it is the debt of its vectors."""
    key = row["key"]
    first, last = key << CHUNK_BITS, (key + 1) << CHUNK_BITS
    chunks = connection.execute("SELECT key, text FROM context_chunks WHERE key >= ? AND key < ?", (first, last))
    connection.executemany(
        "INSERT INTO words (words, rowid, body) VALUES ('delete', ?, ?)",
        [(chunk["key"], indexed_text(chunk["text"])) for chunk in chunks],
    )
    connection.execute("DELETE FROM context_chunks WHERE key >= ? AND key < ?", (first, last))
    connection.execute("DELETE FROM texts WHERE document = ?", (key,))
    connection.execute("DELETE FROM vectors WHERE document = ?", (key,))
    connection.execute("DELETE FROM documents WHERE key = ?", (key,))
    connection.execute("INSERT INTO debts VALUES (?, ?, NULL)", (row["uid"], row["pieces"]))


def storable(text: str) -> str:
    """Text without halves of surrogate pairs, which no database keeps."""
    return text.encode("utf-8", "replace").decode()


def _vectors(blob: bytes, rows: int) -> NDArray[np.float16]:
    return np.frombuffer(blob, np.float16).reshape(rows, -1) if rows else np.zeros((0, 1), np.float16)


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="microseconds")

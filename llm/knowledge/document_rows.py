"""Rows of the store's database, within a transaction of the caller: a document's are written and erased here."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import numpy as np

from ..exceptions import DocumentNotFoundError
from .document_scope import DocumentScope
from .index_words import indexed_text
from .passage import DocumentInfo, Passage
from .placement import Content, NewVersion, Placement, place_content

if TYPE_CHECKING:
    from numpy.typing import NDArray

CHUNK_BITS = 24  # of a context chunk's key, for its number in the document


def where_scope(scope: DocumentScope) -> str:
    return "" if scope.is_everything else "WHERE id IN (SELECT value FROM json_each(?))"


def scope_values(scope: DocumentScope) -> tuple[str, ...]:
    # Half of a surrogate pair is escaped by JSON, and refused by SQLite; no id has one.
    return () if scope.ids is None else (json.dumps([id_ for id_ in scope.ids if id_.isalnum()]),)


def document_row(connection: sqlite3.Connection, document_id: str) -> sqlite3.Row:
    row = None
    if isinstance(document_id, str) and document_id.isalnum():
        row = connection.execute("SELECT * FROM documents WHERE id = ?", (document_id,)).fetchone()
    if row is None:
        raise DocumentNotFoundError(f"There is no document {document_id!r}; it was deleted or never was.")
    found: sqlite3.Row = row
    return found


def chunk_row(connection: sqlite3.Connection, key: int) -> sqlite3.Row | None:
    row: sqlite3.Row | None = connection.execute(
        "SELECT c.*, d.id, d.uid, d.filename, d.file_type FROM context_chunks c JOIN documents d "
        f"ON d.key = c.key >> {CHUNK_BITS} WHERE c.key = ?",
        (key,),
    ).fetchone()
    return row


def passage_of(row: sqlite3.Row, *, score: float = 0.0, match: int | None = None) -> Passage:
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


def info_of(row: sqlite3.Row) -> DocumentInfo:
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


def placement_of(connection: sqlite3.Connection, content: Content, source: str | None) -> Placement:
    of_source = None
    shared = False
    document_id = None if source is None else document_of_source(connection, source)
    if document_id is not None:
        of_source = (document_id, _content(document_row(connection, document_id)))
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


def document_of_source(connection: sqlite3.Connection, source: str) -> str | None:
    row = connection.execute("SELECT document_id FROM sources WHERE source = ?", (source,)).fetchone()
    return None if row is None else row["document_id"]


def link_source(connection: sqlite3.Connection, source: str | None, document_id: str) -> None:
    if source is not None:
        connection.execute("INSERT OR REPLACE INTO sources VALUES (?, ?)", (source, document_id))


def insert_version(
    connection: sqlite3.Connection,
    version: NewVersion,
    vectors: NDArray[np.float16],
    *,
    document_id: str,
    created_at: str,
    updated_at: str,
) -> None:
    document, chunks = version.document, version.chunks
    lengths = np.linalg.norm(sums_of(vectors, version.pieces), axis=1).astype(np.float32)
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
    connection.execute("INSERT INTO vectors VALUES (?, ?, ?)", (key, vectors.tobytes(), lengths.tobytes()))
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


def remove_version(connection: sqlite3.Connection, row: sqlite3.Row) -> None:
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


def vectors_from(blob: bytes, rows: int) -> NDArray[np.float16]:
    return np.frombuffer(blob, np.float16).reshape(rows, -1) if rows else np.zeros((0, 1), np.float16)


def sums_of(vectors: NDArray[np.floating], pieces: Sequence[int] | NDArray[np.int64]) -> NDArray[np.float32]:
    """For each context chunk the sum of its retrieval chunks' vectors, or numbers."""
    counts = np.asarray(pieces, np.int64)
    sums = np.zeros((len(counts), *vectors.shape[1:]), np.float32)
    filled = counts > 0
    if filled.any():
        starts = (counts.cumsum() - counts)[filled]
        sums[filled] = np.add.reduceat(vectors.astype(np.float32, copy=False), starts, axis=0)
    return sums


def now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="microseconds")

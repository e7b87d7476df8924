"""Which documents there are and what they say, in the store's own database.

Invariants: a document's rows are written in one transaction and removed in one, so that it is visible as a whole or not
at all. A vector that is in Chroma belongs to a document here or to a debt here; a debt is written before the vectors
and paid after they have gone.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..exceptions import DocumentNotFoundError
from .document_rows import (
    CHUNK_BITS,
    chunk_row,
    document_of_source,
    document_row,
    info_of,
    insert_version,
    link_source,
    now,
    passage_of,
    placement_of,
    remove_version,
    scope_values,
    vectors_from,
    where_scope,
)
from .document_scope import DocumentScope
from .index_database import IndexDatabase
from .index_words import match_expression
from .passage import AddedDocument, Counts, DocumentInfo, Passage, RetrievalPassage, StoredDocument
from .placement import Content, NewVersion, new_id

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FURTHER = 4  # times as many are ranked where a few of them will not be in the scope
_COLUMNS = (
    "id, filename, file_type, content_length, context_chunks, retrieval_chunks, page_count, sha256, complete, "
    "warnings, created_at, updated_at"
)


@dataclass(frozen=True, slots=True)
class Debt:
    """Vectors that have to go."""

    uid: str
    pieces: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ScopeVectors:
    """The vectors of documents, one below the other, in the order of their context chunks.

    Attributes:
        keys: of the context chunks.
        pieces: how many retrieval chunks each has.
        lengths: of the sum of their vectors.
        vectors: of all retrieval chunks.
    """

    keys: NDArray[np.int64]
    pieces: NDArray[np.int64]
    lengths: NDArray[np.float32]
    vectors: NDArray[np.float16]


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

    # Adding

    def recognized(self, content: Content, source: str | None) -> AddedDocument | None:
        """The document that has this content already, if there is one; its source is noted."""
        with self.database.reading() as connection:
            placement = placement_of(connection, content, source)
            if placement.kind != "there" or placement.document_id is None:
                return None
            known = source is None or document_of_source(connection, source) == placement.document_id
            row = document_row(connection, placement.document_id)
        if not known:
            with self.database.writing() as connection:
                if placement_of(connection, content, source) != placement:
                    return None
                link_source(connection, source, placement.document_id)
        return {**info_of(row), "already_there": True, "replaced": False}

    def id_for(self, content: Content, source: str | None) -> str:
        """The id of the document that this content replaces, or a new one."""
        with self.database.reading() as connection:
            return placement_of(connection, content, source).document_id or new_id()

    def owe(self, versions: Iterable[NewVersion]) -> None:
        """Note that vectors of these versions are about to be written."""
        with self.database.writing() as connection:
            connection.executemany(
                "INSERT INTO debts VALUES (?, ?, ?)",
                [(version.uid, json.dumps(version.pieces), self._writer) for version in versions],
            )

    def commit(self, versions: Iterable[tuple[NewVersion, NDArray[np.float16]]]) -> list[AddedDocument]:
        """Make versions visible, their vectors being written. What they replace leaves at the same moment.

        Where somebody else has committed the same content meanwhile, that one stays, and this one remains a debt.
        """
        with self.database.writing() as connection:
            return [_committed(connection, version, vectors) for version, vectors in versions]

    # Removing

    def remove(self, document_id: str) -> bool:
        """Make a document invisible and erase what it says; its vectors become a debt."""
        with self.database.writing() as connection:
            try:
                row = document_row(connection, document_id)
            except DocumentNotFoundError:
                return False
            remove_version(connection, row)
            connection.execute("DELETE FROM sources WHERE document_id = ?", (document_id,))
        return True

    def remove_all(self) -> None:
        """Make every document invisible."""
        with self.database.writing() as connection:
            for row in connection.execute("SELECT * FROM documents").fetchall():
                remove_version(connection, row)
            connection.execute("DELETE FROM sources")

    def abandon(self, uids: Iterable[str]) -> None:
        """The versions' writer has given up; anybody may pay its debts."""
        with self.database.writing() as connection:
            connection.executemany("UPDATE debts SET writer = NULL WHERE uid = ?", [(uid,) for uid in uids])

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

    def paid(self, debts: Iterable[Debt]) -> None:
        """The vectors have gone."""
        with self.database.writing() as connection:
            connection.executemany("DELETE FROM debts WHERE uid = ?", [(debt.uid,) for debt in debts])

    # Looking

    def info(self, document_id: str) -> StoredDocument:
        """A document with its text."""
        with self.database.reading() as connection:
            row = document_row(connection, document_id)
            (text,) = connection.execute("SELECT text FROM texts WHERE document = ?", (row["key"],)).fetchone()
        return {**info_of(row), "text": text}

    def documents(self, *, limit: int | None, after: str | None) -> list[DocumentInfo]:
        """Documents, oldest first."""
        with self.database.reading() as connection:
            beginning = ("", "")
            if after is not None:
                row = document_row(connection, after)
                beginning = (row["created_at"], row["id"])
            rows = connection.execute(
                f"SELECT {_COLUMNS} FROM documents WHERE (created_at, id) > (?, ?) ORDER BY created_at, id LIMIT ?",
                (*beginning, -1 if limit is None else limit),
            ).fetchall()
        return [info_of(row) for row in rows]

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
                f"SELECT coalesce(sum(retrieval_chunks), 0) FROM documents {where_scope(scope)}", scope_values(scope)
            ).fetchone()
        return int(count)

    def is_most(self, scope: DocumentScope) -> bool:
        """Whether a scope has so many ids that it may well hold most documents; looked at without looking them up."""
        if scope.ids is None:
            return True
        with self.database.reading() as connection:
            (documents,) = connection.execute("SELECT count(*) FROM documents").fetchone()
        return 2 * len(scope.ids) > int(documents)

    def size(self) -> int:
        """Retrieval chunks of all documents."""
        return self.scope_size(DocumentScope.everything())

    def vectors(self, scope: DocumentScope) -> ScopeVectors:
        """The vectors of all documents in a scope."""
        with self.database.reading() as connection:
            rows = connection.execute(
                "SELECT key, context_chunks, pieces, vectors, lengths FROM documents JOIN vectors ON document = key "
                f"{where_scope(scope)}",
                scope_values(scope),
            ).fetchall()
        counts = np.array([row["context_chunks"] for row in rows], np.int64)
        first_keys = np.array([row["key"] for row in rows], np.int64) << CHUNK_BITS
        numbers = np.arange(counts.sum()) - np.repeat(counts.cumsum() - counts, counts)
        pieces = json.loads(f"[{','.join(row['pieces'] for row in rows)}]")
        flat = np.array([count for of_document in pieces for count in of_document], np.int64)
        return ScopeVectors(
            keys=np.repeat(first_keys, counts) + numbers,
            pieces=flat,
            lengths=np.frombuffer(b"".join(row["lengths"] for row in rows), np.float32),
            vectors=vectors_from(b"".join(row["vectors"] for row in rows), int(flat.sum())),
        )

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
        return None if row is None else vectors_from(row["vectors"], row["retrieval_chunks"])

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
        is_most = not scope.is_everything and self.is_most(scope)
        with self.database.reading() as connection:
            if is_most:
                asked = count * _FURTHER
                ranked = _ranked(connection, expression, asked)
                rows = [row for row in ranked if row["id"] in scope]
                if len(rows) >= count or len(ranked) < asked:
                    return [(row["key"], row["score"]) for row in rows[:count]]
            rows = _ranked(connection, expression, count, scope)
        return [(row["key"], row["score"]) for row in rows]

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
            found = {key: chunk_row(connection, key) for key in keys}
        return [
            passage_of(row, score=scores.get(key, 0.0), match=matches.get(key))
            for key in keys
            for row in [found[key]]
            if row is not None and row["id"] in scope
        ]

    def context_chunk(self, uid: str, number: int) -> Passage:
        """A context chunk by what its id says."""
        return passage_of(self._chunk(uid, number))

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
            row = None if version is None else chunk_row(connection, (version["key"] << CHUNK_BITS) + number)
        if row is None:
            raise _no_chunk(f"{uid}:{number}")
        return row


def _ranked(
    connection: sqlite3.Connection, expression: str, count: int, scope: DocumentScope | None = None
) -> list[sqlite3.Row]:
    """Context chunks that have words, best first, with the ids of their documents.

    `ORDER BY rank` would be the index's own order, for which it keeps the places of all words in all rows.
    """
    among = (
        ""
        if scope is None or scope.is_everything
        else f"AND (rowid >> {CHUNK_BITS}) IN (SELECT key FROM documents {where_scope(scope)})"
    )
    return connection.execute(
        "SELECT best.key, best.score, documents.id FROM ("
        "SELECT rowid AS key, -bm25(words) AS score FROM words "
        f"WHERE words MATCH ? {among} ORDER BY score DESC, rowid LIMIT ?"
        f") AS best JOIN documents ON documents.key = best.key >> {CHUNK_BITS} ORDER BY best.score DESC, best.key",
        (expression, *(() if scope is None else scope_values(scope)), count),
    ).fetchall()


def _committed(connection: sqlite3.Connection, version: NewVersion, vectors: NDArray[np.float16]) -> AddedDocument:
    moment = now()
    placement = placement_of(connection, version.content, version.source)
    document_id, created_at = version.document_id, moment
    if placement.document_id is not None:
        document_id = placement.document_id
        earlier = document_row(connection, document_id)
        if placement.kind == "there":
            connection.execute("UPDATE debts SET writer = NULL WHERE uid = ?", (version.uid,))
            link_source(connection, version.source, document_id)
            return {**info_of(earlier), "already_there": True, "replaced": False}
        created_at = earlier["created_at"]
        remove_version(connection, earlier)
    insert_version(connection, version, vectors, document_id=document_id, created_at=created_at, updated_at=moment)
    link_source(connection, version.source, document_id)
    connection.execute("DELETE FROM debts WHERE uid = ?", (version.uid,))
    row = document_row(connection, document_id)
    return {**info_of(row), "already_there": False, "replaced": placement.kind == "replace"}


def _no_chunk(chunk_id: str) -> DocumentNotFoundError:
    return DocumentNotFoundError(f"There is no chunk {chunk_id!r}; its document was deleted or replaced, or never was.")

"""Sessions in a database: an SQLite file on this machine, or PostgreSQL where several processes share them.

Every write is one transaction that first takes the session's row, and so excludes every other write to that session.
With SQLite it is on the disk (write-ahead log, synchronous=FULL) before the call returns; PostgreSQL does the same
unless its administrator has decided otherwise.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, tuple_, update

from ..base.session import Session, SessionInfo, SessionMessage, Summary, check_name, is_id, now
from ..base.session_document import json_text
from ..base.session_store import (
    InfoChanges,
    MessageMatch,
    PageMark,
    SessionPage,
    SessionStore,
    check_limit,
    from_microseconds,
    microseconds,
    session_not_found,
)
from ..exceptions import SessionChangedError, SessionNotFoundError
from .search_text import folded, search_words
from .sql_database import SqlDatabase
from .sql_schema import messages, prepare_schema, sessions


class SqlSessionStore(SessionStore):
    """Opening connects, creates what is missing and upgrades what is old.

    Args:
        url: ``sqlite:///sessions.db`` (relative), ``sqlite:////var/lib/app/sessions.db`` (absolute), or
            ``postgresql+psycopg://user:password@host/database``.
        busy_timeout: seconds that a write waits for another process to finish writing to the same SQLite file.

    Raises:
        ConfigError: the URL is none of these, or the driver is not installed.
        SessionStoreError: the database cannot be opened, or a later version of this library wrote it.
    """

    def __init__(self, url: str = "sqlite:///sessions.db", *, busy_timeout: float = 10.0) -> None:
        super().__init__()
        self._database = SqlDatabase(url, busy_timeout=busy_timeout)
        try:
            with self._database.writing() as connection:
                prepare_schema(connection)
        except BaseException:
            self._database.close()
            raise

    def get(self, session_id: str, *, owner: str) -> Session:
        with self._database.reading() as connection:
            row = _row(connection, session_id, owner)
            own = select(messages).where(messages.c.session_id == row.id).order_by(messages.c.position)
            entries = tuple(map(_message, connection.execute(own)))
        return Session(**_info_values(row), messages=entries)

    def list_sessions(self, *, owner: str, limit: int = 50, page: str | None = None) -> SessionPage:
        owner, limit = check_name("owner", owner), check_limit(limit)
        newest_first = (sessions.c.updated_at.desc(), sessions.c.id.desc())
        query = select(sessions).where(sessions.c.owner == owner).order_by(*newest_first).limit(limit + 1)
        if page is not None:
            mark = PageMark.read(page)
            query = query.where(tuple_(sessions.c.updated_at, sessions.c.id) < (mark.microseconds, mark.session_id))
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        infos = tuple(SessionInfo(**_info_values(row)) for row in rows[:limit])
        return SessionPage(infos, str(PageMark.of(infos[-1])) if len(rows) > limit else None)

    def search(self, text: str, *, owner: str, limit: int = 50) -> tuple[MessageMatch, ...]:
        has_words = (messages.c.folded.contains(word, autoescape=True) for word in search_words(text))
        query = (
            select(sessions.c.title, messages)
            .join_from(sessions, messages)
            .where(sessions.c.owner == check_name("owner", owner), *has_words)
            .order_by(sessions.c.updated_at.desc(), sessions.c.id.desc(), messages.c.position)
            .limit(check_limit(limit))
        )
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        return tuple(MessageMatch(row.session_id, row.title, _message(row)) for row in rows)

    def append_turn(
        self, session_id: str, messages: Sequence[SessionMessage], *, owner: str, revision: int
    ) -> SessionInfo:
        with self._database.writing() as connection:
            row = _row(connection, session_id, owner, taken=True)
            if row.revision != revision:
                raise SessionChangedError(
                    f"Session {session_id!r} has gone on: its revision is {row.revision}, not {revision}. "
                    "Read it again and repeat the turn."
                )
            _insert_messages(connection, session_id, row.message_count, messages)
            return _moved(
                connection,
                row,
                message_count=row.message_count + len(messages),
                tokens=row.tokens + sum(entry.tokens for entry in messages),
            )

    def truncate(self, session_id: str, *, owner: str, after: str | None) -> SessionInfo:
        with self._database.erasing() as connection:
            row = _row(connection, session_id, owner, taken=True)
            own = messages.c.session_id == session_id
            kept = 0
            if after is not None:
                found = select(messages.c.position).where(own, messages.c.id == after)
                position = connection.scalar(found) if is_id(after) else None
                if position is None:
                    raise SessionNotFoundError(f"Session {session_id!r} has no message {after!r}.")
                kept = position + 1
            connection.execute(delete(messages).where(own, messages.c.position >= kept))
            tokens = connection.scalar(select(func.coalesce(func.sum(messages.c.tokens), 0)).where(own))
            changes: dict[str, Any] = {"message_count": kept, "tokens": tokens}
            if row.summary is not None and row.summary_covers > kept:
                changes.update(summary=None, summary_covers=None)
            return _moved(connection, row, **changes)

    def delete(self, session_id: str, *, owner: str) -> None:
        with self._database.erasing() as connection:
            row = _row(connection, session_id, owner, taken=True)
            connection.execute(delete(messages).where(messages.c.session_id == row.id))
            connection.execute(delete(sessions).where(sessions.c.id == row.id))

    def close(self) -> None:
        self._database.close()

    def __repr__(self) -> str:
        return f"SqlSessionStore({str(self._database)!r})"

    def _add(self, session: Session) -> None:
        with self._database.writing() as connection:
            connection.execute(insert(sessions).values(**_columns(session)))
            _insert_messages(connection, session.id, 0, session.messages)

    def _change(self, session_id: str, owner: str, changes: InfoChanges) -> SessionInfo:
        with self._database.writing() as connection:
            row = _row(connection, session_id, owner, taken=True)
            return _updated(connection, row, **_changed_columns(changes))


def _row(connection: Connection, session_id: str, owner: str, *, taken: bool = False) -> Row[Any]:
    """A session's row; `taken` keeps others from writing to the session until the transaction ends."""
    check_name("owner", owner)
    if not is_id(session_id):
        raise session_not_found(session_id)
    query = select(sessions).where(sessions.c.id == session_id, sessions.c.owner == owner)
    row = connection.execute(query.with_for_update() if taken else query).one_or_none()
    if row is None:
        raise session_not_found(session_id)
    return row


def _updated(connection: Connection, row: Row[Any], **values: Any) -> SessionInfo:
    connection.execute(update(sessions).where(sessions.c.id == row.id).values(**values))
    return SessionInfo(**_info_values(_row(connection, row.id, row.owner)))


def _moved(connection: Connection, row: Row[Any], **values: Any) -> SessionInfo:
    """The session has gone on."""
    return _updated(connection, row, revision=row.revision + 1, updated_at=microseconds(now()), **values)


def _insert_messages(connection: Connection, session_id: str, position: int, entries: Sequence[SessionMessage]) -> None:
    if not entries:
        return
    connection.execute(
        insert(messages),
        [
            {
                "session_id": session_id,
                "position": position + number,
                "id": entry.id,
                "body": json_text(entry.message),
                "folded": folded(entry.message.get("content", "")),
                "tokens": entry.tokens,
                "interrupted": entry.interrupted,
                "created_at": microseconds(entry.created_at),
            }
            for number, entry in enumerate(entries)
        ],
    )


def _message(row: Row[Any]) -> SessionMessage:
    return SessionMessage(
        id=row.id,
        message=json.loads(row.body),
        tokens=row.tokens,
        interrupted=row.interrupted,
        created_at=from_microseconds(row.created_at),
    )


def _columns(session: Session) -> dict[str, Any]:
    return {
        "id": session.id,
        "owner": session.owner,
        "created_at": microseconds(session.created_at),
        "updated_at": microseconds(session.updated_at),
        "revision": session.revision,
        "message_count": session.message_count,
        "tokens": session.tokens,
        **_changed_columns(
            {
                "title": session.title,
                "document_scope": session.document_scope,
                "metadata": dict(session.metadata),
                "summary": session.summary,
            }
        ),
    }


def _changed_columns(changes: InfoChanges) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    if "title" in changes:
        columns["title"] = changes["title"]
    if "document_scope" in changes:
        scope = changes["document_scope"]
        columns["document_scope"] = None if scope is None else json_text(sorted(scope))
    if "metadata" in changes:
        columns["metadata"] = json_text(changes["metadata"])
    if "summary" in changes:
        summary = changes["summary"]
        columns["summary"] = None if summary is None else json_text(summary.text)
        columns["summary_covers"] = None if summary is None else summary.covers
    return columns


def _info_values(row: Row[Any]) -> dict[str, Any]:
    return {
        "id": row.id,
        "owner": row.owner,
        "title": row.title,
        "document_scope": None if row.document_scope is None else frozenset(json.loads(row.document_scope)),
        "metadata": json.loads(row.metadata),
        "created_at": from_microseconds(row.created_at),
        "updated_at": from_microseconds(row.updated_at),
        "revision": row.revision,
        "message_count": row.message_count,
        "tokens": row.tokens,
        "summary": None if row.summary is None else Summary(text=json.loads(row.summary), covers=row.summary_covers),
    }

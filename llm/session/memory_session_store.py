"""Sessions for as long as the process lives: for tests, and for programs that keep nothing on purpose."""

from __future__ import annotations

import copy
import dataclasses
import threading
from collections.abc import Sequence

from ..base.session import Session, SessionInfo, SessionMessage, check_name, is_id, now
from ..base.session_store import (
    InfoChanges,
    MessageMatch,
    PageMark,
    SessionPage,
    SessionStore,
    check_limit,
    session_not_found,
)
from ..exceptions import SessionChangedError, SessionNotFoundError, SessionStoreError
from .search_text import folded, has_words, search_words


class MemorySessionStore(SessionStore):
    """A dictionary of sessions behind a lock. What goes in and out is copied: nobody changes it by accident."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._sessions: dict[str, Session] = {}
        self._closed = False

    def get(self, session_id: str, *, owner: str) -> Session:
        with self._lock:
            return copy.deepcopy(self._find(session_id, owner))

    def list_sessions(self, *, owner: str, limit: int = 50, page: str | None = None) -> SessionPage:
        limit = check_limit(limit)
        mark = None if page is None else PageMark.read(page)
        with self._lock:
            older = [session for session in self._newest_first(owner) if mark is None or PageMark.of(session) < mark]
            sessions = tuple(_info(session) for session in older[:limit])
        return SessionPage(sessions, str(PageMark.of(sessions[-1])) if len(older) > limit else None)

    def search(self, text: str, *, owner: str, limit: int = 50) -> tuple[MessageMatch, ...]:
        words, limit = search_words(text), check_limit(limit)
        with self._lock:
            matches = (
                MessageMatch(session.id, session.title, copy.deepcopy(entry))
                for session in self._newest_first(owner)
                for entry in session.messages
                if has_words(folded(entry.message.get("content", "")), words)
            )
            return tuple(match for match, _ in zip(matches, range(limit), strict=False))

    def append_turn(
        self, session_id: str, messages: Sequence[SessionMessage], *, owner: str, revision: int
    ) -> SessionInfo:
        with self._lock:
            session = self._find(session_id, owner)
            if session.revision != revision:
                raise SessionChangedError(
                    f"Session {session_id!r} has gone on: its revision is {session.revision}, not {revision}. "
                    "Read it again and repeat the turn."
                )
            return self._with_messages(session, (*session.messages, *copy.deepcopy(tuple(messages))))

    def truncate(self, session_id: str, *, owner: str, after: str | None) -> SessionInfo:
        with self._lock:
            session = self._find(session_id, owner)
            ids = [entry.id for entry in session.messages]
            if after is not None and after not in ids:
                raise SessionNotFoundError(f"Session {session_id!r} has no message {after!r}.")
            return self._with_messages(session, session.messages[: 0 if after is None else ids.index(after) + 1])

    def delete(self, session_id: str, *, owner: str) -> None:
        with self._lock:
            del self._sessions[self._find(session_id, owner).id]

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._sessions.clear()

    def _add(self, session: Session) -> None:
        with self._lock:
            self._check_open()
            self._sessions[session.id] = copy.deepcopy(session)

    def _change(self, session_id: str, owner: str, changes: InfoChanges) -> SessionInfo:
        with self._lock:
            session = dataclasses.replace(self._find(session_id, owner), **copy.deepcopy(changes))
            self._sessions[session_id] = session
            return _info(session)

    def _with_messages(self, session: Session, messages: tuple[SessionMessage, ...]) -> SessionInfo:
        summary = session.summary
        changed = dataclasses.replace(
            session,
            messages=messages,
            message_count=len(messages),
            tokens=sum(entry.tokens for entry in messages),
            revision=session.revision + 1,
            updated_at=now(),
            summary=summary if summary is not None and summary.covers <= len(messages) else None,
        )
        self._sessions[session.id] = changed
        return _info(changed)

    def _find(self, session_id: str, owner: str) -> Session:
        self._check_open()
        check_name("owner", owner)
        session = self._sessions.get(session_id) if is_id(session_id) else None
        if session is None or session.owner != owner:
            raise session_not_found(session_id)
        return session

    def _newest_first(self, owner: str) -> list[Session]:
        self._check_open()
        check_name("owner", owner)
        return sorted(
            (session for session in self._sessions.values() if session.owner == owner), key=PageMark.of, reverse=True
        )

    def _check_open(self) -> None:
        if self._closed:
            raise SessionStoreError("The session store was closed; open another one.")


def _info(session: Session) -> SessionInfo:
    values = {field.name: getattr(session, field.name) for field in dataclasses.fields(SessionInfo)}
    return copy.deepcopy(SessionInfo(**values))

"""The contract of session stores: conversations kept for their owners.

Every call names the owner, and a session of somebody else is as absent as one that never was: there is no way to a
session that goes past this check. Calls block (a disk or a database answers them) and are safe from any thread; in
asynchronous code they go through `asyncio.to_thread`, as `Conversation` does it.

Invariant: each call happens as a whole or not at all, and what it has acknowledged by returning is kept, whatever
kills the process afterwards.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any, TypedDict

from ..exceptions import RequestError, SessionNotFoundError
from .session import (
    Session,
    SessionInfo,
    SessionMessage,
    Summary,
    check_json_object,
    check_name,
    check_scope,
    new_id,
    now,
)
from .session_document import session_document, session_from_document
from .turn_queue import TurnQueue

MAX_PAGE = 1000
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


class InfoChanges(TypedDict, total=False):
    """What may be changed about a session besides its messages."""

    title: str
    document_scope: frozenset[str] | None
    metadata: dict[str, Any]
    summary: Summary | None


@dataclass(frozen=True, slots=True)
class SessionPage:
    """Part of a list of sessions, newest first.

    Attributes:
        sessions: of this page.
        next_page: give it back as `page` for the sessions after these; None when there are no more.
    """

    sessions: tuple[SessionInfo, ...]
    next_page: str | None


@dataclass(frozen=True, slots=True)
class MessageMatch:
    """A message that a search has found, and where it stands."""

    session_id: str
    title: str = field(repr=False)
    message: SessionMessage


@dataclass(frozen=True, slots=True, order=True)
class PageMark:
    """The place in a list, newest first, where a page ends; it stays right while sessions come and go."""

    microseconds: int
    session_id: str

    @classmethod
    def of(cls, session: SessionInfo) -> PageMark:
        return cls(microseconds(session.updated_at), session.id)

    @classmethod
    def read(cls, text: str) -> PageMark:
        number, _, session_id = text.partition(".")
        if not number.removeprefix("-").isdecimal() or len(number) > 18 or not session_id.isalnum():
            raise RequestError("page must be the next_page of an earlier list of sessions.")
        return cls(int(number), session_id)

    def __str__(self) -> str:
        return f"{self.microseconds}.{self.session_id}"


class SessionStore(ABC):
    """Keeps sessions. See MemorySessionStore and SqlSessionStore.

    Attributes:
        turns: whose turn it is in each of its sessions, for those who generate in this process.
    """

    def __init__(self) -> None:
        self.turns = TurnQueue()

    def create(
        self,
        *,
        owner: str,
        title: str = "",
        document_scope: Iterable[str] | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Session:
        """Begin a session.

        Args:
            owner: whose it is.
            title: for people.
            document_scope: ids of the documents it may see; None leaves that to the caller, an empty one means none.
            metadata: the application's own values, as JSON.
        """
        time = now()
        session = Session(
            id=new_id(),
            owner=check_name("owner", owner),
            title=check_name("title", title, empty=True),
            document_scope=check_scope(document_scope),
            metadata=check_json_object(metadata or {}, where="metadata"),
            created_at=time,
            updated_at=time,
        )
        self._add(session)
        return session

    def rename(self, session_id: str, *, owner: str, title: str) -> SessionInfo:
        """Give a session another title."""
        return self._change(session_id, owner, {"title": check_name("title", title, empty=True)})

    def set_document_scope(self, session_id: str, *, owner: str, document_scope: Iterable[str] | None) -> SessionInfo:
        """Say which documents a session may see; None leaves that to the caller, an empty scope means none."""
        return self._change(session_id, owner, {"document_scope": check_scope(document_scope)})

    def set_metadata(self, session_id: str, *, owner: str, metadata: Mapping[str, Any]) -> SessionInfo:
        """Replace the application's own values."""
        return self._change(session_id, owner, {"metadata": check_json_object(metadata, where="metadata")})

    def set_summary(self, session_id: str, *, owner: str, summary: Summary | None) -> SessionInfo:
        """Keep a summary of the oldest messages, or forget it. Truncating what it covers forgets it too."""
        return self._change(session_id, owner, {"summary": summary})

    def export_session(self, session_id: str, *, owner: str) -> dict[str, Any]:
        """A session as a dictionary, ready for `json.dump`."""
        return session_document(self.get(session_id, owner=owner))

    def import_session(
        self, document: Mapping[str, Any], *, owner: str, document_scope: Iterable[str] | None
    ) -> Session:
        """A new session from an exported one. It gets a new id, so an import never replaces anything.

        Args:
            document: what `export_session` returned, and JSON may have carried.
            owner: whose the new session is, whoever exported it.
            document_scope: what it may see. Pass ``document["document_scope"]`` on where you trust the document.

        Raises:
            RequestError: the document is not an exported session, or damaged.
        """
        session = session_from_document(document, owner=owner, document_scope=document_scope)
        self._add(session)
        return session

    @abstractmethod
    def get(self, session_id: str, *, owner: str) -> Session:
        """A session with its messages, as of one moment.

        Raises:
            SessionNotFoundError: this owner has no such session.
        """

    @abstractmethod
    def list_sessions(self, *, owner: str, limit: int = 50, page: str | None = None) -> SessionPage:
        """An owner's sessions, newest first.

        Args:
            limit: the most sessions of this page, up to 1,000.
            page: `next_page` of the page before.
        """

    @abstractmethod
    def search(self, text: str, *, owner: str, limit: int = 50) -> tuple[MessageMatch, ...]:
        """Messages of an owner's sessions that have every word of `text` somewhere in their content.

        Upper and lower case, and forms of writing the same letter, are one. Newest session first, in each from the
        beginning.
        """

    @abstractmethod
    def append_turn(
        self, session_id: str, messages: Sequence[SessionMessage], *, owner: str, revision: int
    ) -> SessionInfo:
        """Add what was said in one turn, as a whole.

        Args:
            messages: in order.
            revision: of the session that the turn was an answer to.

        Raises:
            SessionNotFoundError: this owner has no such session (any more).
            SessionChangedError: the session has gone on since that revision.
        """

    @abstractmethod
    def truncate(self, session_id: str, *, owner: str, after: str | None) -> SessionInfo:
        """Remove all messages behind the one with the id `after`, or all; to say it differently and go on from there.

        Raises:
            SessionNotFoundError: this owner has no such session, or that one no such message.
        """

    @abstractmethod
    def delete(self, session_id: str, *, owner: str) -> None:
        """Remove a session with everything in it.

        Raises:
            SessionNotFoundError: this owner has no such session.
        """

    @abstractmethod
    def close(self) -> None:
        """Give back what the store holds. Later calls raise SessionStoreError; a second close does nothing."""

    @abstractmethod
    def _add(self, session: Session) -> None:
        """Keep a new session with all its messages."""

    @abstractmethod
    def _change(self, session_id: str, owner: str, changes: InfoChanges) -> SessionInfo:
        """Change some of a session's fields; its revision and times stay.

        Raises:
            SessionNotFoundError: this owner has no such session.
        """

    def __enter__(self) -> SessionStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def microseconds(time: datetime) -> int:
    """Since 1970: whole, ordered, and the same in every database."""
    return (time - _EPOCH) // timedelta(microseconds=1)


def from_microseconds(value: int) -> datetime:
    return _EPOCH + timedelta(microseconds=value)


def check_limit(limit: object) -> int:
    """The size of a page."""
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= MAX_PAGE:
        raise RequestError(f"limit={limit!r} is not allowed: a whole number from 1 to {MAX_PAGE}.")
    return limit


def session_not_found(session_id: object) -> SessionNotFoundError:
    return SessionNotFoundError(
        f"There is no session {session_id!r} of this owner. list_sessions names those there are."
    )

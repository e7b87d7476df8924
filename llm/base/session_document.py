"""A session as JSON, to take away and to bring back.

The document is plain: a format name, a version, the session's fields and its messages. Reading one trusts nothing in
it: every key and every type is checked, and it can neither say whose session it becomes nor what that one may see.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from typing import Any

from ..exceptions import RequestError
from .session import (
    Session,
    SessionMessage,
    check_json_object,
    check_message,
    check_name,
    check_scope,
    counted_text,
    estimated_tokens,
    new_id,
    now,
)

FORMAT = "practorflow.session"
VERSION = 1


def json_text(value: object) -> str:
    """Compact JSON that every database and file takes, and that reads back as it was."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    # Half a surrogate pair is legal in JSON only as an escape.
    return text if _encodable(text) else json.dumps(value, allow_nan=False, separators=(",", ":"))


def session_document(session: Session) -> dict[str, Any]:
    """Everything about a session, ready for `json.dump`."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "owner": session.owner,
        "title": session.title,
        "document_scope": None if session.document_scope is None else sorted(session.document_scope),
        "metadata": dict(session.metadata),
        "created_at": session.created_at.isoformat(),
        "updated_at": session.updated_at.isoformat(),
        "messages": [
            {
                "message": dict(entry.message),
                "tokens": entry.tokens,
                "interrupted": entry.interrupted,
                "created_at": entry.created_at.isoformat(),
            }
            for entry in session.messages
        ],
    }


def session_from_document(document: Mapping[str, Any], *, owner: str, document_scope: Iterable[str] | None) -> Session:
    """A new session with what the document holds. Its id and its messages' ids are new.

    Raises:
        RequestError: the document is not one of ours, of a later version, or damaged; says where.
    """
    if not isinstance(document, Mapping) or document.get("format") != FORMAT:
        raise RequestError(f"This is not an exported session: its 'format' is not {FORMAT!r}.")
    if document.get("version") != VERSION:
        raise RequestError(f"The exported session has version {document.get('version')!r}; this one reads {VERSION}.")
    entries = document.get("messages")
    if not isinstance(entries, list):
        raise RequestError("The exported session has no list of messages.")
    messages = tuple(_message(entry, f"messages[{number}]") for number, entry in enumerate(entries))
    created_at = _time(document.get("created_at"), "created_at")
    return Session(
        id=new_id(),
        owner=check_name("owner", owner),
        title=check_name("title", document.get("title", ""), empty=True),
        document_scope=check_scope(document_scope),
        metadata=check_json_object(document.get("metadata", {}), where="metadata"),
        created_at=created_at,
        updated_at=max(created_at, _time(document.get("updated_at"), "updated_at")),
        message_count=len(messages),
        tokens=sum(entry.tokens for entry in messages),
        messages=messages,
    )


def _message(entry: object, where: str) -> SessionMessage:
    if not isinstance(entry, Mapping):
        raise RequestError(f"{where} must be a dictionary, not {type(entry).__name__}.")
    message = check_message(entry.get("message"), where=f"{where}.message")
    tokens, interrupted = entry.get("tokens"), entry.get("interrupted", False)
    if tokens is None:
        tokens = estimated_tokens(counted_text(message))
    if isinstance(tokens, bool) or not isinstance(tokens, int) or not 0 <= tokens < 1 << 31:
        raise RequestError(f"{where}.tokens must be a whole number from 0.")
    if not isinstance(interrupted, bool):
        raise RequestError(f"{where}.interrupted must be true or false.")
    return SessionMessage(
        id=new_id(),
        message=message,
        tokens=tokens,
        interrupted=interrupted,
        created_at=_time(entry.get("created_at"), f"{where}.created_at"),
    )


def _time(value: object, where: str) -> datetime:
    """A time, or now where there is none; never one from the future, which would stay on top of every list."""
    if value is None:
        return now()
    try:
        time = datetime.fromisoformat(value) if isinstance(value, str) else None
        if time is not None and time.tzinfo is not None:
            return min(time.astimezone(timezone.utc), now())
    except (ValueError, OverflowError):
        pass  # what follows says what a time looks like
    raise RequestError(f"{where} must be a time such as '2026-01-31T12:00:00+00:00'.")


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True

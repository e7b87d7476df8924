"""A conversation that lasts: the values that a session store keeps and a runner continues.

Invariant: what a session holds is plain JSON with declared keys, checked on its way in wherever it comes from. Nothing
in it names a class, and reading it back runs and looks up nothing.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, cast

from ..exceptions import RequestError
from .messages import ROLES, Message, ToolCall

MESSAGE_KEYS = ("role", "content", "reasoning", "tool_calls", "tool_call_id", "name")
_MAX_NAME = 512  # characters of an owner, a title, a document id: they are indexed


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionMessage:
    """A message in its place.

    Attributes:
        id: unique; a message that is edited gets a new one.
        message: the message itself, calls as ToolCall.
        tokens: length of its text and calls for the model that it was exchanged with, without the template's words.
        interrupted: the reply was left before its end; what had been said until then is here.
        created_at: when it was stored, in UTC.
    """

    id: str
    message: Message = field(repr=False)
    tokens: int
    interrupted: bool = False
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What stands for the oldest messages of a session where they are not sent any more.

    Attributes:
        text: the summary.
        covers: how many messages from the beginning it stands for.
    """

    text: str = field(repr=False)
    covers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionInfo:
    """A session without its messages, as a list shows it.

    Attributes:
        id: given by the store.
        owner: whose it is; nobody else's calls reach it.
        title: for people.
        document_scope: ids of the documents that it may see. None leaves that to the caller; an empty scope means no
            documents.
        metadata: the application's own values, as JSON.
        created_at: in UTC.
        updated_at: when the conversation last went on, in UTC. Renaming does not count.
        revision: goes up whenever messages are added or removed.
        message_count: how many messages it has.
        tokens: what its messages have together.
        summary: of the oldest messages, where one was made.
    """

    id: str
    owner: str
    title: str = field(default="", repr=False)
    document_scope: frozenset[str] | None = field(default=None, repr=False)
    metadata: Mapping[str, Any] = field(default_factory=dict, repr=False)
    created_at: datetime
    updated_at: datetime
    revision: int = 0
    message_count: int = 0
    tokens: int = 0
    summary: Summary | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Session(SessionInfo):
    """A session with its messages, oldest first."""

    messages: tuple[SessionMessage, ...] = field(default=(), repr=False)


def new_id() -> str:
    """An id that nobody can guess and no other session or message has."""
    return secrets.token_hex(16)


def is_id(value: object) -> bool:
    """Whether it could be the id of anything; what cannot is not worth asking a database for."""
    return isinstance(value, str) and value.isalnum() and len(value) <= 64


def now() -> datetime:
    """The time, in UTC."""
    return datetime.now(timezone.utc)


def session_message(
    message: Mapping[str, Any], *, tokens: int | None = None, interrupted: bool = False
) -> SessionMessage:
    """A message that is about to be stored.

    Args:
        message: as a caller writes it.
        tokens: its length; None estimates it.
        interrupted: it is a reply that was left before its end.

    Raises:
        RequestError: it is not a message that can be stored.
    """
    checked = check_message(message)
    if tokens is None:
        tokens = estimated_tokens(counted_text(checked))
    return SessionMessage(id=new_id(), message=checked, tokens=tokens, interrupted=interrupted, created_at=now())


def counted_text(message: Message) -> str:
    """The text that a message's count is about: its content and calls. Reasoning is not sent again."""
    calls = message.get("tool_calls")
    return message.get("content", "") + (json.dumps(calls, ensure_ascii=False) if calls else "")


def estimated_tokens(text: str) -> int:
    """A guess for when there is no tokenizer at hand: three bytes make a token."""
    return -(-len(text.encode("utf-8", "surrogatepass")) // 3)


def check_message(value: object, *, where: str = "message") -> Message:
    """A copy of a message in the form that is stored; `where` is how errors call it.

    Raises:
        RequestError: a key or a value is not one that a message has.
    """
    if not isinstance(value, Mapping):
        raise RequestError(f"{where} must be a dictionary, not {type(value).__name__}.")
    given = {key: part for key, part in value.items() if part is not None}
    if "reasoning_content" in given:
        given.setdefault("reasoning", given.pop("reasoning_content"))
    unknown = sorted(set(map(str, given)) - set(MESSAGE_KEYS))
    if unknown:
        raise RequestError(f"{where} has the key {unknown[0]!r}; a stored message has {', '.join(MESSAGE_KEYS)}.")
    if given.get("role") not in ROLES:
        raise RequestError(f"{where}.role must be one of {', '.join(map(repr, ROLES))}.")
    message: dict[str, Any] = {"role": given["role"], "content": given.get("content", "")}
    for key in ("content", "reasoning", "tool_call_id", "name"):
        if key in given:
            if not isinstance(given[key], str):
                raise RequestError(f"{where}.{key} must be text, not {type(given[key]).__name__}.")
            message[key] = given[key]
    calls = given.get("tool_calls", ())
    if not isinstance(calls, (list, tuple)):
        raise RequestError(f"{where}.tool_calls must be a list, not {type(calls).__name__}.")
    if calls:
        message["tool_calls"] = [_tool_call(call, f"{where}.tool_calls[{number}]") for number, call in enumerate(calls)]
    return cast(Message, message)


def _tool_call(call: object, where: str) -> ToolCall:
    """A call, from this library's form or OpenAI's."""
    function = call.get("function", call) if isinstance(call, Mapping) else None
    if not isinstance(call, Mapping) or not isinstance(function, Mapping):
        raise RequestError(f"{where} must be a dictionary, as tool_calls of a result are.")
    name = call.get("tool_name") or function.get("name")
    args = call["args"] if "args" in call else function.get("arguments")
    if isinstance(args, str):
        args = _parsed(args or "{}", where)
    id_ = call.get("tool_call_id") or call.get("id") or f"call_{new_id()}"
    if not isinstance(name, str) or not isinstance(args or {}, Mapping) or not isinstance(id_, str):
        raise RequestError(f"{where} needs a tool_name, args that are an object, and a tool_call_id that is text.")
    return {"tool_name": name, "args": check_json_object(args or {}, where=f"{where}.args"), "tool_call_id": id_}


def _parsed(text: str, where: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        # Outside the handler's reach: the cause would quote the arguments.
        pass
    raise RequestError(f"{where} has arguments that are not JSON.")


def check_json_object(value: object, *, where: str) -> dict[str, Any]:
    """A deep copy of a JSON object, as it will be read back.

    Raises:
        RequestError: it is no dictionary, or JSON cannot say it.
    """
    if not isinstance(value, Mapping):
        raise RequestError(f"{where} must be a dictionary, not {type(value).__name__}.")
    try:
        return cast("dict[str, Any]", json.loads(json.dumps(dict(value), allow_nan=False)))
    except (TypeError, ValueError, RecursionError) as exc:
        kind = type(exc).__name__
    raise RequestError(f"{where} holds something that JSON cannot say ({kind}).")


def check_name(name: str, value: object, *, empty: bool = False) -> str:
    """A short text such as an owner or a title.

    Raises:
        RequestError: it is no text, empty, too long, or has characters that no database keeps.
    """
    if not isinstance(value, str):
        raise RequestError(f"{name} must be text, not {type(value).__name__}.")
    if (not empty and not value) or len(value) > _MAX_NAME:
        raise RequestError(f"{name} has {len(value)} characters; allowed are {0 if empty else 1} to {_MAX_NAME}.")
    if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
        raise RequestError(f"{name} has a character that no database keeps (NUL or half of a surrogate pair).")
    return value


def check_scope(ids: Iterable[str] | None) -> frozenset[str] | None:
    """A document scope.

    Raises:
        RequestError: it is one text instead of several ids, or has an id that is none.
    """
    if ids is None:
        return None
    if isinstance(ids, (str, bytes)) or not isinstance(ids, Iterable):
        raise RequestError(f"document_scope must be a set of document ids or None, not {type(ids).__name__}.")
    return frozenset(check_name("a document id in document_scope", id_) for id_ in ids)

"""Read one call in the form that a CallSyntax describes, while it arrives.

A reading function returns True where the call is complete. False means that what follows is no such call, or that the
text ended in it; what was read by then is kept by the reader, so that nothing is lost.
"""

from __future__ import annotations

import json
import re
import uuid
from typing import Any

from ..base.call_syntax import CallSyntax
from .argument_types import ArgumentTypes
from .elements import read_elements
from .literals import read_value
from .reader import Reader, Reading
from .reply_event import EventKind, ReplyEvent
from .value_reader import ValueReader

_NAME_KEYS = frozenset({"name", "tool_name"})
_ARGUMENTS_KEYS = frozenset({"arguments", "parameters", "args"})
_ID_KEYS = frozenset({"id", "tool_call_id", "call_id"})
_MAX_NAME = 256
_UNREADABLE = (ValueError, SyntaxError, RecursionError, MemoryError)


class CallReader:
    """Reads the calls of one reply, and tells of them in `events`."""

    def __init__(self, reader: Reader, syntax: CallSyntax, types: ArgumentTypes, events: list[ReplyEvent]) -> None:
        self._reader = reader
        self._syntax = syntax
        self._types = types
        self._ids: set[str] = set()
        self._index = -1
        self._events = events
        self._values = ValueReader(reader)
        self._follows = (syntax.parameter_open, syntax.call_close, syntax.section_close)
        self._clear()

    def read(self, *, strict: bool = False) -> Reading[bool]:
        """Read a call whose opening marker has been read.

        Args:
            strict: nothing marked the call, so it must name a tool and bring arguments to be one.
        """
        self._clear()
        nesting = self._syntax.nesting
        if nesting in ("json_object", "json_list"):
            read = yield from self._object(strict=strict)
        elif nesting == "python_list":
            read = yield from self._python()
        elif nesting == "parameters":
            read = yield from self._parameters()
        else:
            read = yield from self._name_and_json()
        return read and self._complete(strict)

    def read_arguments(self, name: str) -> Reading[bool]:
        """Read JSON arguments of a call whose name has been read."""
        self._clear()
        self._begin(name)
        return (yield from self._values.json(self._argument)) and self._complete(False)

    def snapshot(self) -> tuple[int, frozenset[str]]:
        """What `restore` needs to forget the calls read from here on."""
        return self._index, frozenset(self._ids)

    def restore(self, snapshot: tuple[int, frozenset[str]]) -> None:
        """Forget the calls read since the snapshot."""
        self._index, self._ids = snapshot[0], set(snapshot[1])

    def abandon(self) -> bool:
        """Tell that the call under way will not be completed. True where the reply just ended in it."""
        partial = self._begun and self._reader.starved
        if self._begun:
            self._tell("call_partial" if partial else "call_lost", "".join(self._arguments))
            self._index -= not partial
        self._clear()
        return partial

    @property
    def is_malformed(self) -> bool:
        """Whether a call is under way that cannot be read, though more text follows."""
        return self._begun and not self._reader.starved

    def keep_malformed(self, rest: str) -> None:
        """Tell that the call under way has ended with `rest`, and that its arguments cannot be read."""
        text = "".join(self._arguments)
        if isinstance(quoted := _loaded(text), str):
            text = quoted
        if self._syntax.nesting in ("json_object", "json_list"):
            rest = rest.strip().removesuffix("}")
        self._tell("call_malformed", text + rest if self._syntax.nesting != "parameters" else text)
        self._ids.add(self._call_id)
        self._clear()

    def _clear(self) -> None:
        self._name = ""
        self._id = ""
        self._call_id = ""
        self._arguments: list[str] = []
        self._begun = False

    # What a call has told so far.

    def _begin(self, name: str) -> None:
        self._name = name
        self._begun = True
        self._index += 1
        self._call_id = self._id if self._id and self._id not in self._ids else f"call_{uuid.uuid4().hex[:20]}"
        self._tell("call_start")

    def _tell(self, kind: EventKind, text: str = "") -> None:
        self._events.append(ReplyEvent(kind, text, self._index, self._name, self._call_id))

    def _argument(self, text: str) -> None:
        self._arguments.append(text)
        if self._begun and text:
            self._tell("arguments", text)

    def _string_argument(self, text: str) -> None:
        self._argument(json.dumps(text, ensure_ascii=False)[1:-1])

    def _complete(self, strict: bool) -> bool:
        try:
            arguments = read_value("".join(self._arguments)) if self._arguments else None if strict else {}
            if isinstance(arguments, str):
                arguments = read_value(arguments)
        except _UNREADABLE:
            return False
        if arguments is None and not strict:
            arguments = {}
        if not isinstance(arguments, dict) or not self._name or (strict and self._name not in self._types):
            return False
        if not self._begun:
            self._begin(self._name)
        id_ = self._id if self._id and self._id not in self._ids else self._call_id
        self._ids.add(id_)
        call = {"tool_name": self._name, "args": arguments, "tool_call_id": id_}
        event = ReplyEvent("call", "", self._index, self._name, self._call_id, call)  # type: ignore[arg-type]
        self._events.append(event)
        self._begun = False
        return True

    # A JSON object with name and arguments.

    def _object(self, *, strict: bool) -> Reading[bool]:
        reader = self._reader
        if not (yield from reader.skip("{")):
            return False
        while True:
            yield from reader.skip_space()
            char = yield from reader.peek()
            if char in ("}", ","):
                reader.take(1)
                if char == "}":
                    return True
                continue
            key_text: list[str] = []
            if char != '"' or not (yield from self._values.string(key_text.append)):
                return False
            key = _loaded("".join(key_text))
            yield from reader.skip_space()
            if not isinstance(key, str) or not (yield from reader.skip(":")):
                return False
            yield from reader.skip_space()
            if not (yield from self._pair(key, strict=strict)):
                return False

    def _pair(self, key: str, *, strict: bool) -> Reading[bool]:
        syntax, opens = self._syntax, (yield from self._reader.peek())
        if not syntax.name_key:
            if self._name or (strict and key not in self._types):
                return False
            self._begin(key)
            return (yield from self._values.json(self._argument))
        if key == syntax.arguments_key or (key in _ARGUMENTS_KEYS and opens in '{"'):
            # Text of a JSON string is not yet the JSON of the arguments, so it is told when it is complete.
            streamed = self._begun and opens == "{"
            return (yield from self._values.json(self._argument if streamed else self._arguments.append))
        value: list[str] = []
        if key == "function" and opens == "{":
            return (yield from self._object(strict=strict))
        if not (yield from self._values.json(value.append)):
            return False
        loaded = _loaded("".join(value))
        if key == syntax.name_key or key in _NAME_KEYS or (key == "function" and isinstance(loaded, str)):
            return self._named(loaded, strict=strict)
        if key == syntax.id_key or key in _ID_KEYS:
            self._id = loaded if isinstance(loaded, str) else json.dumps(loaded)
            return True
        return not strict or self._begun or key == "type"

    def _named(self, name: object, *, strict: bool) -> bool:
        if not isinstance(name, str) or not name or self._begun or (strict and name not in self._types):
            return False
        self._name = name
        if not strict or self._arguments:
            self._begin(name)
            for text in self._arguments:
                self._tell("arguments", text)
        return True

    # A name, then JSON.

    def _name_and_json(self) -> Reading[bool]:
        syntax = self._syntax
        if syntax.id_separator and syntax.id_first:
            self._id = yield from self._word(syntax.id_separator)
            if not (yield from self._reader.skip(syntax.id_separator)):
                return False
        name = yield from self._word(syntax.id_separator if not syntax.id_first else "", syntax.name_close)
        if not name:
            return False
        if syntax.id_separator and not syntax.id_first and (yield from self._reader.skip(syntax.id_separator)):
            self._id = yield from self._word(syntax.name_close)
        index = yield from self._after_name(syntax.name_close, name)
        yield from self._reader.skip_space()
        if index is None or (yield from self._reader.peek()) != "{":
            return False
        if syntax.id_format:
            self._id = syntax.id_format.replace("{name}", name).replace("{index}", index)
        self._begin(name)
        if syntax.quoted_keys and syntax.string_quote == '"':
            return (yield from self._values.json(self._argument))
        self._reader.take(1)
        return (yield from self._keywords(":", "}"))

    def _word(self, *stops: str) -> Reading[str]:
        """A name or id: everything up to white space, a quote, a bracket, or what begins the next marker."""
        ends = "".join(re.escape(stop.strip()[0]) for stop in stops if stop.strip())
        yield from self._reader.skip_space()
        return (yield from self._reader.run(re.compile(rf"[^\s<>(){{}}\[\]\"'{ends}]"), most=_MAX_NAME))

    def _after_name(self, mark: str, name: str) -> Reading[str | None]:
        """Read what stands after a name; returns the number in it, empty where there is none, None where it differs."""
        mark = mark.replace("{name}", name)
        before, numbered, after = mark.partition("{index}")
        if not (yield from self._reader.skip(before)):
            return None
        index = (yield from self._reader.run(re.compile(r"\d"), most=9)) if numbered else ""
        return index if (yield from self._reader.skip(after)) else None

    # A name, then keys and values with markers around them.

    def _parameters(self) -> Reading[bool]:
        syntax, reader = self._syntax, self._reader
        name = yield from self._word(syntax.name_close, syntax.parameter_open)
        if not name or (yield from self._after_name(syntax.name_close, name)) is None:
            return False
        if not syntax.name_close.strip() and name not in self._types:
            return False  # Without a marker behind it, any word could be a name.
        self._begin(name)
        keys: list[str] = []
        # A closing marker may begin as an opening one does, so it is asked for first.
        while not (yield from self._at(syntax.call_close)) and (yield from reader.skip(syntax.parameter_open)):
            key = yield from self._word(syntax.key_close.replace("{type}", ""))
            word = yield from self._key_close(syntax.key_close)
            if not key or word is None:
                return False
            self._argument(("{" if not keys else ", ") + json.dumps(key, ensure_ascii=False) + ": ")
            keys.append(key)
            if not (yield from self._parameter_value(name, key, word)):
                return False
        for mark in (syntax.call_close, *syntax.call_close.split()[-1:], syntax.section_close, syntax.call_open):
            if (yield from self._at(mark)):
                self._argument("}" if keys else "{}")
                return True
        return not syntax.call_close.strip()

    def _at(self, mark: str) -> Reading[bool]:
        return bool(mark.strip()) and (yield from self._reader.find(mark)) >= 0

    def _key_close(self, mark: str) -> Reading[str | None]:
        """Read what stands between key and value; returns the word for the value's type."""
        before, typed, after = mark.partition("{type}")
        if not (yield from self._reader.skip(before)):
            return None
        word = (yield from self._reader.run(re.compile(r"\w"), most=_MAX_NAME)) if typed else ""
        if not (yield from self._reader.skip(after)):
            return None
        # White space after the marker is the marker's as far as the template writes it; more belongs to the value.
        space = mark[len(mark.rstrip()) :]
        if space and (yield from self._reader.more(len(space))) and self._reader.text.startswith(space):
            self._reader.take(len(space))
        return word

    def _parameter_value(self, name: str, key: str, word: str) -> Reading[bool]:
        syntax = self._syntax
        close = syntax.parameter_close.replace("{key}", key)
        written_as = {type_name for type_name, type_word in syntax.type_words if type_word == word}
        is_text = syntax.raw_strings and (written_as == {"string"} if written_as else self._types.is_text(name, key))
        if is_text:
            self._argument('"')
            read = yield from self._values.until(close, self._follows, self._string_argument)
            self._argument('"' if read else "")
            return read
        parts: list[str] = []
        if not (yield from self._values.until(close, self._follows, parts.append)):
            return False
        text = "".join(parts)
        if syntax.item_key:
            value = self._types.nested_value(name, key, read_elements(text, syntax), syntax.item_key)
        elif syntax.raw_strings and not written_as:
            value = self._types.value(name, key, text)
        else:
            value = _loaded(text, text)
        self._argument(json.dumps(value, ensure_ascii=False))
        return True

    # A call as in Python.

    def _python(self) -> Reading[bool]:
        name = yield from self._word("(")
        if not name or not (yield from self._reader.skip("(")):
            return False
        if not self._syntax.section_open and name not in self._types:
            return False
        self._begin(name)
        return (yield from self._keywords("=", ")"))

    def _keywords(self, equals: str, close: str) -> Reading[bool]:
        """KEY=VALUE, KEY=VALUE) or KEY:VALUE,KEY:VALUE}"""
        reader = self._reader
        count = 0
        while True:
            yield from reader.skip_space()
            char = yield from reader.peek()
            if char in (close, ","):
                reader.take(1)
                if char == close:
                    self._argument("}" if count else "{}")
                    return True
                continue
            key = yield from self._word(equals)
            yield from reader.skip_space()
            if not key or not (yield from reader.skip(equals)):
                return False
            self._argument(("{" if not count else ", ") + json.dumps(key, ensure_ascii=False) + ": ")
            count += 1
            yield from reader.skip_space()
            parts: list[str] = []
            if not (yield from self._values.bare(self._syntax.string_quote, parts.append)):
                return False
            try:
                value = read_value("".join(parts), string_quote=self._syntax.string_quote)
            except _UNREADABLE:
                return False
            self._argument(json.dumps(value, ensure_ascii=False))


def _loaded(text: str, otherwise: Any = None) -> Any:
    try:
        return read_value(text)
    except _UNREADABLE:
        return otherwise

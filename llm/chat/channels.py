"""Replies that are several messages, each with a header that says what it is and whom it is for.

    <|channel|>analysis<|message|>...<|end|><|start|>assistant<|channel|>commentary to=functions.add <|constrain|>json
    <|message|>{"a": 1}<|call|>

Models vary the header (the recipient before the channel or after it), so it is read by its words. A message for
somebody who is not there, such as a tool that was not offered, reaches nobody.
"""

from __future__ import annotations

import re
from typing import Literal

from ..base.call_syntax import CallSyntax
from .argument_types import ArgumentTypes
from .call_reader import CallReader
from .reader import Reader, Reading, held_back
from .reply_output import ReplyOutput

_MAX_HEADER = 512
_Addressee = Literal["reader", "self", "tool", "nobody"]


class ChannelReader:
    """Reads one reply."""

    def __init__(
        self,
        reader: Reader,
        syntax: CallSyntax,
        types: ArgumentTypes,
        calls: CallReader,
        output: ReplyOutput,
        *,
        tell_all_calls: bool = False,
    ) -> None:
        self._tells_all = tell_all_calls
        self._reader = reader
        self._types = types
        self._calls = calls
        self._output = output
        self._message = re.split(r"(?=<)", syntax.content_open.strip())[-1]
        self._channel = syntax.reasoning_open.strip().partition(">")[0] + ">"
        self._thinking = syntax.reasoning_open.strip().removeprefix(self._channel).removesuffix(self._message)
        self._tools = syntax.call_open.rpartition("to=")[2]
        self._start = syntax.message_open.strip()
        self._ends = tuple(
            mark
            for mark in (syntax.reasoning_close.strip(), syntax.call_close.strip(), syntax.turn_end.strip())
            if mark
        )

    def read(self, *, reasoning_open: bool) -> Reading[None]:
        """Read a reply, whose first message may already be open."""
        if reasoning_open:
            yield from self._body("self", "")
        while (yield from self._reader.peek()):
            header = yield from self._header()
            if header is None:
                yield from self._body("reader", "")
                continue
            addressee, name = self._addressee(header)
            if addressee == "self":
                self._output.reasoning_follows()
                self._in_text(header)
            yield from self._body(addressee, name)

    def _header(self) -> Reading[str | None]:
        """Read a header; None where the text does not begin with one."""
        reader = self._reader
        if not (yield from reader.find(self._start)) > 0 and not (yield from self._begins_header()):
            return None
        while True:
            end = reader.text.find(self._message)
            if end >= 0:
                return reader.take(end + len(self._message))
            if reader.closed or len(reader.text) > _MAX_HEADER:
                return None
            yield

    def _begins_header(self) -> Reading[bool]:
        return (yield from self._reader.find(self._channel)) > 0 or (yield from self._reader.find("to=")) > 0

    def _addressee(self, header: str) -> tuple[_Addressee, str]:
        """Whom a message is for, and the tool's name where it is for one."""
        recipients = [match for match in re.findall(r"to=([^\s<]+)", header) if match != "assistant"]
        channels = re.findall(re.escape(self._channel) + r"\s*(\w+)", header)
        if recipients:
            name = recipients[-1].removeprefix(self._tools)
            return ("tool", name) if name in self._types or self._tells_all else ("nobody", name)
        return ("self" if channels and channels[-1] == self._thinking else "reader"), ""

    def _body(self, addressee: _Addressee, name: str) -> Reading[None]:
        """Read a message up to what ends it."""
        reader, output = self._reader, self._output
        output.thinking = addressee == "self"
        if addressee == "tool":
            reader.keep()
            if (yield from self._calls.read_arguments(name)):
                reader.kept()
                output.call_follows()
                addressee = "nobody"
            elif self._tells_all and self._calls.is_malformed:
                reader.kept()
                rest: list[str] = []
                yield from self._until_end(rest)
                self._calls.keep_malformed("".join(rest))
                output.call_follows()
                addressee = "nobody"
            elif self._calls.abandon():
                output.call_follows()
                reader.kept()
                return
            else:
                output.say(reader.kept())
                addressee = "reader"
        while True:
            at, end = _first(reader.text, (*self._ends, self._start))
            held = 0 if end or reader.closed else held_back(reader.text, (*self._ends, self._start))
            text = reader.take(at if end else len(reader.text) - held)
            if addressee == "self":
                output.think(text)
            elif addressee == "reader":
                output.say(text)
            if end:
                if end != self._start:
                    reader.take(len(end))
                    if addressee == "self":
                        self._in_text(end)
                output.said = output.thinking = False
                return
            if reader.closed:
                return
            yield

    def _until_end(self, rest: list[str]) -> Reading[None]:
        """Read up to what ends the message, which is not read."""
        reader, ends = self._reader, (*self._ends, self._start)
        while True:
            at, end = _first(reader.text, ends)
            held = 0 if end or reader.closed else held_back(reader.text, ends)
            rest.append(reader.take(at if end else len(reader.text) - held))
            if end or reader.closed:
                return
            yield

    def _in_text(self, mark: str) -> None:
        """A marker of reasoning is told where the reasoning stays in the text."""
        if not self._output.separates_reasoning:
            self._output.think(mark)


def _first(text: str, marks: tuple[str, ...]) -> tuple[int, str]:
    """The first of the marks in the text: where it stands, and which it is."""
    found = [(text.find(mark), mark) for mark in marks if mark in text]
    return min(found, default=(0, ""))

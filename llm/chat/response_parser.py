"""Tell reply, reasoning and tool calls apart while a model writes them.

Linear in the length of the reply, and indifferent to how it is divided. Nothing that a model writes is an error: what
cannot be read as a call is text, with not a character lost. Held back is only what may be the beginning of a marker,
and white space that a call would swallow.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ..base.call_syntax import CallSyntax
from .argument_types import ArgumentTypes
from .call_reader import CallReader
from .channels import ChannelReader
from .reader import Reader, Reading, held_back
from .reply_event import ReplyEvent
from .reply_output import ReplyOutput

_PIECE = 256
# What models write that were tuned to reason after their template was made.
_USUAL_REASONING = "<think>"

_MarkKind = Literal["reasoning", "message", "section", "call", "skip"]


@dataclass(frozen=True)
class _Mark:
    """A marker that may stand in a reply's text, and what it begins."""

    text: str
    kind: _MarkKind

    @property
    def first(self) -> str:
        return self.text.split()[0]


class ResponseParser:
    """Parses one reply.

    Args:
        syntax: how the model writes.
        tools: definitions of the tools that the model may call. Without any, nothing is a call.
        reasoning_open: the prompt has already opened the reasoning (`CallSyntax.reasoning_is_open`).
        separate_reasoning: tell reasoning apart; else it stays in the text, with its markers.
        json_reply: the reply is to be one JSON value; a code fence around it is not part of it.
    """

    def __init__(
        self,
        syntax: CallSyntax,
        *,
        tools: Iterable[Mapping[str, Any]] = (),
        reasoning_open: bool = False,
        separate_reasoning: bool = True,
        json_reply: bool = False,
    ) -> None:
        self._syntax = syntax
        self._types = ArgumentTypes(tools)
        self._reader = Reader()
        self._output = ReplyOutput(separate_reasoning=separate_reasoning, json_reply=json_reply)
        self._calls = CallReader(self._reader, syntax, self._types, self._output.events)
        self._opening = syntax.reasoning_open.strip() or _USUAL_REASONING
        self._closing = syntax.reasoning_close.strip() or self._opening.replace("<", "</", 1)
        self._inner = _inner_mark(syntax)
        self._marks = self._all_marks()
        self._firsts = tuple({mark.first for mark in self._marks})
        self._search = _any_of(self._firsts)
        if syntax.nesting == "channels":
            channels = ChannelReader(self._reader, syntax, self._types, self._calls, self._output)
            self._reading = channels.read(reasoning_open=reasoning_open)
        else:
            self._reading = self._reply(reasoning_open)
        self._ended = False
        if not reasoning_open:
            self._reader.text = syntax.prefill

    def feed(self, text: str) -> list[ReplyEvent]:
        """What is certain after this text."""
        for start in range(0, len(text), _PIECE):
            self._reader.text += text[start : start + _PIECE]
            self._go_on()
        return self._output.fetch()

    def finish(self) -> list[ReplyEvent]:
        """The rest, now that the reply has ended."""
        self._reader.closed = True
        self._go_on()
        return self._output.fetch()

    def _go_on(self) -> None:
        if self._ended:
            self._reader.text = ""
            return
        try:
            next(self._reading)
        except StopIteration:
            self._ended = True
            self._output.end()

    def _all_marks(self) -> list[_Mark]:
        syntax = self._syntax
        marks = [_Mark(self._opening, "reasoning"), _Mark(syntax.message_open, "message")]
        if self._types:
            marks.append(_Mark(syntax.section_open, "section"))
            marks += [_Mark(text, "call") for text in (syntax.call_open, self._inner)]
        skipped = [syntax.content_open, syntax.content_close, syntax.turn_end]
        marks += [_Mark(text, "skip") for text in skipped if re.search(r"[<>\[]", text)]
        return [mark for mark in marks if mark.text.strip()]

    def _reply(self, reasoning_open: bool) -> Reading[None]:
        if reasoning_open:
            self._output.mark(self._opening)
            yield from self._reasoning()
        yield from self._bare_calls()
        while (candidates := (yield from self._text())) is not None:
            yield from self._marked(candidates)

    def _text(self) -> Reading[list[_Mark] | None]:
        """Text up to what may be a marker, which is not read. None at the end of the reply."""
        reader = self._reader
        while True:
            found = self._search.search(reader.text)
            if found is not None:
                self._output.say(reader.take(found.start()))
                return [mark for mark in self._marks if reader.text.startswith(mark.first)]
            held = 0 if reader.closed else held_back(reader.text, self._firsts)
            self._output.say(reader.take(len(reader.text) - held))
            if reader.closed:
                return None
            yield

    def _marked(self, candidates: list[_Mark]) -> Reading[None]:
        """What begins here, if one of the candidates does; else the first character is text."""
        reader, output = self._reader, self._output
        for mark in candidates:
            if mark.kind == "reasoning" and (output.said or output.called):
                continue
            end = yield from reader.find(mark.text)
            if end < 0:
                continue
            if mark.kind in ("section", "call"):
                reader.keep()
                reader.take(end)
                yield from self._call_section(in_section=mark.kind == "section")
                return
            opening = reader.take(end)
            if mark.kind == "reasoning":
                output.reasoning_follows()
                output.mark(opening)
                yield from self._reasoning()
            elif mark.kind == "message":
                output.said = False
            elif mark.text[-1:].isspace():
                yield from reader.skip_space()
            return
        output.say(reader.take(1))

    def _reasoning(self) -> Reading[None]:
        """Reasoning up to what closes it, or to the end. The marker of a call in it is part of it."""
        reader, output = self._reader, self._output
        closes = [mark for mark in (self._closing, self._syntax.content_open.strip()) if mark]
        firsts = tuple(mark.split()[0] for mark in closes)
        search = _any_of(firsts)
        yield from reader.skip_space("\n")
        space: list[str] = []
        while True:
            found = search.search(reader.text)
            held = 0 if found or reader.closed else held_back(reader.text, firsts)
            text = reader.take(found.start() if found else len(reader.text) - held)
            thought = text.rstrip()
            if thought:
                output.think("".join(space) + thought)
                space.clear()
            space.append(text[len(thought) :])
            if found is None:
                if reader.closed:
                    return
                yield
                continue
            for mark in closes:
                end = yield from reader.find(mark)
                if end >= 0:
                    output.mark(reader.take(end))
                    yield from reader.skip_space()
                    return
            space.append(reader.take(1))

    # Calls.

    def _bare_calls(self) -> Reading[None]:
        """Calls that nothing marks: at the start of the reply, in the right form, of known tools."""
        reader, syntax = self._reader, self._syntax
        if not self._types or syntax.section_open.strip() or syntax.call_open.strip():
            return
        while True:
            reader.keep()
            yield from reader.skip_space()
            first = yield from reader.peek()
            if not first or first != (syntax.list_open.strip() or "{")[0]:
                self._output.say(reader.kept())
                return
            if not (yield from self._call_section(in_section=False, bare=True)):
                return

    def _call_section(self, *, in_section: bool, bare: bool = False) -> Reading[bool]:
        """Calls after their opening marker. What is none becomes text; True where the first was one."""
        reader, syntax = self._reader, self._syntax
        read = True
        if in_section or bare:
            if syntax.list_open.strip():
                read = yield from reader.skip(syntax.list_open)
            elif syntax.call_open.strip():
                read = yield from self._skip_call_open()
        count = 0
        while read:
            yield from reader.skip_space()
            read = yield from self._calls.read(strict=bare)
            if read:
                count += 1
                self._output.call_follows()
                reader.keep()
                if not (yield from self._next_call(in_section)):
                    reader.kept()
                    return True
        self._give_up()
        return count > 0

    def _give_up(self) -> None:
        """The call that was begun is none, or will not be completed."""
        partial = self._calls.abandon()
        text = self._reader.kept()
        if partial:
            self._output.call_follows()
        else:
            self._output.say(text)

    def _next_call(self, in_section: bool) -> Reading[bool]:
        """Read what stands between two calls; False where no further call follows."""
        reader, syntax = self._reader, self._syntax
        if syntax.list_open.strip():
            if (yield from reader.skip(",")):
                return True
            yield from reader.skip(syntax.list_close)
            yield from reader.skip(syntax.section_close)
            return False
        yield from reader.skip(syntax.call_close)
        if syntax.section_close.strip() and (yield from reader.skip(syntax.section_close)):
            return False
        if not syntax.call_open.strip():
            yield from reader.skip_space()
            return in_section and (yield from reader.peek()) == "{"
        after = yield from reader.find(syntax.call_separator)
        if after > 0 and (yield from reader.find(syntax.call_open, after)) >= 0:
            reader.take(after)
        return (yield from self._skip_call_open())

    def _skip_call_open(self) -> Reading[bool]:
        if (yield from self._reader.skip(self._syntax.call_open)):
            return True
        return bool(self._inner) and (yield from self._reader.skip(self._inner))


def _inner_mark(syntax: CallSyntax) -> str:
    """The last tag of a call's opening, where it has several: some models leave out the ones before it."""
    words = syntax.call_open.split()
    return words[-1] if len(words) > 1 and syntax.nesting == "parameters" and words[-1].startswith("<") else ""


def _any_of(texts: Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join(map(re.escape, sorted(texts, key=len, reverse=True))))

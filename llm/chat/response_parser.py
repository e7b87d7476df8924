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

_MarkKind = Literal["reasoning", "stray", "message", "section", "call", "bare", "skip"]


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
        tell_all_calls: whatever is marked as a call and has a name is one, also without tools, and where its arguments
            cannot be read. Else it is text.
    """

    def __init__(
        self,
        syntax: CallSyntax,
        *,
        tools: Iterable[Mapping[str, Any]] = (),
        reasoning_open: bool = False,
        separate_reasoning: bool = True,
        json_reply: bool = False,
        tell_all_calls: bool = False,
    ) -> None:
        self._syntax = syntax
        self._types = ArgumentTypes(tools)
        self._reader = Reader()
        self._output = ReplyOutput(separate_reasoning=separate_reasoning, json_reply=json_reply)
        self._calls = CallReader(self._reader, syntax, self._types, self._output.events)
        self._opening = syntax.reasoning_open.strip() or _USUAL_REASONING
        self._closing = syntax.reasoning_close.strip() or self._opening.replace("<", "</", 1)
        self._inner = _inner_mark(syntax)
        self._tells_all = tell_all_calls
        self._marks = self._all_marks()
        self._firsts = tuple({mark.first for mark in self._marks})
        self._search = _any_of(self._firsts)
        if syntax.nesting == "channels":
            channels = ChannelReader(
                self._reader, syntax, self._types, self._calls, self._output, tell_all_calls=tell_all_calls
            )
            self._reading = channels.read(reasoning_open=reasoning_open)
        else:
            self._reading = self._reply(reasoning_open)
        self._output.thinking = reasoning_open
        self._ended = False
        self._lost = ""
        self._partial = False
        if not reasoning_open:
            self._reader.text = syntax.prefill

    @property
    def thinking(self) -> bool:
        """Whether what comes next is reasoning, as far as can be told."""
        return self._output.thinking

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
        """Every marker, the longest first, so that the one that says most is tried first."""
        syntax = self._syntax
        marks = [
            _Mark(self._opening, "reasoning"),
            _Mark(self._closing, "stray"),
            _Mark(syntax.message_open, "message"),
        ]
        if self._types or self._tells_all:
            marks += self._call_marks()
        skipped = [syntax.content_open, syntax.content_close, syntax.turn_end]
        marks += [_Mark(text, "skip") for text in skipped if re.search(r"[<>\[]", text)]
        return sorted((mark for mark in marks if mark.text.strip()), key=lambda mark: -len(mark.text))

    def _call_marks(self) -> list[_Mark]:
        syntax = self._syntax
        marks = [
            _Mark(syntax.section_open, "section"),
            *(_Mark(text, "call") for text in (syntax.call_open, self._inner)),
        ]
        return [mark for mark in marks if mark.text.strip()]

    def _reply(self, reasoning_open: bool) -> Reading[None]:
        if reasoning_open:
            yield from self._reasoning(self._syntax.reasoning_open, prefilled=True)
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
                return [mark for mark in self._marks if _may_begin(reader.text, mark.first)]
            held = 0 if reader.closed else held_back(reader.text, self._firsts)
            self._output.say(reader.take(len(reader.text) - held))
            if reader.closed:
                return None
            yield

    def _marked(self, candidates: list[_Mark]) -> Reading[None]:
        """What begins here, if one of the candidates does; else the first character is text."""
        reader, output = self._reader, self._output
        begun = output.said or output.called
        for mark in candidates:
            if mark.kind in ("reasoning", "stray") and begun and not _is_control(mark.text):
                continue
            end = yield from reader.find(mark.text)
            if end < 0:
                continue
            if mark.kind in ("section", "call"):
                yield from self._call_section(mark, end)
                return
            opening = reader.take(end)
            if mark.kind == "reasoning":
                output.reasoning_follows()
                yield from self._reasoning(opening, prefilled=False)
            elif mark.kind == "message":
                output.said = False
            elif mark.text[-1:].isspace():
                yield from reader.skip_space()
            return
        output.say(reader.take(1))

    # Reasoning.

    def _reasoning(self, opening: str, *, prefilled: bool) -> Reading[None]:
        """Reasoning up to what closes it, or to the end."""
        reader, output = self._reader, self._output
        output.thinking = True
        closes = [mark for mark in (self._closing, self._syntax.content_open.strip()) if mark]
        calls = self._call_marks() if self._types or self._tells_all else []
        firsts = tuple({mark.split()[0] for mark in closes} | {mark.first for mark in calls})
        search = _any_of(firsts)
        thoughts = _Thoughts(output, opening)
        if prefilled and not re.search(r"[<>\[\]]", opening):
            thoughts.add(opening)  # Words that the prompt puts into the model's mouth.
        elif output.separates_reasoning:
            yield from reader.skip_space("\n")
        while True:
            found = search.search(reader.text)
            held = 0 if found or reader.closed else held_back(reader.text, firsts)
            thoughts.add(reader.take(found.start() if found else len(reader.text) - held))
            if found is None:
                if reader.closed:
                    return
                yield
                continue
            for close in closes:
                end = yield from reader.find(close)
                if end >= 0:
                    thoughts.close(reader.take(end))
                    output.thinking = False
                    if output.separates_reasoning:
                        yield from reader.skip_space()
                    return
            for mark in calls:
                end = yield from reader.find(mark.text)
                if end >= 0:
                    if prefilled and not thoughts.any:
                        output.thinking = False
                        return  # The model has nothing to think about; it calls at once.
                    if (yield from self._calls_end_reply(mark, end)):
                        return
                    thoughts.add(self._lost)
                    break
            else:
                thoughts.add(reader.take(1))

    def _calls_end_reply(self, mark: _Mark, size: int) -> Reading[bool]:
        """Calls within reasoning count where the reply ends with them: the model forgot to close its reasoning.

        Where it goes on, it only thought of them; `_lost` is then what it wrote.
        """
        reader, output = self._reader, self._output
        output.withhold()
        snapshot = self._calls.snapshot()
        reader.keep()
        reader.take(size)
        read = (yield from self._read_calls(mark)) > 0
        yield from reader.skip_space()
        if read and self._syntax.turn_end.strip():
            yield from reader.skip(self._syntax.turn_end)
        yield from reader.skip_space()
        if read and not self._lost and not (yield from reader.peek()):
            reader.kept()
            output.release()
            output.call_follows()
            return True
        self._lost = reader.kept()
        self._calls.restore(snapshot)
        output.discard()
        return False

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
            space = reader.kept()
            if not first or first != (syntax.list_open.strip() or "{")[0]:
                self._output.say(space)
                return
            if not (yield from self._call_section(_Mark("", "bare"), 0, space)):
                return

    def _call_section(self, mark: _Mark, size: int, before: str = "") -> Reading[bool]:
        """Calls from a marker of that size on. What is none becomes text; True where all were calls."""
        self._reader.keep()
        self._reader.take(size)
        marker = self._reader.kept()
        count = yield from self._read_calls(mark)
        if count or self._partial:
            self._output.call_follows()
        else:
            self._lost = before + marker + self._lost
        self._output.say(self._lost)
        return count > 0 and not self._lost

    def _read_calls(self, mark: _Mark) -> Reading[int]:
        """Read calls behind their opening marker and tell how many there were.

        What was read behind the last of them and is no call is then in `_lost`, unless the reply ended in it.
        """
        reader, syntax, bare = self._reader, self._syntax, mark.kind == "bare"
        reader.keep()
        self._lost, self._partial = "", False
        more = True
        if mark.kind != "call":
            if syntax.list_open.strip():
                more = yield from reader.skip(syntax.list_open)
            elif syntax.call_open.strip():
                more = yield from self._skip_call_open()
        count = 0
        while more:
            yield from reader.skip_space()
            complete = yield from self._calls.read(strict=bare)
            if not complete and not (not bare and self._tells_all and (yield from self._keep_malformed())):
                break
            count += 1
            self._output.call_follows()
            reader.kept()
            reader.keep()
            if not (yield from self._next_call(mark)):
                reader.kept()
                return count
        self._partial = self._calls.abandon()
        read = reader.kept()
        self._lost = "" if self._partial else read
        return count

    def _keep_malformed(self) -> Reading[bool]:
        """Read what is left of a call that cannot be read; False where none is under way."""
        if not self._calls.is_malformed:
            return False
        syntax, reader = self._syntax, self._reader
        closes = (syntax.call_close, syntax.section_close, syntax.turn_end)
        firsts = tuple({mark.split()[0] for mark in closes if mark.strip()})
        rest: list[str] = []
        while True:
            found = _any_of(firsts).search(reader.text) if firsts else None
            held = 0 if found or reader.closed else held_back(reader.text, firsts)
            rest.append(reader.take(found.start() if found else len(reader.text) - held))
            if found or reader.closed:
                self._calls.keep_malformed("".join(rest))
                return True
            yield

    def _next_call(self, mark: _Mark) -> Reading[bool]:
        """Read what stands between two calls; False where no further call follows."""
        reader, syntax = self._reader, self._syntax
        if syntax.list_open.strip():
            if (yield from reader.skip(",")):
                return True
            yield from reader.skip(syntax.list_close)
            yield from reader.skip(syntax.section_close)
            return False
        if not (yield from reader.skip(syntax.call_close)):
            yield from reader.skip("".join(syntax.call_close.split()[-1:]))
        if syntax.section_close.strip() and (yield from reader.skip(syntax.section_close)):
            return False
        if not syntax.call_open.strip():
            yield from reader.skip_space()
            return mark.kind == "section" and (yield from reader.peek()) == "{"
        after = yield from reader.find(syntax.call_separator)
        if after > 0 and (yield from reader.find(syntax.call_open, after)) >= 0:
            reader.take(after)
        return (yield from self._skip_call_open())

    def _skip_call_open(self) -> Reading[bool]:
        if (yield from self._reader.skip(self._syntax.call_open)):
            return True
        return bool(self._inner) and (yield from self._reader.skip(self._inner))


class _Thoughts:
    """Reasoning on its way out: by itself, without the white space at its ends, or in the text, as it is."""

    def __init__(self, output: ReplyOutput, opening: str) -> None:
        self._output = output
        self._opening = opening
        self._space: list[str] = []
        self.any = False

    def add(self, text: str) -> None:
        thought = text.rstrip()
        if thought:
            if not self.any and not self._output.separates_reasoning:
                self._space.insert(0, self._opening)
            self._output.think("".join(self._space) + thought)
            self._space.clear()
            self.any = True
        self._space.append(text[len(thought) :])

    def close(self, mark: str) -> None:
        if self.any and not self._output.separates_reasoning:
            self._output.think("".join(self._space) + mark)


def _inner_mark(syntax: CallSyntax) -> str:
    """The last tag of a call's opening, where it has several: some models leave out the ones before it."""
    words = syntax.call_open.split()
    return words[-1] if len(words) > 1 and syntax.nesting == "parameters" and words[-1].startswith("<") else ""


def _any_of(texts: Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join(map(re.escape, sorted(texts, key=len, reverse=True))))


def _may_begin(text: str, word: str) -> bool:
    return text.startswith(word) or word.startswith(text)


def _is_control(mark: str) -> bool:
    """Whether a marker cannot be mistaken for something that a reply speaks of."""
    return re.search(r"<\||\|>|\uff5c|\[/?[A-Z_]+\]", mark) is not None

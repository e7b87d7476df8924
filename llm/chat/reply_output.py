"""Collect the events of a reply: white space that may be swallowed waits, and neighbours become one.

A call swallows the white space around it, so white space is told only when text follows, or the end.
"""

from __future__ import annotations

from dataclasses import replace

from .code_fence import CodeFence
from .reply_event import ReplyEvent


class ReplyOutput:
    """What a parser tells.

    Args:
        separate_reasoning: reasoning is told apart from text.
        json_reply: a code fence and white space around the text are left out.

    Attributes:
        events: told and not yet fetched.
        said: text has been told since the message began.
        called: a call has been told.
        thinking: what is read now is reasoning, or its markers.
    """

    def __init__(self, *, separate_reasoning: bool, json_reply: bool) -> None:
        self.events: list[ReplyEvent] = []
        self.said = False
        self.called = False
        self.thinking = False
        self._separate = separate_reasoning
        self._json_reply = json_reply
        self._fence = CodeFence() if json_reply else None
        self._space: list[str] = []
        self._withheld: int | None = None

    @property
    def separates_reasoning(self) -> bool:
        return self._separate

    def say(self, text: str) -> None:
        """Text of the reply."""
        if self._fence is not None:
            text = self._fence.feed(text)
        visible = text.rstrip()
        if self._json_reply and not self.said:
            visible = visible.lstrip()
            self._space.clear()
        if visible:
            self.events.append(ReplyEvent("text", "".join(self._space) + visible))
            self._space.clear()
            self.said = True
        if text != text.rstrip():
            self._space.append(text[len(text.rstrip()) :])

    def think(self, text: str) -> None:
        """Reasoning."""
        if text:
            self.events.append(ReplyEvent("reasoning" if self._separate else "text", text))

    def call_follows(self) -> None:
        """The white space that waits belongs to a call."""
        self._space.clear()
        self.called = True

    def reasoning_follows(self) -> None:
        """The white space that waits belongs to a marker of reasoning."""
        self._space.clear()

    def end(self) -> None:
        """The reply has ended."""
        if self._fence is not None:
            held, self._fence = self._fence.finish(), None
            self.say(held)
        if self._space and not self.called and not self._json_reply:
            self.events.append(ReplyEvent("text", "".join(self._space)))
        self._space.clear()

    def withhold(self) -> None:
        """Keep back what is told from here on, until it is released or discarded."""
        self._withheld = len(self.events)

    def release(self) -> None:
        """What was kept back holds."""
        self._withheld = None

    def discard(self) -> None:
        """What was kept back was never told."""
        del self.events[self._withheld :]
        self._withheld = None

    def fetch(self) -> list[ReplyEvent]:
        """The events since the last fetch, those that go on each other as one."""
        end = len(self.events) if self._withheld is None else self._withheld
        joined: list[ReplyEvent] = []
        for event in self.events[:end]:
            last = joined[-1] if joined else None
            if last and event.kind in ("text", "reasoning", "arguments") and last.kind == event.kind:
                joined[-1] = replace(last, text=last.text + event.text)
            else:
                joined.append(event)
        del self.events[:end]
        self._withheld = None if self._withheld is None else 0
        return joined

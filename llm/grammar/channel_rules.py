"""A reply made of messages, whose headers name a channel and, for a call, a recipient.

    HEADER REASONING <|end|>  <|start|>assistant  HEADER TEXT <|end|>  <|start|>assistant  HEADER ARGUMENTS <|call|>

Invariant: every message but the last is reasoning or text; the last is a call, text, or the JSON that was asked for.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..base.call_syntax import CallSyntax
from .call_rules import CallRules
from .lark import Grammar, either, optional, without
from .markers import Blank, Markers, Special, body
from .reply_rules import ending
from .tool_arguments import Calls, Tool


@dataclass(frozen=True, slots=True)
class Headers:
    """The fixed parts of headers, read off a call's and a text's: what both share is fixed, what differs is a name."""

    opened: str
    message: str
    channel: str
    recipient: str
    constraint: str
    thought: str

    @classmethod
    def of(cls, syntax: CallSyntax) -> Headers | None:
        """The parts, or None where the syntax shows no headers of this kind."""
        opened = _common_start(syntax.call_open, syntax.content_open)
        message = _common_start(syntax.name_close[::-1], syntax.content_open[::-1])[::-1]
        channel, blank, recipient = syntax.call_open[len(opened) :].partition(" ")
        if not (opened and message and channel and recipient):
            return None
        constraint = syntax.name_close.removesuffix(message)
        thought = syntax.reasoning_open.removeprefix(opened).removesuffix(message)
        return cls(opened, message, channel, blank + recipient, constraint, thought)

    def of_call(self, name: str) -> list[str]:
        """Headers of a call: the recipient before or after the channel, in either channel, with or without a type."""
        recipient = self.recipient + name
        return [
            header + constraint + self.message
            for channel in dict.fromkeys([self.channel, self.thought or self.channel])
            for constraint in dict.fromkeys([self.constraint, ""])
            for header in (f"{self.opened}{channel}{recipient}", f"{recipient}{self.opened}{channel}")
        ]


class ChannelReply:
    """The start of the grammar; `headers` and `tools` aside, the arguments are those of MarkedReply."""

    def __init__(
        self,
        grammar: Grammar,
        markers: Markers,
        syntax: CallSyntax,
        rules: CallRules,
        calls: Calls,
        answer: str,
        *,
        inside: bool,
        headers: Headers,
        tools: list[Tool],
    ) -> None:
        self._grammar = grammar
        self._markers = markers
        self._syntax = syntax
        self._rules = rules
        self._calls = calls
        self._answer = answer
        self._inside = inside
        self._headers = headers
        self._tools = tools

    def start(self) -> str:
        """The expression of the whole reply."""
        syntax, headers = self._syntax, self._headers
        following = body([Blank(), *self._markers.exact(syntax.message_open)])
        thought = body(ending(self._grammar, self._markers, self._banned, syntax.reasoning_close))
        earlier = [f"{self._header(syntax.reasoning_open)} {thought}"]
        if not self._answer and self._calls == "auto":
            earlier.append(f"{self._header(headers.opened + headers.channel + headers.message)} {thought}")
        last = [self._call(tool) for tool in self._tools] if self._calls != "none" else []
        if self._answer:
            typed = syntax.content_open.removesuffix(headers.message) + headers.constraint + headers.message
            header = either([self._header(syntax.content_open), self._header(typed)])
            last.append(f"{header} {self._answer}")
        elif self._calls != "required":
            text = self._grammar.terminal("text", without(self._banned))
            last.append(f"{self._header(syntax.content_open)} {text} {self._end}")
        reply = f"({either(earlier)} {following})* {either(last)}"
        return f"{thought} {following} {reply}" if self._inside else reply

    def _header(self, text: str) -> str:
        return body(self._markers.exact(text))

    def _call(self, tool: Tool) -> str:
        headers = either([self._header(header) for header in self._headers.of_call(tool.name)])
        closing = optional(self._header(self._syntax.call_close)) if self._syntax.call_close else ""
        return self._grammar.rule("call", f"{headers} {self._rules.arguments(tool)} blank {closing}")

    @property
    def _banned(self) -> list[str]:
        syntax = self._syntax
        return [syntax.reasoning_close, self._headers.opened, syntax.message_open, syntax.call_close, syntax.turn_end]

    @property
    def _end(self) -> str:
        parts = self._markers.exact(self._syntax.turn_end)
        special = parts and all(isinstance(part, Special) for part in parts)
        return optional(body(parts)) if special else ""


def _common_start(a: str, b: str) -> str:
    return a[: next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))]

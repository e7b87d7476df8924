"""What a parser tells of a reply while it comes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from ..base.messages import ToolCall

EventKind = Literal[
    "text", "reasoning", "call_start", "arguments", "call", "call_partial", "call_malformed", "call_lost"
]


@dataclass(frozen=True, slots=True)
class ReplyEvent:
    """One step of a reply.

    Attributes:
        kind: what happened:
            text, reasoning: `text` goes on the reply or the reasoning;
            call_start: a call of `name` has begun;
            arguments: `text` goes on the arguments of call `index`, as JSON;
            call: `call` is complete;
            call_partial: the reply ended within call `index`, whose arguments so far are `text`;
            call_malformed: call `index` has ended, and its arguments, which are `text`, cannot be read;
            call_lost: what began as call `index` is none; its text follows as text.
        text: new text.
        index: number of the call in the reply, from 0.
        name: of the tool.
        call_id: of the call as far as it is known when the call begins, else made up.
        call: the complete call.
    """

    kind: EventKind
    text: str = field(default="", repr=False)
    index: int = -1
    name: str = ""
    call_id: str = ""
    call: ToolCall | None = field(default=None, repr=False)

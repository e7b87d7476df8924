"""One training or evaluation example: a conversation whose last turn is the answer to learn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .chat_template import render

Turn = dict[str, Any]
Tool = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A conversation, or plain text where `messages` is empty.

    Attributes:
        skill: name of the ability that the sample exercises.
        messages: the turns; the last one is the assistant's and is what evaluation compares with.
        tools: functions offered.
        contains: texts that a right answer contains, when an exact match is asking too much.
        text: plain text to learn, for samples that are no conversation.
    """

    skill: str
    messages: tuple[Turn, ...] = ()
    tools: tuple[Tool, ...] = ()
    contains: tuple[str, ...] = ()
    text: str = ""

    @property
    def prompt(self) -> tuple[Turn, ...]:
        return self.messages[:-1]

    @property
    def answer(self) -> Turn:
        return self.messages[-1]

    def rendered(self) -> str:
        """What the model is trained on."""
        return self.text or render(self.messages, tools=self.tools)

    def rendered_prompt(self) -> str:
        """What the model is given when the answer is evaluated."""
        return render(self.prompt, tools=self.tools, add_generation_prompt=True)


def system(content: str) -> Turn:
    return {"role": "system", "content": content}


def user(content: str) -> Turn:
    return {"role": "user", "content": content}


def assistant(content: str) -> Turn:
    return {"role": "assistant", "content": content}


def calls(*called: tuple[str, Mapping[str, Any]]) -> Turn:
    """An assistant's turn that calls functions, each given as (name, arguments)."""
    functions = [
        {"type": "function", "function": {"name": name, "arguments": dict(arguments)}} for name, arguments in called
    ]
    return {"role": "assistant", "content": "", "tool_calls": functions}


def tool_result(content: str) -> Turn:
    return {"role": "tool", "content": content}

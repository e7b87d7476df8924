"""How passages stand before a question: the one form in which models here are given documents. Pure.

    <documents>
    [1] report.pdf, page 3
    ...

    [2] report.pdf, page 7
    ...
    </documents>

    Question: What are the key findings?

The demo model is trained on it. Passages are content like any other, so that nothing in them becomes a control token;
and what would close the block early is written differently, so that a passage ends where it says.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

_CLOSING = re.compile(r"<\s*/\s*documents\s*>", re.IGNORECASE)
_LONGEST_SOURCE = 300


class CitedPassage(Protocol):
    """A passage and where it stands."""

    @property
    def text(self) -> str: ...

    @property
    def source(self) -> str: ...


def listed(passages: Sequence[CitedPassage]) -> str:
    """The passages as a model reads them: each with a number, and its source on a line."""
    return "\n\n".join(
        f"[{number}] {_source(passage)}\n{_fenced(passage.text.strip())}" for number, passage in enumerate(passages, 1)
    )


def with_passages(messages: Sequence[Mapping[str, Any]], passages: Sequence[CitedPassage]) -> list[dict[str, Any]]:
    """The messages, with the passages before the last question. Nothing that is given is changed.

    Where there is no question, as when a model is to go on by itself, the passages are a question's whole beginning.
    """
    copies = [dict(message) for message in messages]
    if not passages:
        return copies
    block = f"<documents>\n{listed(passages)}\n</documents>"
    place = last_question(copies)
    if place is None:
        return [*copies, {"role": "user", "content": block}]
    copies[place]["content"] = f"{block}\n\nQuestion: {copies[place]['content']}"
    return copies


def last_question(messages: Sequence[Mapping[str, Any]]) -> int | None:
    """Where the last message of the user stands; None where there is none."""
    return max((place for place, message in enumerate(messages) if message.get("role") == "user"), default=None)


def _source(passage: CitedPassage) -> str:
    """On one line: a file's name may hold anything."""
    return _fenced(" ".join(passage.source.split()))[:_LONGEST_SOURCE]


def _fenced(text: str) -> str:
    return _CLOSING.sub("[/documents]", text)

"""A summary of what a session does not send any more, written by the model that goes on with it.

It is made when the history is cut, which happens once in many turns, from the summary before and what has left since.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any

from ..base.messages import GenerateResult
from ..base.session import SessionMessage, Summary

Generate = Callable[..., Awaitable[GenerateResult]]

SHARE = 8  # of a window that a summary may take
INSTRUCTIONS = (
    "You keep the minutes of a conversation. Write a summary for somebody who has to continue it without having read "
    "it: names, numbers, dates, decisions, what was promised, what is still open. Write plain sentences, nothing else."
)


def summary_room(window: int) -> int:
    """Tokens that a summary may take of a window."""
    return window // SHARE


async def summarized(
    generate: Generate, history: Sequence[SessionMessage], covers: int, *, earlier: Summary | None, window: int
) -> Summary:
    """A summary of the first messages of a history.

    Args:
        generate: of a runner, without a session.
        history: messages of the session.
        covers: how many of them to summarize.
        earlier: a summary to go on from; one that covers more is left aside.
        window: tokens that `generate` may use.
    """
    begun = earlier.covers if earlier is not None and earlier.covers <= covers else 0
    text = earlier.text if earlier is not None and begun else ""
    for piece in pieces(history[begun:covers], tokens=window // 2):
        result = await generate(
            prompt=f"Summary so far: {text or 'none'}\n\nWhat was said then:\n\n{piece}\n\nWrite the new summary.",
            instructions=INSTRUCTIONS,
            temperature=0.0,
            max_new_tokens=summary_room(window),
        )
        text = result["reply"].strip()
    return Summary(text=text, covers=covers)


def pieces(entries: Sequence[SessionMessage], *, tokens: int) -> Iterator[str]:
    """What was said, as text in pieces of at most so many tokens; a longer message is cut at its end."""
    lines: list[str] = []
    room = tokens
    for entry in entries:
        line = _line(entry, tokens)
        if not line:
            continue
        if lines and entry.tokens > room:
            yield "\n".join(lines)
            lines, room = [], tokens
        lines.append(line)
        room -= entry.tokens
    if lines:
        yield "\n".join(lines)


def _line(entry: SessionMessage, tokens: int) -> str:
    message: Any = entry.message
    text = message["content"]
    calls = ", ".join(f"{call['tool_name']}({call['args']})" for call in message.get("tool_calls", ()))
    if calls:
        text = f"{text} [calls {calls}]".strip()
    if not text or message["role"] == "system":
        return ""
    if entry.tokens > tokens:
        text = f"{text[: len(text) * tokens // entry.tokens]} ..."
    return f"{message['role']}: {text}"

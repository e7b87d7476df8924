"""Which of a session's messages go out with the next ones, so that a prompt fits the context window. Pure.

Messages leave by exchanges: a user message and everything up to the next one, so that a call and its result stay
together. The oldest leave first; the system message and the exchange under way never do.

An engine computes only what differs from the prompts it has seen, from the first difference on. A history that lost
its oldest exchange at every turn would begin differently at every turn, and be computed anew each time. So it is cut
in large steps, at places that do not depend on the turn: the tokens of the session, counted from its beginning, are
ruled into stretches of a quarter of the window, and a cut is made only where an exchange begins on a new stretch.

    tokens      0 ........ 8k ........ 16k ....... 24k ....... 32k ....... 40k
    exchanges   |--|---|--|--|-----|---|--|----|----|--|----|---|--|---|---|---|
    cuts        0            1         2            3           4          5
    sent        until it is full: all, then from cut 1 on, for many turns, then from cut 2 on

Between two cuts every prompt begins like the one before and only its end is computed; a cut costs one computation of
what is left, once in a quarter of a window. The places follow from the session alone, so that they are the same after
a restart, in another process, and after an edit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

from ..base.messages import Message
from ..base.session import SessionMessage, Summary
from ..exceptions import RequestError

STRETCHES = 4  # of a window; more of them keep more history, and cut more often
MARKUP_TOKENS = 8  # about what a template writes around a message
SUMMARY_HEADING = "Summary of the conversation before the messages that follow:"


@dataclass(frozen=True, slots=True)
class Room:
    """What a prompt may take.

    Args:
        window: tokens of the context window.
        reply: tokens to keep free for the reply.
        summary: tokens to keep free for a summary, where there is to be one of what has left.
    """

    window: int
    reply: int
    summary: int = 0

    @property
    def prompt(self) -> int:
        return self.window - self.reply


@dataclass(frozen=True, slots=True)
class Selection:
    """A history with the next messages, as it may be sent.

    Attributes:
        messages: in order, system messages first.
        left_out: how many of the session's messages, from its beginning, are not among them.
    """

    messages: tuple[Message, ...]
    left_out: int


def selections(
    history: Sequence[SessionMessage], new: Sequence[SessionMessage], *, room: Room, summary: Summary | None = None
) -> Iterator[Selection]:
    """Ways to send `new` after `history`, the longest first, as long as they may fit by their counts.

    Counts are no proof: other templates write more around a message, tools are described, another model divides words
    otherwise. Take the first whose rendered prompt does fit. The last one has lost all that may leave.

    Args:
        history: messages of the session.
        new: what is to be answered.
        room: what the prompt may take.
        summary: sent where it covers exactly what has left.

    Raises:
        RequestError: a new message is the result of a call that was not made.
    """
    spoken = [entry for entry in new if entry.message["role"] != "system"]
    system = [entry for entry in new if entry.message["role"] == "system"] or newest_system(history)
    fixed = _cost(system) + _cost(spoken)
    points = cut_points(history, stretch=room.window // STRETCHES, last=_exchange_under_way(history, spoken))
    for cut in points:
        rest = [entry for entry in history[cut:] if entry.message["role"] != "system"]
        if cut < points[-1] and fixed + _cost(rest) + (room.summary if cut else 0) > room.prompt:
            continue
        head = [entry.message for entry in system]
        if cut and summary is not None and summary.covers == cut and summary.text:
            head.append({"role": "system", "content": f"{SUMMARY_HEADING}\n{summary.text}"})
        body = sendable([entry.message for entry in (*rest, *spoken)])
        _check_results([entry.message for entry in spoken], body)
        yield Selection((*head, *body), cut)


def cut_points(history: Sequence[SessionMessage], *, stretch: int, last: int) -> list[int]:
    """Where a history may begin, in order: at 0, at the first exchange on each new stretch, and at `last`."""
    points, before, marked = [0], 0, 0
    for position, entry in enumerate(history[:last]):
        if entry.message["role"] == "user" and before // stretch > marked:
            points.append(position)
            marked = before // stretch
        before += _cost((entry,))
    return points if points[-1] == last else [*points, last]


def newest_system(history: Sequence[SessionMessage]) -> list[SessionMessage]:
    """The system messages that hold: those that were given together last."""
    run: list[SessionMessage] = []
    for entry in reversed(history):
        if entry.message["role"] == "system":
            run.append(entry)
        elif run:
            break
    return run[::-1]


def sendable(messages: Sequence[Message]) -> list[Message]:
    """Messages without what no model can go on from.

    A call without its result goes, and a result without its call; a reply of which nothing is left goes as well.
    Reasoning stays where the exchange is under way, and is not sent again after that.
    """
    under_way = max((place for place, message in enumerate(messages) if message["role"] == "user"), default=0)
    kept: list[Message] = []
    for place, message in enumerate(_paired(messages)):
        if message is None:
            continue
        if place < under_way and "reasoning" in message:
            message = cast(Message, {key: value for key, value in message.items() if key != "reasoning"})
        if message["role"] == "assistant" and not message["content"] and "tool_calls" not in message:
            continue
        kept.append(message)
    return kept


def unheard(history: Sequence[SessionMessage], messages: Sequence[Message]) -> list[Message]:
    """The messages that the session does not have yet.

    Who sends the whole conversation each time, as clients of stateless services do, repeats what the session ends
    with; who tries again after truncating repeats the question. Neither is said twice. A system message that holds
    already is not new either.
    """
    spoken = [message for message in messages if message["role"] != "system"]
    known = [_essence(entry.message) for entry in history if entry.message["role"] != "system"]
    given = [_essence(message) for message in spoken]
    repeated = next(
        (count for count in range(min(len(known), len(given)), 0, -1) if known[-count:] == given[:count]), 0
    )
    system = [message for message in messages if message["role"] == "system"]
    if [_essence(message) for message in system] == [_essence(entry.message) for entry in newest_system(history)]:
        system = []
    return [*system, *spoken[repeated:]]


def _exchange_under_way(history: Sequence[SessionMessage], spoken: Sequence[SessionMessage]) -> int:
    """Where the exchange begins that `spoken` belongs to: behind the history, or at the question it goes on with."""
    if spoken and spoken[0].message["role"] == "user":
        return len(history)
    return max((place for place, entry in enumerate(history) if entry.message["role"] == "user"), default=0)


def _paired(messages: Sequence[Message]) -> list[Message | None]:
    """Each message as it may be sent, with the calls that were answered; None in the place of a result of no call."""
    paired: list[Message | None] = []
    caller = 0
    calls: list[dict[str, Any]] = []
    answered: list[dict[str, Any]] = []

    def settle() -> None:
        if calls and len(answered) < len(calls):
            message = {key: value for key, value in messages[caller].items() if key != "tool_calls"}
            if answered:
                message["tool_calls"] = [call for call in calls if call in answered]
            paired[caller] = cast(Message, message)

    for place, message in enumerate(messages):
        if message["role"] == "tool":
            call = _answered_call(message, [call for call in calls if call not in answered])
            if call is not None:
                answered.append(call)
            paired.append(message if call is not None else None)
        else:
            settle()
            caller, calls, answered = place, list(message.get("tool_calls", ())), []
            paired.append(message)
    settle()
    return paired


def _answered_call(result: Message, waiting: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """The call that a result is of: by its id, or the first in line where it has none."""
    id_ = result.get("tool_call_id")
    return next((call for call in waiting if not id_ or call["tool_call_id"] == id_), None)


def _check_results(new: Sequence[Message], sent: Sequence[Message]) -> None:
    for message in new:
        if message["role"] == "tool" and not any(message is other for other in sent):
            raise RequestError(
                f"The result with tool_call_id={message.get('tool_call_id')!r} answers no open call of this session. "
                "Give each result the tool_call_id of its call, once."
            )


def _essence(message: Message) -> tuple[object, ...]:
    """What makes two messages the same; reasoning comes back from some clients and not from others."""
    calls = [(call["tool_call_id"], call["tool_name"], call["args"]) for call in message.get("tool_calls", ())]
    return message["role"], message["content"], calls, message.get("tool_call_id")


def _cost(entries: Sequence[SessionMessage]) -> int:
    return sum(entry.tokens + MARKUP_TOKENS for entry in entries)

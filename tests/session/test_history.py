"""Which messages go out: pure code, so every rule can be held against any conversation."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm.base.session import SessionMessage, Summary
from llm.exceptions import RequestError
from llm.session.history import MARKUP_TOKENS, Room, Selection, cut_points, newest_system, selections, unheard

EPOCH = datetime(2026, 1, 1, tzinfo=timezone.utc)


def entry(role: str, content: str = "", *, tokens: int = 10, **keys: Any) -> SessionMessage:
    message: Any = {"role": role, "content": content, **keys}
    return SessionMessage(id="x", message=message, tokens=tokens - MARKUP_TOKENS, created_at=EPOCH)


def call(id_: str) -> dict[str, Any]:
    return {"tool_name": "look", "args": {"at": id_}, "tool_call_id": id_}


def calling(*ids: str, content: str = "", tokens: int = 10) -> SessionMessage:
    return entry("assistant", content, tokens=tokens, tool_calls=[call(id_) for id_ in ids])


def result(id_: str, *, tokens: int = 10) -> SessionMessage:
    return entry("tool", f"seen {id_}", tokens=tokens, tool_call_id=id_, name="look")


def question(number: object, *, tokens: int = 10) -> SessionMessage:
    return entry("user", f"question {number}", tokens=tokens)


def answer(number: object, *, tokens: int = 10, **keys: Any) -> SessionMessage:
    return entry("assistant", f"answer {number}", tokens=tokens, **keys)


def talk(turns: int, *, tokens: int = 10) -> list[SessionMessage]:
    return [message for n in range(turns) for message in (question(n, tokens=tokens), answer(n, tokens=tokens))]


def first(history: Sequence[SessionMessage], new: Sequence[SessionMessage], **keys: Any) -> Selection:
    return next(selections(history, new, **{"room": Room(1000, 100), **keys}))


def contents(selection: Selection) -> list[str]:
    return [message["content"] for message in selection.messages]


def test_what_fits_is_sent_whole() -> None:
    """System message, all that was said in its order, then the new question."""
    history = [entry("system", "Be brief."), *talk(3)]
    selection = first(history, [question("new")])
    assert contents(selection) == ["Be brief.", *[m.message["content"] for m in talk(3)], "question new"]
    assert selection.left_out == 0


def test_the_oldest_exchanges_leave_first_and_the_system_message_never() -> None:
    """What is left begins with a question and goes on to the end without a gap."""
    history = [entry("system", "Be brief."), *talk(100)]
    said = [message.message["content"] for message in history]
    for selection in selections(history, [question("new")], room=Room(1000, 100)):
        assert contents(selection)[0] == "Be brief."
        assert contents(selection)[1:-1] == said[max(1, selection.left_out) :]
        assert contents(selection)[-1] == "question new"
        assert history[selection.left_out :] == [] or history[selection.left_out].message["role"] == "user"
    assert selection.left_out == len(history)


def test_the_beginning_stays_for_many_turns() -> None:
    """Over 400 turns in a window of 1000 tokens, the history is cut about once in a quarter of the window."""
    history: list[SessionMessage] = []
    cuts = []
    for number in range(400):
        selection = first(history, [question(number)])
        sent = sum(message.tokens + MARKUP_TOKENS for message in history[selection.left_out :]) + 10
        assert sent <= 900
        if selection.left_out:
            assert sent > 900 - 250 - 20 - 20, "more left than one stretch"
        cuts.append(selection.left_out)
        history += [question(number), answer(number)]
    assert cuts == sorted(cuts), "what has left does not come back"
    changes = sum(a != b for a, b in pairwise(cuts))
    assert changes == pytest.approx(400 * 20 / 250, abs=4)


def test_cuts_do_not_depend_on_the_turn_or_on_what_came_later() -> None:
    """The places are those of the session's beginning: a longer history has the same ones, and more."""
    history = talk(200, tokens=13)
    whole = cut_points(history, stretch=250, last=len(history))
    for length in range(0, 400, 2):
        points = cut_points(history[:length], stretch=250, last=length)
        assert points[:-1] == [point for point in whole if point < length]
        assert points[-1] == length


def test_a_call_and_its_result_stay_together() -> None:
    """Both are sent or neither, wherever the history is cut."""
    history = [
        message
        for n in range(40)
        for message in (question(n), calling(f"a{n}", f"b{n}"), result(f"b{n}"), result(f"a{n}"), answer(n))
    ]
    for selection in selections(history, [question("new")], room=Room(400, 50)):
        calls = [c["tool_call_id"] for message in selection.messages for c in message.get("tool_calls", ())]
        results = [message["tool_call_id"] for message in selection.messages if message["role"] == "tool"]
        assert sorted(calls) == sorted(results)
        assert len(selection.messages) % 5 == 1


def test_the_exchange_under_way_never_leaves() -> None:
    """The result of a call goes out with its call and the question, however small the window."""
    history = [*talk(10), question("now", tokens=300), calling("c", tokens=300)]
    (*_, last) = selections(history, [result("c", tokens=500)], room=Room(100, 20))
    assert contents(last) == ["question now", "", "seen c"]


def test_calls_without_results_are_not_sent() -> None:
    """A process that died between call and result leaves a session that goes on; what the reply said besides stays."""
    silent = [question(1), calling("lost"), question(2), answer(2)]
    assert contents(first(silent, [question(3)])) == ["question 1", "question 2", "answer 2", "question 3"]
    talking = [question(1), calling("lost", "kept", content="Let me see."), result("kept")]
    selection = first(talking, [question(2)])
    assert contents(selection) == ["question 1", "Let me see.", "seen kept", "question 2"]
    assert [c["tool_call_id"] for c in selection.messages[1]["tool_calls"]] == ["kept"]
    assert [c["tool_call_id"] for c in talking[1].message["tool_calls"]] == ["lost", "kept"], "the session is as it was"


def test_a_result_answers_an_open_call_or_is_refused() -> None:
    """By its id, or by its place where it has none; twice is once too often."""
    history = [question(1), calling("a", "b")]
    selection = first(history, [entry("tool", "first"), entry("tool", "second")])
    assert contents(selection)[-2:] == ["first", "second"]
    for wrong in ([result("z")], [result("a"), result("a")], [result("a"), result("b"), entry("tool", "third")]):
        with pytest.raises(RequestError, match="tool_call_id"):
            first(history, wrong)
    with pytest.raises(RequestError, match="'a'"):
        first([*history, result("a"), answer(1)], [result("a")])


def test_reasoning_is_sent_within_its_exchange_only() -> None:
    """A model may need its own thoughts to go on after a tool; later they would only take room."""
    history = [question(1), answer(1, reasoning="old"), question(2), entry("assistant", "", reasoning="new")]
    history[3].message["tool_calls"] = [call("c")]
    selection = first(history, [result("c")])
    assert [message.get("reasoning") for message in selection.messages] == [None, None, None, "new", None]
    selection = first([*history, result("c"), answer(2)], [question(3)])
    assert not any("reasoning" in message for message in selection.messages)


def test_a_reply_of_which_nothing_is_left_is_not_sent() -> None:
    """Interrupted before its first word, or while it was still thinking."""
    history = [question(1), entry("assistant", "", reasoning="hm"), question(2), answer(2)]
    assert contents(first(history, [question(3)])) == ["question 1", "question 2", "answer 2", "question 3"]


def test_the_newest_system_message_holds() -> None:
    """A later one replaces an earlier one; those given together stay together; one of the call comes before both."""
    old, new, also = entry("system", "old"), entry("system", "new"), entry("system", "also")
    history = [old, question(1), answer(1), new, also, question(2), answer(2)]
    assert newest_system(history) == [new, also]
    assert contents(first(history, [question(3)]))[:3] == ["new", "also", "question 1"]
    assert contents(first(history, [entry("system", "now"), question(3)]))[:2] == ["now", "question 1"]
    assert newest_system(talk(2)) == []


def test_a_summary_is_sent_where_it_covers_what_has_left() -> None:
    """Behind the system message, and only for exactly the cut it was made for; there is room kept for it."""
    history = [entry("system", "Be brief."), *talk(60)]
    room = Room(1000, 100, 125)
    cut = first(history, [question("new")], room=room).left_out
    assert cut > 0
    fitting = first(history, [question("new")], room=room, summary=Summary(text="They talked.", covers=cut))
    assert contents(fitting)[0] == "Be brief."
    assert fitting.messages[1]["role"] == "system"
    assert contents(fitting)[1].endswith("They talked.")
    assert 20 * 60 - sum(m.tokens + MARKUP_TOKENS for m in history[1:cut]) + 20 + 125 <= 900
    for other in (cut - 2, cut + 2):
        assert "They talked." not in str(
            first(history, [question("new")], room=room, summary=Summary(text="They talked.", covers=other))
        )
    unneeded = first(talk(2), [question("new")], room=room, summary=Summary(text="They talked.", covers=0))
    assert len(unneeded.messages) == 5


def test_what_was_said_is_not_said_again() -> None:
    """A client may send the whole conversation, its end, or only what is new: the new part is the same."""
    history = [entry("system", "Be brief."), *talk(2), question("now"), calling("c")]
    sent = [item.message for item in history]
    new = [result("c").message]
    for given_messages in ([*sent, *new], [*sent[1:], *new], [*sent[-2:], *new], [*sent[-1:], *new], new):
        assert unheard(history, given_messages) == new
    again = question("now").message
    assert unheard(history[:-1], [again]) == [], "tried again after truncating"
    assert unheard(talk(2), [question(1).message]) == [question(1).message], "asked the same twice"
    other = [entry("system", "Be long.").message, *sent[1:], *new]
    assert unheard(history, other) == [other[0], *new]


TURNS = st.lists(st.tuples(st.integers(9, 300), st.lists(st.booleans(), max_size=3), st.booleans()), max_size=30)


@given(turns=TURNS, window=st.integers(16, 2000), summary=st.booleans())
def test_every_selection_is_whole_ordered_and_bounded(
    turns: list[tuple[int, list[bool], bool]], window: int, summary: bool
) -> None:
    """For any conversation with calls, answered or not, and any window."""
    history = [entry("system", "S")]
    for number, (tokens, answered, ended) in enumerate(turns):
        history.append(question(number, tokens=tokens))
        ids = [f"{number}-{place}" for place in range(len(answered))]
        if ids:
            history.append(calling(*ids, tokens=tokens))
            history += [result(id_, tokens=tokens) for id_, there in zip(ids, answered, strict=True) if there]
        if ended:
            history.append(answer(number, tokens=tokens))
    room = Room(window, window // 4, window // 8 if summary else 0)
    given_selections = list(selections(history, [question("new")], room=room))
    assert given_selections
    assert [s.left_out for s in given_selections] == sorted({s.left_out for s in given_selections})
    originals = [item.message["content"] for item in history]
    for selection in given_selections:
        assert contents(selection)[0] == "S"
        assert contents(selection)[-1] == "question new"
        rest = iter(originals[selection.left_out :])
        assert all(text in rest for text in contents(selection)[1:-1]), "out of order"
        calls = [c["tool_call_id"] for message in selection.messages for c in message.get("tool_calls", ())]
        assert calls == [m["tool_call_id"] for m in selection.messages if m["role"] == "tool"]
    for selection in given_selections[:-1]:
        rest_tokens = sum(
            m.tokens + MARKUP_TOKENS for m in history[selection.left_out :] if m.message["role"] != "system"
        )
        assert rest_tokens + 20 + (room.summary if selection.left_out else 0) <= room.prompt

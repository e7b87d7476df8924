"""Replies as models write them: reasoning, words, calls, and everything that is not quite any of these."""

from __future__ import annotations

from typing import Any

import pytest

from llm.base.call_syntax import CallSyntax
from llm.chat.reply_event import ReplyEvent
from llm.chat.response_parser import ResponseParser
from llm.chat.tool_format import GENERIC

TOOLS = [
    {
        "name": "add",
        "parameters": {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}},
    },
    {"name": "say", "parameters": {"type": "object", "properties": {"text": {"type": "string"}}}},
]
TAGS = CallSyntax(
    call_open="<tool_call>\n", call_close="\n</tool_call>", call_separator="\n",
    reasoning_open="<think>\n", reasoning_close="\n</think>\n\n", turn_end="<|im_end|>",
)  # fmt: skip
BARE = CallSyntax(arguments_key="parameters", key_order=("name", "parameters"), parallel=False, turn_end="<|eot_id|>")
HARMONY = CallSyntax(
    nesting="channels", call_open="<|channel|>commentary to=functions.", name_close=" <|constrain|>json<|message|>",
    call_close="<|call|>", call_separator="<|start|>assistant", reasoning_open="<|channel|>analysis<|message|>",
    reasoning_close="<|end|>", content_open="<|channel|>final<|message|>", message_open="<|start|>assistant",
    turn_end="<|return|>",
)  # fmt: skip
XML = CallSyntax(
    nesting="parameters", call_open="<tool_call>\n<function=", name_close=">\n", parameter_open="<parameter=",
    key_close=">\n", parameter_close="\n</parameter>\n", call_close="</function>\n</tool_call>", call_separator="\n",
)  # fmt: skip
ADD = '<tool_call>\n{"name": "add", "arguments": {"a": 1, "b": 2}}\n</tool_call>'


def events(syntax: CallSyntax, text: str, *, by: int, tools: Any = TOOLS, **options: bool) -> list[ReplyEvent]:
    parser = ResponseParser(syntax, tools=tools, **options)
    found: list[ReplyEvent] = []
    for start in range(0, len(text), by):
        found += parser.feed(text[start : start + by])
    return found + parser.finish()


def reply(syntax: CallSyntax, text: str, **options: Any) -> tuple[str, str, list[Any]]:
    """Text, reasoning and calls; the same however the text is divided."""
    outcomes = []
    for by in (1, 5, len(text) or 1):
        found = events(syntax, text, by=by, **options)
        outcomes.append((
            "".join(event.text for event in found if event.kind == "text"),
            "".join(event.text for event in found if event.kind == "reasoning"),
            [(e.call["tool_name"], e.call["args"]) for e in found if e.kind == "call" and e.call is not None],
        ))  # fmt: skip
    assert outcomes[0] == outcomes[1] == outcomes[2]
    return outcomes[0]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Hello, world!\n",
        "  indented\n",
        "a < b and c <t",
        "<tool",
        "</think",
        "x\n\n\n",
        "say <think> twice </think>",
    ],
)
def test_plain_text_is_told_as_it_is(text: str) -> None:
    """A reply without markers comes out unchanged, white space and beginnings of markers included."""
    assert reply(TAGS, text) == (text, "", [])


def test_reasoning_is_told_apart() -> None:
    """Reasoning goes out by itself, whether the model opens it or the prompt has."""
    assert reply(TAGS, "<think>\nwhy\n</think>\n\nthat") == ("that", "why", [])
    assert reply(TAGS, "why\n</think>\n\nthat", reasoning_open=True) == ("that", "why", [])
    assert reply(TAGS, "</think>that", reasoning_open=True) == ("that", "", [])
    assert reply(TAGS, "why, and no end", reasoning_open=True) == ("", "why, and no end", [])


def test_reasoning_may_stay_in_the_text() -> None:
    """On request, reasoning stays where it was written, markers and all; an empty one is left out."""
    inline = {"separate_reasoning": False}
    assert reply(TAGS, "<think>\nwhy\n</think>\n\nthat", **inline) == ("<think>\nwhy\n</think>\n\nthat", "", [])
    assert reply(TAGS, "why</think>that", reasoning_open=True, **inline) == ("<think>\nwhy</think>that", "", [])
    assert reply(TAGS, "<think></think>that", **inline) == ("that", "", [])


def test_the_usual_reasoning_is_known_to_every_syntax() -> None:
    """A model tuned to reason after its template was made writes <think>, and only at the start does it mean that."""
    assert reply(GENERIC, "<think>why</think>that") == ("that", "why", [])
    assert reply(GENERIC, "Write <think>x</think>.") == ("Write <think>x</think>.", "", [])


def test_a_call_in_closed_reasoning_is_only_thought_of() -> None:
    """A call that the model goes on to think about is part of its reasoning."""
    text = f"<think>\nI could {ADD} but no\n</think>\n\n{ADD}"
    assert reply(TAGS, text) == ("", f"I could {ADD} but no", [("add", {"a": 1, "b": 2})])


def test_a_call_that_ends_unclosed_reasoning_is_made() -> None:
    """Some models forget to close their reasoning before they call."""
    assert reply(TAGS, f"I must add\n{ADD}<|im_end|>", reasoning_open=True) == (
        "",
        "I must add",
        [("add", {"a": 1, "b": 2})],
    )
    assert reply(TAGS, f"{ADD} done", reasoning_open=True) == (" done", "", [("add", {"a": 1, "b": 2})])


def test_text_after_a_call() -> None:
    """Words behind a call are text; the white space around the call is not."""
    assert reply(TAGS, f"one \n{ADD}\n two") == ("one\n two", "", [("add", {"a": 1, "b": 2})])


@pytest.mark.parametrize(
    "text",
    [
        "<tool_call>\nnot json\n</tool_call>",
        '<tool_call>\n{"name": "add", "arguments": {"a": 1\n</tool_call>',
        '<tool_call>\n{"name": "add", "arguments": [1]}\n</tool_call>',
        '<tool_call>\n{"name": 5, "arguments": {}}\n</tool_call>',
        '<tool_call>\n{"arguments": {"a": 1}}\n</tool_call>',
        '<tool_call>\n{"name": "add", "arguments": {"a": 01}}\n</tool_call>',
        '<tool_call>\n{"name": "add", "arguments": {"a": ' + "[" * 5000 + "]" * 5000 + "}}\n</tool_call>",
        '<tool_call>\n{"name": "add", "arguments": {"a": ' + "9" * 5000 + "}}\n</tool_call>",
        "<tool_call>\n[1, 2]\n</tool_call>",
    ],
)
def test_a_damaged_call_is_text(text: str) -> None:
    """What is marked as a call and is none comes out as text, word for word, and raises nothing."""
    said, reasoning, calls = reply(TAGS, text)
    assert calls == []
    assert reasoning == ""
    assert said.split() == text.split()


def test_a_call_that_began_and_is_none_is_taken_back() -> None:
    """Whoever shows calls as they come is told when one of them was none."""
    text = '<tool_call>\n{"name": "add", "arguments": {"a": 1 oops}}\n</tool_call>'
    kinds = [event.kind for event in events(TAGS, text, by=1)]
    assert kinds[0] == "call_start"
    assert "call_lost" in kinds
    assert kinds.index("call_lost") < kinds.index("text")
    assert "call" not in kinds


def test_arguments_are_told_as_they_come() -> None:
    """A call is announced with its name, its arguments follow in pieces, and the whole at its end."""
    found = events(TAGS, ADD, by=1)
    assert found[0].kind == "call_start"
    assert found[0].name == "add"
    assert [event.kind for event in found[1:-1]] == ["arguments"] * (len(found) - 2)
    assert "".join(event.text for event in found[1:-1]) == '{"a": 1, "b": 2}'
    assert found[-1].call is not None
    assert found[-1].call["args"] == {"a": 1, "b": 2}


def test_a_cut_call_is_partial() -> None:
    """A reply that ends within a call tells how far it got."""
    found = events(TAGS, ADD[:-16], by=1)
    assert found[-1].kind == "call_partial"
    assert (found[-1].name, found[-1].text) == ("add", '{"a": 1, "b": ')


def test_ids_are_kept_or_made_and_unique() -> None:
    """A model's own id is kept; the same one twice, or none, gets a fresh one."""
    body = '{"name": "add", "arguments": {}, "id": "x1"}'
    text = f"<tool_call>\n{body}\n</tool_call>\n<tool_call>\n{body}\n</tool_call>\n{ADD}"
    ids = [event.call["tool_call_id"] for event in events(TAGS, text, by=1) if event.kind == "call" and event.call]
    assert ids[0] == "x1"
    assert len(set(ids)) == 3
    again = [event.call["tool_call_id"] for event in events(TAGS, text, by=1) if event.kind == "call" and event.call]
    assert again[1] != ids[1]


@pytest.mark.parametrize(
    "body",
    [
        '{"arguments": {"a": 1}, "name": "add"}',
        '{"name": "add", "parameters": {"a": 1}}',
        '{"type": "function", "function": {"name": "add", "arguments": {"a": 1}}}',
        '{"name": "add", "arguments": "{\\"a\\": 1}"}',
        '{"name":"add","arguments":{"a":1}}',
        '{"id": 7, "name": "add", "extra": [1, {"x": "}"}], "arguments": {"a": 1}}',
        '{"name": "add", "arguments": {\'a\': 1}}',
    ],
)
def test_models_take_liberties_with_json(body: str) -> None:
    """Other orders, other keys, text instead of an object: as long as it is clear, it is a call."""
    assert reply(TAGS, f"<tool_call>{body}</tool_call>") == ("", "", [("add", {"a": 1})])


def test_markers_inside_arguments_are_arguments() -> None:
    """A string that holds the closing marker does not close the call."""
    text = '<tool_call>\n{"name": "say", "arguments": {"text": "</tool_call> \\" }"}}\n</tool_call>'
    assert reply(TAGS, text) == ("", "", [("say", {"text": '</tool_call> " }'})])
    text = "<tool_call>\n<function=say>\n<parameter=text>\na</parameter>\nb\n</parameter>\n</function>\n</tool_call>"
    assert reply(XML, text) == ("", "", [("say", {"text": "a</parameter>\nb"})])


def test_a_call_without_its_outer_tag() -> None:
    """Some models leave out the tag around a call and keep the one with the name."""
    text = "Now:\n<function=add>\n<parameter=a>\n1\n</parameter>\n</function>\n</tool_call>"
    assert reply(XML, text) == ("Now:", "", [("add", {"a": 1})])


def test_bare_json_is_a_call_only_at_the_start_and_of_a_known_tool() -> None:
    """Where nothing marks a call, a JSON reply of another kind stays a reply."""
    call = '{"name": "add", "parameters": {"a": 1}}'
    assert reply(BARE, call) == ("", "", [("add", {"a": 1})])
    assert reply(BARE, f"\n{call}\n{call}") == ("", "", [("add", {"a": 1})] * 2)
    for text in (
        '{"city": "Paris"}',
        '{"name": "Paris"}',
        '{"name": "Bob", "parameters": {}}',
        f"Result: {call}",
        "{",
        "{}",
    ):
        assert reply(BARE, text) == (text, "", [])


def test_channels() -> None:
    """Messages with headers: analysis is reasoning, final is the reply, and a recipient makes a call."""
    thought = "<|channel|>analysis<|message|>why<|end|><|start|>assistant"
    assert reply(HARMONY, f"{thought}<|channel|>final<|message|>that<|return|>") == ("that", "why", [])
    call = '<|channel|>commentary to=functions.add <|constrain|>json<|message|>{"a": 1}<|call|>'
    assert reply(HARMONY, thought + call) == ("", "why", [("add", {"a": 1})])
    assert reply(HARMONY, ' to=functions.add<|channel|>commentary json<|message|>{"a": 1}') == (
        "",
        "",
        [("add", {"a": 1})],
    )
    assert reply(HARMONY, "<|channel|>commentary<|message|>I will look.<|end|><|start|>assistant" + call) == (
        "I will look.", "", [("add", {"a": 1})],
    )  # fmt: skip
    assert reply(HARMONY, "that, without a header") == ("that, without a header", "", [])


def test_a_message_for_nobody_reaches_nobody() -> None:
    """A message for a tool that was not offered is neither a call nor for the reader's eyes."""
    assert reply(HARMONY, "<|channel|>commentary to=python<|message|>import os<|call|>") == ("", "", [])


def test_a_fence_around_json_is_taken_off() -> None:
    """Who asked for JSON gets JSON, though the model put it between backquotes."""
    for text in ('```json\n{"a": 1}\n```', '```\n{"a": 1}\n```\n', '{"a": 1}', ' {"a": 1}'):
        assert reply(TAGS, text, json_reply=True)[0].strip() == '{"a": 1}'
    assert reply(TAGS, '```json\n{"a": 1}\n```') == ('```json\n{"a": 1}\n```', "", [])
    assert reply(TAGS, "``", json_reply=True) == ("``", "", [])


def test_the_end_of_the_turn_is_not_text() -> None:
    """A marker that ends the turn is dropped where the engine did not stop at it."""
    assert reply(TAGS, "that<|im_end|>\n")[0].strip() == "that"


def test_nothing_is_held_back_for_long() -> None:
    """Each piece of text is told at once, but for what may be the beginning of a marker."""
    parser = ResponseParser(TAGS, tools=TOOLS)
    assert [event.text for event in parser.feed("Hello, ")] == ["Hello,"]
    assert [event.text for event in parser.feed("world <tool")] == [" world"]
    assert [event.text for event in parser.feed("box> ")] == [" <toolbox>"]
    assert parser.finish()[0].text == " "
    assert parser.finish() == []
    assert parser.feed("more") == []


def test_a_long_reply_is_read_without_being_kept() -> None:
    """What waits to be read stays short, however long the reply, the argument or the white space."""
    for opening, piece in (
        ("", "word <t "),
        ("", " \n"),
        ("<think>", "<t"),
        ('<tool_call>\n{"name": "say", "arguments": {"text": "', "<\\n"),
        ("<tool_call>\n{", '"x": [1], '),
    ):
        parser = ResponseParser(TAGS, tools=TOOLS)
        parser.feed(opening)
        for _ in range(3000):
            parser.feed(piece)
            assert len(parser._reader.text) < 64
        parser.finish()

"""A streamed reply has the same parts as a whole one, and they come as they are written."""

from __future__ import annotations

import asyncio
import json
import random
from typing import Any

import pytest
from pydantic_ai import Agent
from pydantic_ai.messages import (
    ModelRequest,
    ModelResponse,
    PartDeltaEvent,
    PartEndEvent,
    PartStartEvent,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolCallPartDelta,
)
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.tools import ToolDefinition

from llm.pyai import LocalLLMModel
from llm.testing.scripted_runner import ScriptedReply, ScriptedRunner

# Sizes of pieces that cut every marker of the formats, and a character of several bytes, at least once.
CHUNKINGS = (1, 7, 4096, "random")

ASKED = [ModelRequest.user_text_prompt("Hi")]
TOOL = ToolDefinition(
    name="find", parameters_json_schema={"type": "object", "properties": {"q": {"type": "string"}, "n": {}}}
)
WITH_TOOL = ModelRequestParameters(function_tools=[TOOL])


@pytest.fixture(params=CHUNKINGS, ids=str)
def chunking(request: pytest.FixtureRequest) -> Any:
    return random.Random(request.node.nodeid) if request.param == "random" else request.param


def parts_of(response: ModelResponse) -> list[Any]:
    """The parts without what is made up anew for each response."""
    shown: list[Any] = []
    for part in response.parts:
        if isinstance(part, ToolCallPart):
            shown.append((part.tool_name, part.args_as_dict()))
        else:
            shown.append((type(part).__name__, part.content))
    return shown


async def events_of(model: Any, parameters: ModelRequestParameters = WITH_TOOL) -> tuple[list[Any], ModelResponse]:
    async with model.request_stream(ASKED, None, parameters) as stream:
        events = [event async for event in stream]
        return events, stream.get()


REPLIES = {
    "text": (ScriptedReply(text="Grüße, Zoë."), [("TextPart", "Grüße, Zoë.")]),
    "thought and text": (ScriptedReply(reasoning="Hm.", text="Yes"), [("ThinkingPart", "Hm."), ("TextPart", "Yes")]),
    "call": (
        ScriptedReply(calls=[("find", {"q": "ü</x>", "n": [1, {"a": None}]})]),
        [("find", {"q": "ü</x>", "n": [1, {"a": None}]})],
    ),
    "text and calls": (
        ScriptedReply(text="I look.\n\n", calls=[("find", {"q": "a"}), ("find", {"q": "b"})]),
        [("TextPart", "I look."), ("find", {"q": "a"}), ("find", {"q": "b"})],
    ),
    "thought and call": (
        ScriptedReply(reasoning="Find it", calls=[("find", {"q": ""})]),
        [("ThinkingPart", "Find it"), ("find", {"q": ""})],
    ),
    "no arguments": (ScriptedReply(calls=[("find", {})]), [("find", {})]),
    "unknown tool": (ScriptedReply(calls=[("lose", {"q": "x"})]), [("lose", {"q": "x"})]),
    "nothing": (ScriptedReply(), []),
    "blank": (ScriptedReply(text=" \n"), []),
    "thought alone": (ScriptedReply(reasoning="Well"), [("ThinkingPart", "Well")]),
}


@pytest.mark.parametrize("name", REPLIES)
def test_whole_and_streamed_replies_have_the_same_parts(scripted: Any, name: str) -> None:
    """In every format and however they are divided; no marker leaks, and no white space before a call."""
    reply, expected = REPLIES[name]

    async def main() -> None:
        model = scripted(lambda *_: reply)
        whole = await model.request(ASKED, None, WITH_TOOL)
        events, streamed = await events_of(model)
        assert parts_of(whole) == parts_of(streamed) == expected
        assert whole.usage.output_tokens == streamed.usage.output_tokens > -1
        assert (
            whole.finish_reason
            == streamed.finish_reason
            == ("tool_call" if "'find'" in str(expected) or "'lose'" in str(expected) else "stop")
        )
        check_pairing(events, streamed)

    asyncio.run(main())


def check_pairing(events: list[Any], response: ModelResponse) -> None:
    """Each part starts once, then grows, then ends, one after the other; the pieces joined are the part."""
    built: dict[int, Any] = {}
    ended: list[int] = []
    for event in events:
        if isinstance(event, PartStartEvent):
            assert event.index == len(built)
            built[event.index] = event.part
        elif isinstance(event, PartDeltaEvent):
            assert event.index == len(built) - 1
            assert event.index not in ended
            built[event.index] = event.delta.apply(built[event.index])
        elif isinstance(event, PartEndEvent):
            ended.append(event.index)
            assert event.part == built[event.index]
    assert list(built.values()) == list(response.parts)
    assert ended == list(built)


def test_pieces_of_text_and_arguments_come_as_they_are_written() -> None:
    """One byte at a time, both of them."""

    async def main() -> None:
        text = ScriptedRunner(lambda *_: "abcdefghij", chunking=1)
        events, _ = await events_of(LocalLLMModel(text))
        assert sum(isinstance(event, PartDeltaEvent) for event in events) == 9
        reply = ScriptedReply(calls=[("find", {"q": "abcdefghij"})])
        events, _ = await events_of(LocalLLMModel(ScriptedRunner(lambda *_: reply, chunking=1)))
        deltas = [event.delta.args_delta for event in events if isinstance(event, PartDeltaEvent)]
        assert len(deltas) > 10
        assert json.loads("".join(deltas)) == {"q": "abcdefghij"}
        assert isinstance(events[0], PartStartEvent)
        assert isinstance(
            events[1].delta if isinstance(events[1], PartDeltaEvent) else events[2].delta, ToolCallPartDelta
        )

    asyncio.run(main())


def test_text_deltas_joined_are_the_text(scripted: Any) -> None:
    """Of an agent's streamed run; a preamble's white space before a call is not among them."""

    async def main() -> None:
        agent = Agent(scripted(lambda *_: ScriptedReply(reasoning="Let me see.", text="One,\n\ntwo — and three. ")))
        async with agent.run_stream("Count") as result:
            deltas = [delta async for delta in result.stream_text(delta=True, debounce_by=None)]
            assert "".join(deltas) == await result.get_output() == "One,\n\ntwo — and three. "
        parts = result.all_messages()[-1].parts
        assert [type(part) for part in parts] == [ThinkingPart, TextPart]

    asyncio.run(main())

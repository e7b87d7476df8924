"""A call is told while it is written, and what there is of one that is never finished is not lost."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from llm import RequestError
from llm.base.messages import StreamChunk
from llm.testing.scripted_runner import ScriptedReply, ScriptedRunner
from llm.testing.wire_formats import WireFormat

TOOLS = [
    {
        "type": "function",
        "function": {"name": "find", "parameters": {"type": "object", "properties": {"q": {"type": "string"}}}},
    },
]
FORMATS: tuple[WireFormat, ...] = ("hermes", "list", "parameters", "plain")


async def chunks_of(runner: ScriptedRunner, **options: Any) -> list[StreamChunk]:
    return [chunk async for chunk in runner.generate_stream(prompt="Hi", tools=TOOLS, **options)]


@pytest.mark.parametrize("wire_format", FORMATS)
def test_pieces_of_a_call_are_the_call(wire_format: WireFormat) -> None:
    """All with one number and one id; the arguments joined are JSON with the same meaning."""

    async def main() -> None:
        calls = [("find", {"q": "a\nb"}), ("find", {"q": "ü"})]
        chunks = await chunks_of(ScriptedRunner(lambda *_: ScriptedReply(calls=calls), wire_format=wire_format))
        for index, (name, arguments) in enumerate(calls):
            deltas = [c.tool_call_delta for c in chunks if c.tool_call_delta and c.tool_call_delta.index == index]
            assert {(delta.tool_name, delta.withdrawn) for delta in deltas} == {(name, False)}
            assert len({delta.tool_call_id for delta in deltas}) == 1
            assert json.loads("".join(delta.arguments for delta in deltas)) == arguments
            assert chunks[-1].tool_calls[index]["args"] == arguments

    asyncio.run(main())


@pytest.mark.parametrize("wire_format", FORMATS)
def test_a_call_that_is_cut_is_partial(wire_format: WireFormat) -> None:
    """With the arguments as far as they came; the finish reason is the limit, and none of it is text."""

    async def main() -> None:
        reply = ScriptedReply(calls=[("find", {"q": "abcdefghijklmnopqrstuvwxyz" * 10})])
        runner = ScriptedRunner(lambda *_: reply, wire_format=wire_format)
        result = await runner.generate(prompt="Hi", tools=TOOLS, max_new_tokens=100)
        assert result["reply"] == ""
        assert "tool_calls" not in result
        assert result["finish_reason"] == "length"
        [partial] = result["partial_tool_calls"]
        assert partial["tool_name"] == "find"
        assert partial["arguments"].replace(" ", "").startswith('{"q":"abcdef')

    asyncio.run(main())


@pytest.mark.parametrize("wire_format", ["hermes", "list", "plain"])
@pytest.mark.parametrize("arguments", ["{bad", '{"q": }', '"{bad"', "[1, 2]", "{bad}", '{"q": "a"'])
@pytest.mark.parametrize("chunking", [1, 3, 1000])
def test_a_call_with_arguments_that_are_no_json(wire_format: WireFormat, arguments: str, chunking: int) -> None:
    """Is text, or where that is asked for stays a call that was not finished; then the next call is read as well."""

    if wire_format == "list" and arguments in ("{bad", '{"q": "a"'):
        pytest.skip("without a marker behind it, an open bracket takes all that follows")

    async def main() -> None:
        calls = [("find", arguments), ("find", {"q": "b"})] if wire_format != "list" else [("find", arguments)]
        runner = ScriptedRunner(
            lambda *_: ScriptedReply(text="Well", calls=calls), wire_format=wire_format, chunking=chunking
        )
        as_text = await runner.generate(prompt="Hi", tools=TOOLS)
        assert "Well" in as_text["reply"]
        assert arguments in as_text["reply"]
        kept = await runner.generate(prompt="Hi", tools=TOOLS, tell_all_calls=True)
        assert kept["reply"] == "Well"
        [partial] = kept["partial_tool_calls"]
        assert partial["tool_name"] == "find"
        assert partial["arguments"].strip("\"'}]") == arguments.strip("\"'}]")
        if wire_format != "list":
            assert [call["args"] for call in kept["tool_calls"]] == [{"q": "b"}]

    asyncio.run(main())


def test_tokens_of_a_request_are_counted_exactly() -> None:
    """Tools and instructions included, and without computing anything."""

    async def main() -> None:
        runner = ScriptedRunner(lambda *_: "Yes")
        for options in ({}, {"tools": TOOLS}, {"instructions": "Be brief."}):
            counted = await runner.count_tokens(prompt="Grüße", **options)
            result = await runner.generate(prompt="Grüße", **options)
            assert counted == result["usage"]["prompt_tokens"]
        assert len(runner.prompts) == 3

    asyncio.run(main())


def test_a_bias_may_name_its_token_by_its_text() -> None:
    """As long as that is one token."""

    async def main() -> None:
        runner = ScriptedRunner(lambda *_: "Yes")
        await runner.generate(prompt="Hi", logit_bias={"a": 1.0, 98: 2.0})
        with pytest.raises(RequestError, match="2 tokens"):
            await runner.generate(prompt="Hi", logit_bias={"ab": 1.0})

    asyncio.run(main())

"""What is counted, and the limits on it."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from pydantic_ai import (
    Agent,
    RunContext,
    UsageLimitExceeded,
    UsageLimits,
)
from pydantic_ai.messages import (
    ModelRequest,
    ModelResponse,
    UserPromptPart,
)
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.tools import ToolDefinition

from llm.logs import AGENT, get_logger
from llm.testing.scripted_runner import ScriptedReply
from tests.pyai.scripts import calls, count, replies, run


def test_usage_and_limits(scripted: Any) -> None:
    """Counts are exact, before a request and after; limits hold."""
    model = scripted(replies(calls(("count", {"city": "Rome"})), "four", "x", "x"))
    agent = Agent(model, tools=[count])

    async def work() -> None:
        result = await agent.run("How many?")
        responses = [message for message in result.all_messages() if isinstance(message, ModelResponse)]
        assert len(responses) == 2
        assert result.usage.input_tokens == sum(r.usage.input_tokens for r in responses)
        with pytest.raises(UsageLimitExceeded, match="request_limit"):
            await agent.run("Again", usage_limits=UsageLimits(request_limit=0))
        read = len(model.runner.prompts)
        limits = UsageLimits(input_tokens_limit=5, count_tokens_before_request=True)
        with pytest.raises(UsageLimitExceeded, match="input_tokens_limit"):
            await agent.run("Again", usage_limits=limits)
        assert len(model.runner.prompts) == read

    run(work())


def test_an_agent_s_requests_are_logged_without_a_word(scripted: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A line for each, by the logger that LOG_AGENT_LEVEL is about: counts and seconds, nothing of what was said."""
    caplog.set_level(logging.DEBUG)
    model = scripted(replies(calls(("count", {"city": "Rome"})), "four canaries"))
    run(Agent(model, tools=[count]).run("How many canaries?"))
    told = [record.getMessage() for record in caplog.records if record.name == get_logger(AGENT).name]
    assert [line.partition(" to ")[0] for line in told] == [
        "a request of 1 messages and 1 tools",
        "a request of 3 messages and 1 tools",
    ]
    assert "canar" not in caplog.text


def test_tokens_are_counted_as_they_will_be_read(scripted: Any) -> None:
    """The same number before the request and in its usage, with tools, instructions and a schema."""
    parameters = ModelRequestParameters(
        function_tools=[ToolDefinition(name="a", parameters_json_schema={"type": "object"})]
    )
    model = scripted(lambda *_: "ok")
    asked = [ModelRequest([UserPromptPart("Grüße")], instructions="Be brief.")]

    async def work() -> None:
        counted = await model.count_tokens(asked, None, parameters)
        response = await model.request(asked, None, parameters)
        assert counted.input_tokens == response.usage.input_tokens > 20

    run(work())


def test_a_tool_that_asks_another_agent_shares_the_usage(scripted: Any) -> None:
    """Delegation on one and the same model."""
    model = scripted(replies(calls(("ask", {})), "inner", "outer"))
    inner, agent = Agent(model), Agent(model)

    @agent.tool
    async def ask(ctx: RunContext[None]) -> str:
        return (await inner.run("?", usage=ctx.usage)).output

    result = run(agent.run("Go"))
    assert result.output == "outer"
    assert result.usage.requests == 3


@pytest.mark.parametrize("thought", ["", "Hm, let me see."])
def test_thoughts_are_counted_apart(scripted: Any, thought: str) -> None:
    """As tokens of reasoning, which are a part of the reply's tokens."""
    result = run(Agent(scripted(lambda *_: ScriptedReply(reasoning=thought, text="Yes"))).run("Go"))
    usage = result.usage
    assert bool(usage.output_reasoning_tokens) == bool(thought)
    assert len(thought) <= usage.output_reasoning_tokens <= usage.output_tokens - len("Yes")


def test_a_stream_knows_its_prompt_from_the_beginning(scripted: Any) -> None:
    """And its tokens as they come, so a limit on either ends the generation in the middle."""
    model = scripted(lambda *_: "on and on " * 400)
    agent = Agent(model)
    known = 0

    async def read(**limits: Any) -> str:
        heard = ""
        async with agent.run_stream("Go", usage_limits=UsageLimits(**limits)) as result:
            assert result.usage.input_tokens == known
            async for delta in result.stream_text(delta=True, debounce_by=None):
                heard += delta
        return heard

    async def work() -> None:
        nonlocal known
        known = (await agent.run("Go")).usage.input_tokens
        for limits in ({"per_request_input_tokens_limit": 5}, {"input_tokens_limit": 5}, {"output_tokens_limit": 50}):
            before = model.runner.handed_out
            with pytest.raises(UsageLimitExceeded, match=next(iter(limits))):
                await read(**limits)
            assert model.runner.handed_out - before < 200
        assert len(await read(output_tokens_limit=4001)) == 4000

    run(work())


def test_a_limit_on_calls_holds(scripted: Any) -> None:
    """Of those that a reply makes beyond it, none is executed."""
    made = []
    agent = Agent(scripted(replies(calls(("note", {}), ("note", {})), "done")))

    @agent.tool_plain
    def note() -> str:
        made.append(1)
        return "noted"

    with pytest.raises(UsageLimitExceeded, match="tool_calls_limit"):
        run(agent.run("Go", usage_limits=UsageLimits(tool_calls_limit=1)))
    assert not made

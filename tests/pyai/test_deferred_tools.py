"""Calls that somebody else answers, or allows first."""

from __future__ import annotations

from typing import Any

from pydantic_ai import (
    Agent,
    DeferredToolRequests,
    DeferredToolResults,
    ToolDenied,
)
from pydantic_ai.messages import ModelMessagesTypeAdapter
from pydantic_ai.tools import ToolDefinition
from pydantic_ai.toolsets import ExternalToolset

from tests.pyai.scripts import City, calls, count, replies, run


def test_a_call_that_waits_for_approval(scripted: Any) -> None:
    """The run ends with what is to be decided and goes on when it is; a refusal is told to the model."""
    model = scripted(replies(calls(("pay", {"sum": 3}), ("pay", {"sum": 900})), "done"))
    agent = Agent(model, output_type=[str, DeferredToolRequests])

    @agent.tool_plain(requires_approval=True)
    def pay(sum: int) -> str:
        return f"paid {sum}"

    async def work() -> None:
        asked = await agent.run("Go")
        small, large = asked.output.approvals
        decided = DeferredToolResults(approvals={small.tool_call_id: True, large.tool_call_id: ToolDenied("Too much.")})
        result = await agent.run(message_history=asked.all_messages(), deferred_tool_results=decided)
        assert result.output == "done"
        told = [message["content"] for message in model.runner.requests[1][0] if message["role"] == "tool"]
        assert told[0] == "paid 3"
        assert "Too much." in told[1]

    run(work())


def test_tools_that_are_executed_elsewhere(scripted: Any) -> None:
    """The run ends with their calls; with results it goes on, in a run of its own and through JSON."""
    model = scripted(
        lambda messages, *_: (
            "It said " + messages[-1]["content"]
            if messages[-1]["role"] == "tool"
            else calls(("ask_browser", {"page": "home"}), ("count", {"city": "Rome"}))
        )
    )
    definition = ToolDefinition(
        name="ask_browser",
        parameters_json_schema={"type": "object", "properties": {"page": {"type": "string"}}, "required": ["page"]},
    )
    outside: Any = ExternalToolset([definition])
    agent = Agent(model, output_type=[str, DeferredToolRequests], toolsets=[outside], tools=[count])

    async def work() -> None:
        asked = await agent.run("Go")
        assert isinstance(asked.output, DeferredToolRequests)
        (call,) = asked.output.calls
        assert (call.tool_name, call.args_as_dict()) == ("ask_browser", {"page": "home"})
        history = ModelMessagesTypeAdapter.validate_json(asked.all_messages_json())
        answers = DeferredToolResults(calls={call.tool_call_id: "welcome"})
        result = await agent.run(message_history=history, deferred_tool_results=answers)
        assert "welcome" in str(model.runner.requests[1][0])
        assert result.output.startswith("It said ")
        results = {m["name"]: m["content"] for m in model.runner.requests[1][0] if m["role"] == "tool"}
        assert results == {"count": "4", "ask_browser": "welcome"}

    run(work())


def test_a_stream_ends_with_what_waits(scripted: Any) -> None:
    """As a run does."""
    model = scripted(lambda *_: calls(("pay", {"sum": 3}), text="I pay. "))
    agent = Agent(model, output_type=[DeferredToolRequests, City])

    @agent.tool_plain(requires_approval=True)
    def pay(sum: int) -> str:
        return f"paid {sum}"

    async def work() -> None:
        async with agent.run_stream("Go") as result:
            output = await result.get_output()
        assert isinstance(output, DeferredToolRequests)
        assert [call.args_as_dict() for call in output.approvals] == [{"sum": 3}]

    run(work())

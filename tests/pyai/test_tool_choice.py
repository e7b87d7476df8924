"""Which tools a model sees, may call and must call."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pydantic_ai import (
    Agent,
    RunContext,
    ToolOutput,
)
from pydantic_ai.capabilities import PrepareOutputTools, PrepareTools
from pydantic_ai.messages import (
    ModelRequest,
)
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.settings import ToolOrOutput
from pydantic_ai.tools import ToolDefinition
from pydantic_ai.toolsets import CombinedToolset, FunctionToolset

from tests.pyai.scripts import PARIS, City, calls, count, final, replies, run


def test_tool_choice(scripted: Any) -> None:
    """none, required, a list of names, and ToolOrOutput, as the runner gets them."""
    tools = [ToolDefinition(name=name, parameters_json_schema={"type": "object"}) for name in ("a", "b", "c")]
    out = ToolDefinition(name="out", parameters_json_schema={"type": "object"}, kind="output")
    text = ModelRequestParameters(function_tools=tools)
    strict = ModelRequestParameters(
        function_tools=tools, output_tools=[out], output_mode="tool", allow_text_output=False
    )

    def chosen(parameters: ModelRequestParameters, choice: Any) -> tuple[list[str], str]:
        model = scripted(lambda *_: calls(("a", {})))
        run(model.request([ModelRequest.user_text_prompt("Go")], {"tool_choice": choice}, parameters))
        _, offered, settings = model.runner.requests[0]
        return [tool["function"]["name"] for tool in offered], settings.get("tool_choice", "auto")

    assert chosen(text, "auto") == (["a", "b", "c"], "auto")
    assert chosen(text, "none") == (["a", "b", "c"], "none")
    assert chosen(text, "required") == (["a", "b", "c"], "required")
    assert chosen(text, ["b"]) == (["a", "b", "c"], "b")
    assert chosen(text, ["a", "b"]) == (["a", "b"], "required")
    assert chosen(text, ToolOrOutput(function_tools=["a"])) == (["a"], "auto")
    assert chosen(strict, "auto") == (["a", "b", "c", "out"], "required")
    assert chosen(strict, "none") == (["a", "b", "c", "out"], "out")
    assert chosen(strict, ToolOrOutput(function_tools=["a"])) == (["a", "out"], "required")


def test_tools_that_change_while_the_agent_runs(scripted: Any) -> None:
    """Each request offers what there is at that moment."""
    model = scripted(replies(calls(("first", {})), calls(("second", {})), "done"))
    agent = Agent(model)

    @agent.tool_plain
    def first() -> str:
        agent.tool_plain(second)
        return "ok"

    def second() -> str:
        """Came later."""
        return "ok"

    async def only_later(ctx: RunContext[None], tool: ToolDefinition) -> ToolDefinition | None:
        return tool if ctx.run_step > 1 else None

    @agent.tool_plain(prepare=only_later)
    def third() -> str:
        return "ok"

    assert run(agent.run("Go")).output == "done"
    offered = [{tool["function"]["name"] for tool in tools} for _, tools, _ in model.runner.requests]
    assert offered[0] == {"first"}
    assert {"first", "third"} <= offered[1]


def test_prepared_tools(scripted: Any) -> None:
    """A function may hide tools and change what is said of them, and it may hold output tools back."""
    model = scripted(replies(calls(("count", {"city": "Rome"})), final(PARIS, "city")))

    async def only_count(_: RunContext[None], tools: list[ToolDefinition]) -> list[ToolDefinition]:
        return [replace(tool, description="Count them.") for tool in tools if tool.name == "count"]

    async def later(ctx: RunContext[None], tools: list[ToolDefinition]) -> list[ToolDefinition]:
        return tools if ctx.run_step > 1 else []

    def hidden() -> str:
        return "?"

    agent = Agent(
        model,
        output_type=ToolOutput(City, name="city"),
        tools=[count, hidden],
        capabilities=[PrepareTools(only_count), PrepareOutputTools(later)],
    )
    assert run(agent.run("Go")).output == City(**PARIS)
    offered = [[tool["function"]["name"] for tool in tools] for _, tools, _ in model.runner.requests]
    assert offered == [["count"], ["count", "city"]]
    assert model.runner.requests[0][1][0]["function"]["description"] == "Count them."


def test_toolsets_are_offered_as_they_are_made(scripted: Any) -> None:
    """Prefixed, filtered and combined; a call reaches the right function."""
    model = scripted(replies(calls(("a_count", {"city": "Rome"}), ("b_count", {"city": "Oslo!"})), "done"))

    def other() -> str:
        return "never offered"

    first = FunctionToolset([count]).prefixed("a")
    second = FunctionToolset([count, other]).filtered(lambda _, tool: tool.name == "count").prefixed("b")
    result = run(Agent(model, toolsets=[CombinedToolset([first, second])]).run("Go"))
    assert result.output == "done"
    assert [tool["function"]["name"] for tool in model.runner.requests[0][1]] == ["a_count", "b_count"]
    told = [message["content"] for message in model.runner.requests[1][0] if message["role"] == "tool"]
    assert told == ["4", "5"]

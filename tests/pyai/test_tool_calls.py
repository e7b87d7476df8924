"""Calls of a reply: several, beside text, and what their results tell the model."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic_ai import (
    Agent,
    ModelRetry,
    ToolReturn,
)
from pydantic_ai.exceptions import (
    ToolFailed,
)
from pydantic_ai.messages import (
    BinaryContent,
    TextPart,
)

from tests.pyai.scripts import PARIS, City, calls, count, replies, run


def test_parallel_calls_of_which_one_fails(scripted: Any) -> None:
    """All results reach the model in the order of the calls, each under its own id."""
    model = scripted(replies(calls(("count", {"city": "A"}), ("fail", {}), ("count", {"city": "BB"})), "done"))
    agent = Agent(model, tools=[count])

    @agent.tool_plain
    def fail() -> str:
        raise ModelRetry("Not now.")

    result = run(agent.run("Go"))
    assert result.output == "done"
    messages = model.runner.requests[1][0]
    made = messages[-4]["tool_calls"]
    told = messages[-3:]
    assert [call["tool_call_id"] for call in made] == [result["tool_call_id"] for result in told]
    assert len({call["tool_call_id"] for call in made}) == 3
    assert [result["content"] for result in told][::2] == ["1", "2"]
    assert "Not now." in told[1]["content"]


def test_one_call_at_a_time(scripted: Any) -> None:
    """With parallel_tool_calls=False only the first call of a reply counts, should a model write more."""
    model = scripted(replies(calls(("count", {"city": "A"}), ("count", {"city": "B"})), "done"))
    result = run(Agent(model, tools=[count]).run("Go", model_settings={"parallel_tool_calls": False}))
    assert [part.args_as_dict() for part in result.all_messages()[1].parts] == [{"city": "A"}]
    assert model.runner.requests[0][2]["parallel_tool_calls"] is False


@pytest.mark.parametrize("strategy", ["early", "graceful", "exhaustive"])
def test_text_and_calls_in_one_reply(scripted: Any, strategy: Any) -> None:
    """The output tool ends the run; whether the other tools of the reply still run is the strategy's business."""
    ran = []
    model = scripted(lambda *_: calls(("note", {}), ("final_result", PARIS), text="I know. "))
    agent = Agent(model, output_type=City, end_strategy=strategy)

    @agent.tool_plain
    def note() -> str:
        ran.append(1)
        return "noted"

    result = run(agent.run("Go"))
    assert result.output == City(**PARIS)
    assert bool(ran) == (strategy != "early")
    assert result.all_messages()[1].parts[0] == TextPart("I know.")


def test_results_of_tools(scripted: Any) -> None:
    """Values, notes beside them, files that become a note, failures and refusals: the model reads text."""
    model = scripted(replies(calls(("rich", {}), ("picture", {}), ("broken", {})), "done"))
    agent = Agent(model)

    @agent.tool_plain
    def rich() -> ToolReturn:
        return ToolReturn({"a": 1}, content="Look closely.", metadata={"kept": "from the model"})

    @agent.tool_plain
    def picture() -> BinaryContent:
        return BinaryContent(b"\x89PNG", media_type="image/png")

    @agent.tool_plain
    def broken() -> str:
        raise ToolFailed("No such thing.")

    run(agent.run("Go"))
    messages = model.runner.requests[1][0]
    told = {message["name"]: message["content"] for message in messages if message["role"] == "tool"}
    assert told["rich"] == '{"a":1}'
    assert "image" in told["picture"] or "file" in told["picture"]
    assert "No such thing." in told["broken"]
    assert "Look closely." in messages[-1]["content"]
    assert "kept" not in str(messages)

"""What is wrong goes back to the model, and it may try again."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic_ai import (
    Agent,
    ModelRetry,
)
from pydantic_ai.exceptions import (
    UnexpectedModelBehavior,
)

from llm.testing.scripted_runner import ScriptedReply
from tests.pyai.scripts import PARIS, City, calls, count, final, replies, run


def test_an_answer_that_does_not_validate_is_corrected(scripted: Any) -> None:
    """The model reads what was wrong as the result of its call."""
    model = scripted(replies(final({"name": "Paris", "people": -1}), final(PARIS)))
    result = run(Agent(model, output_type=City).run("Go"))
    assert result.output == City(**PARIS)
    told = model.runner.requests[1][0][-1]
    assert told["role"] == "tool"
    assert "greater than or equal to 0" in told["content"]


def test_output_validators_and_functions_ask_again(scripted: Any) -> None:
    """For text and for structured output; an output function may hand over to another agent."""
    agent = Agent(scripted(replies("no", "yes")))

    @agent.output_validator
    def only_yes(text: str) -> str:
        if text != "yes":
            raise ModelRetry("Say yes.")
        return text

    assert run(agent.run("Go")).output == "yes"

    def of_city(city: City) -> str:
        if city.people < 10:
            raise ModelRetry("Too few.")
        return city.name

    model = scripted(replies(final({"name": "A", "people": 1}), final(PARIS)))
    assert run(Agent(model, output_type=of_city).run("Go")).output == "Paris"
    other = Agent(scripted(lambda *_: "handed over"))

    async def hand_over(question: str) -> str:
        return (await other.run(question)).output

    model = scripted(lambda *_: final({"question": "?"}))
    assert run(Agent(model, output_type=hand_over).run("Go")).output == "handed over"


def test_unknown_tools_and_wrong_arguments_are_repaired(scripted: Any) -> None:
    """Without a constraint a model may call what is not there, or with the wrong types."""
    model = scripted(replies(calls(("guess", {"x": 1})), calls(("count", {})), calls(("count", {"city": "Rome"})), "4"))
    agent = Agent(model, tools=[count], retries=3)
    assert run(agent.run("Go")).output == "4"
    assert "Unknown tool" in model.runner.requests[1][0][-1]["content"]
    assert "Field required" in model.runner.requests[2][0][-1]["content"]


@pytest.mark.parametrize("arguments", ["{bad}", '{"city": }', "[1]"])
def test_arguments_that_are_no_json_are_repaired(scripted: Any, wire_format: str, arguments: str) -> None:
    """The call stays a call, and the model is told what was wrong with it."""
    if wire_format == "parameters":
        pytest.skip("this format has no place for arguments that are no object")
    model = scripted(replies(calls(("count", arguments)), calls(("count", {"city": "Rome"})), "4"))
    result = run(Agent(model, tools=[count]).run("Go"))
    assert result.output == "4"
    assert result.all_messages()[1].parts[0].tool_name == "count"
    assert result.all_messages()[2].parts[0].outcome == "retried"


def test_empty_blank_and_thought_only_answers_are_asked_again(scripted: Any) -> None:
    """None of them is an answer."""
    for nothing in ("", " \n ", ScriptedReply(reasoning="Hm.")):
        model = scripted(replies(nothing, "answer"))
        assert run(Agent(model).run("Go")).output == "answer"
        assert len(model.runner.requests) == 2


def test_a_model_that_never_validates_gives_up(scripted: Any) -> None:
    """After the retries that the agent allows."""
    agent = Agent(scripted(lambda *_: final({"name": 1})), output_type=City)
    with pytest.raises(UnexpectedModelBehavior):
        run(agent.run("Go"))

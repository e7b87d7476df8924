"""Structured output: by tool, native, prompted, unions; the reply is held to the schema in every format."""

from __future__ import annotations

import json
from typing import Any, Literal

import pytest
from pydantic_ai import (
    Agent,
    NativeOutput,
    PromptedOutput,
    StructuredDict,
    TextOutput,
    ToolOutput,
)

from tests.pyai.scripts import PARIS, City, Country, Node, Reply, calls, count, final, run


@pytest.mark.parametrize(
    ("kind", "arguments", "expected"),
    [
        (City, PARIS, City(**PARIS)),
        (tuple[str, int], {"response": ["a", 1]}, ("a", 1)),
        (list[City], {"response": [PARIS]}, [City(**PARIS)]),
        (Country, {"capital": PARIS}, Country(capital=City(**PARIS))),
        (Node, {"value": 1, "next": {"value": 2, "next": None}}, Node(value=1, next=Node(value=2))),
        (Literal["a", "b"], {"response": "b"}, "b"),
        (int, {"response": 7}, 7),
        (dict[str, int], {"response": {"x": 1}}, {"x": 1}),
        (
            StructuredDict({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}, name="A"),
            {"a": "x"},
            {"a": "x"},
        ),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_structured_output_by_tool(scripted: Any, kind: Any, arguments: Any, expected: Any) -> None:
    """Whatever the type, the model is made to call the output tool."""
    model = scripted(lambda *_: final(arguments), checked=True)
    assert run(Agent(model, output_type=kind).run("Go")).output == expected
    _, tools, settings = model.runner.requests[0]
    assert [tool["function"]["name"] for tool in tools] == ["final_result"]
    assert settings["tool_choice"] == "required"


@pytest.mark.parametrize("mode", [NativeOutput, PromptedOutput])
@pytest.mark.parametrize("with_tools", [False, True])
def test_native_and_prompted_output(scripted: Any, mode: Any, with_tools: bool) -> None:
    """The schema is in the prompt and the reply is held to it, also where there are tools; they stay callable."""

    def script(messages: list[Any], tools: list[Any], settings: dict[str, Any]) -> Reply:
        assert any('"people"' in message["content"] for message in messages if message["role"] == "system")
        assert settings["response_format"]["properties"]["people"]["type"] == "integer"
        if tools and messages[-1]["role"] != "tool":
            return calls(("count", {"city": "Paris"}))
        return '{"name": "Paris", "people": 2}'

    agent = Agent(scripted(script, checked=True), output_type=mode(City))
    if with_tools:
        agent.tool_plain(count)
    result = run(agent.run("Go"))
    assert result.output == City(name="Paris", people=2)
    assert result.usage.requests == 1 + with_tools


def test_unions_and_several_output_tools(scripted: Any) -> None:
    """Text where text is allowed; else the tool that the model chose; None as well."""
    assert run(Agent(scripted(lambda *_: "Well"), output_type=[str, City]).run("Go")).output == "Well"
    assert run(Agent(scripted(lambda *_: final(PARIS)), output_type=[str, City]).run("Go")).output == City(**PARIS)
    chosen = scripted(lambda *_: final({"value": 3}, "final_result_Node"), checked=True)
    assert run(Agent(chosen, output_type=[City, Node]).run("Go")).output == Node(value=3)
    assert chosen.runner.requests[0][2]["tool_choice"] == "required"
    named = [ToolOutput(City, name="city"), ToolOutput(Node, name="node")]
    assert run(Agent(scripted(lambda *_: final(PARIS, "city")), output_type=named).run("Go")).output == City(**PARIS)
    assert run(Agent(scripted(lambda *_: ""), output_type=[str, type(None)]).run("Go")).output in (None, "")


def test_a_run_goes_on_after_an_output_tool(scripted: Any) -> None:
    """The call of the output tool has a result in the history."""
    model = scripted(lambda *_: final(PARIS))
    agent = Agent(model, output_type=City)

    async def work() -> None:
        first = await agent.run("Go")
        await agent.run("Again", message_history=first.all_messages())
        assert [message["role"] for message in model.runner.requests[1][0]] == ["user", "assistant", "tool", "user"]

    run(work())


@pytest.mark.parametrize("how", [City, ToolOutput(City), NativeOutput(City), PromptedOutput(City)], ids=str)
@pytest.mark.parametrize("with_tools", [False, True])
def test_structured_output_streams(scripted: Any, how: Any, with_tools: bool) -> None:
    """Every way grows from partial models to the final one, with function tools as well."""

    def script(messages: list[Any], tools: list[Any], _: dict[str, Any]) -> Reply:
        names = [tool["function"]["name"] for tool in tools]
        if with_tools and messages[-1]["role"] != "tool":
            return calls(("count", {"city": "Paris"}))
        return final(PARIS) if "final_result" in names else json.dumps(PARIS)

    agent = Agent(scripted(script, checked=True), output_type=how, tools=[count] if with_tools else [])

    async def work() -> None:
        async with agent.run_stream("Go") as result:
            grown = [city async for city in result.stream_output(debounce_by=None)]
            assert grown[-1] == await result.get_output() == City(**PARIS)
        assert result.usage.requests == 1 + with_tools

    run(work())


@pytest.mark.parametrize("how", [lambda kinds: kinds, NativeOutput, PromptedOutput])
def test_unions_are_told_apart(scripted: Any, how: Any) -> None:
    """By the tool that is called, or by what the JSON says it is."""

    def script(_: list[Any], tools: list[Any], __: dict[str, Any]) -> Reply:
        if tools:
            return final({"value": 3}, "final_result_Node")
        return json.dumps({"result": {"kind": "Node", "data": {"value": 3, "next": None}}})

    model = scripted(script, checked=True)
    assert run(Agent(model, output_type=how([City, Node])).run("Go")).output == Node(value=3)


def test_output_functions_and_plain_text_functions(scripted: Any) -> None:
    """A function takes the model's arguments, or its text, and gives the run's result."""

    def shout(text: str) -> str:
        return text.upper()

    async def people(city: City) -> int:
        return city.people

    assert run(Agent(scripted(lambda *_: "quiet"), output_type=TextOutput(shout)).run("Go")).output == "QUIET"
    model = scripted(lambda *_: final(PARIS), checked=True)
    assert run(Agent(model, output_type=people).run("Go")).output == PARIS["people"]
    both = Agent(scripted(lambda *_: "quiet"), output_type=[TextOutput(shout), people])
    assert run(both.run("Go")).output == "QUIET"

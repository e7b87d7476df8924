"""Tools as classes: what is declared, what follows from it, and results."""

from __future__ import annotations

import asyncio
import datetime
import threading
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from llm.exceptions import ConfigError, RequestError
from llm.tools import BaseTool, FunctionTool, ToolParameter, ToolResult


class Stock(BaseTool):
    name = "stock"
    description = "How many are in stock."

    def execute(self, *, product: str, warehouse: Literal["north", "south"] = "north") -> ToolResult:
        """Count.

        Args:
            product: Its number.
        """
        return ToolResult(success=True, data=f"{product} {warehouse} {threading.current_thread().name}")


class Ask(BaseTool):
    name = "ask"
    description = "Asks."

    async def aexecute(self, *, question: str) -> ToolResult:
        await asyncio.sleep(0)
        return ToolResult(success=True, data=question.upper())


class Declared(BaseTool):
    name = "route"
    description = "A route."
    parameters = (
        ToolParameter("from", "string", "Where it begins."),
        ToolParameter("by", "string", "How.", enum=["foot", "train"], required=False, default="foot"),
        ToolParameter("stops", "integer", required=False),
        ToolParameter("user-id", Annotated[int, Field(ge=1)]),
        ToolParameter("tags", list[str], required=False, default=()),
    )

    def execute(self, **arguments: Any) -> ToolResult:
        return ToolResult(success=True, data=arguments)


def test_a_class_is_described_by_its_method() -> None:
    """Name and description are the class's; what it takes is read from the types and the docstring of `execute`."""
    assert Stock().to_openai() == {
        "type": "function",
        "function": {
            "name": "stock",
            "description": "How many are in stock.",
            "parameters": {
                "type": "object",
                "properties": {
                    "product": {"type": "string", "description": "Its number."},
                    "warehouse": {"type": "string", "enum": ["north", "south"], "default": "north"},
                },
                "required": ["product"],
                "additionalProperties": False,
            },
        },
    }


def test_a_synchronous_tool_can_be_awaited() -> None:
    """On a thread of its own, so that it blocks nobody."""
    tool = Stock()
    assert tool.execute(product="7").data == f"7 north {threading.current_thread().name}"
    assert asyncio.run(tool.aexecute(product="7")).data == "7 north practorflow-tool"


def test_an_asynchronous_tool_can_be_called_from_anywhere() -> None:
    """Also where an event loop runs already; the call then blocks, as the caller asked."""
    tool = Ask()

    async def inside() -> ToolResult:
        return tool.execute(question="b")

    assert tool.to_openai()["function"]["parameters"]["required"] == ["question"]
    assert tool.execute(question="a").data == "A"
    assert asyncio.run(inside()).data == "B"


def test_declared_parameters_are_as_good_as_typed_ones() -> None:
    """Any name, JSON type names or Python types, choices, defaults; checked the same way."""
    tool = Declared()
    schema = tool.arguments.schema
    assert schema["required"] == ["from", "user-id"]
    assert schema["properties"]["from"] == {"type": "string", "description": "Where it begins."}
    assert schema["properties"]["by"] == {
        "type": "string", "enum": ["foot", "train"], "default": "foot", "description": "How.",
    }  # fmt: skip
    values = tool.arguments.validate({"from": "Bern", "user-id": 3, "tags": ["x"]})
    assert values == {"from": "Bern", "by": "foot", "stops": None, "user-id": 3, "tags": ["x"]}
    assert tool.execute(**values).data == values
    with pytest.raises(RequestError, match=r"from is missing; by: .*; user-id: .* 1"):
        tool.arguments.validate({"by": "air", "user-id": 0})


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: ToolParameter("a", "text"), "'a'"),
        (lambda: ToolParameter("a", "string", default="x"), "required=False"),
    ],
)
def test_a_wrong_declaration_is_named(make: Any, named: str) -> None:
    """A type that JSON does not have; a default of what has to be given."""
    with pytest.raises(ConfigError, match=named):
        make()


def test_a_tool_that_does_nothing_says_so() -> None:
    """Neither `execute` nor `aexecute` is there: an error, and no endless recursion."""

    class Nothing(BaseTool):
        name = "nothing"
        description = ""

    with pytest.raises(NotImplementedError, match="Nothing"):
        Nothing().execute()
    with pytest.raises(NotImplementedError, match="Nothing"):
        asyncio.run(Nothing().aexecute())


class Person(BaseModel):
    name: str


@pytest.mark.parametrize(
    ("result", "text"),
    [
        (ToolResult(success=True, data="as it is"), "as it is"),
        (ToolResult(success=True, data=""), ""),
        (ToolResult(success=True), "Done."),
        (ToolResult(success=True, data=3.5), "3.5"),
        (ToolResult(success=True, data=["é", None]), '["é",null]'),
        (ToolResult(success=True, data={"at": datetime.date(2026, 2, 3)}), '{"at":"2026-02-03"}'),
        (ToolResult(success=True, data=Person(name="Ada")), '{"name":"Ada"}'),
        (ToolResult(success=False, error="no such city"), "Error: no such city"),
        (ToolResult.of_error(ValueError("no such city")), "Error: ValueError: no such city"),
        (ToolResult.of_error(KeyError()), "Error: KeyError"),
    ],
)
def test_a_result_reads_as_text(result: ToolResult, text: str) -> None:
    """Text as it is, everything else as JSON, an error as an error."""
    assert result.text == text


def test_data_that_json_does_not_know_is_no_reason_to_fail() -> None:
    """Objects of unknown classes are described; what cannot be written at all is said to be so."""

    class Sulky:
        def __repr__(self) -> str:
            raise RuntimeError("no")

    circle: list[Any] = []
    circle.append(circle)
    assert "object" in ToolResult(success=True, data=[object()]).text
    for data in (circle, Sulky()):
        assert ToolResult(success=True, data=data).text
    for data in (b"\xff", {"a": b"\xff"}):
        assert "cannot be written as text" in ToolResult(success=True, data=data).text


def test_a_result_shows_nothing_of_itself() -> None:
    """What a tool found is as private as what was asked."""
    result = ToolResult(success=True, data="canary", error="canary", metadata={"results": "canary"})
    assert repr(result) == "ToolResult(success=True)"


def test_long_errors_are_cut() -> None:
    """A traceback-sized message does not fill the model's context."""
    assert len(ToolResult.of_error(ValueError("x" * 5000)).text) < 1100


def test_functions_become_tools() -> None:
    """Name, description and parameters from the function; arguments go where Python wants them."""

    def tool(first: int, /, second: int, *rest: int, third: int = 4, **more: int) -> list[Any]:
        """Adds up.

        Args:
            first: The first.
        """
        return [first, second, rest, third, more]

    made = FunctionTool(tool)
    assert (made.name, made.description, made.timeout) == ("tool", "Adds up.", None)
    values = made.arguments.validate({"first": 1, "second": 2, "rest": [3, 4], "third": 5, "extra": 6})
    assert made.execute(**values).data == [1, 2, (3, 4), 5, {"extra": 6}]
    assert made.execute(**made.arguments.validate({"first": 1, "second": 2})).data == [1, 2, (), 4, {}]
    renamed = FunctionTool(tool, name="sum", description="Sums.", timeout=3)
    assert (renamed.name, renamed.description, renamed.timeout) == ("sum", "Sums.", 3)


def test_what_a_function_raises_is_its_error() -> None:
    """Synchronous or not, called or awaited; and a ToolResult that it returns stays what it is."""

    def wrong() -> None:
        raise LookupError("no such customer")

    async def wrong_too() -> None:
        wrong()

    def own() -> ToolResult:
        return ToolResult(success=False, error="mine", metadata={"a": 1})

    for function in (wrong, wrong_too):
        tool = FunctionTool(function)
        for result in (tool.execute(), asyncio.run(tool.aexecute())):
            assert (result.success, result.error) == (False, "LookupError: no such customer")
            assert result.metadata == {"error_type": "exception", "exception": "LookupError"}
    assert FunctionTool(own).execute() == own()


def test_a_function_that_returns_something_to_await_is_awaited() -> None:
    """A lambda around a coroutine is as good as the coroutine."""

    async def later(x: int) -> int:
        return x + 1

    def start(x: int) -> Any:
        return later(x)

    assert asyncio.run(FunctionTool(start).aexecute(x=1)).data == 2
    assert FunctionTool(start).execute(x=1).data == 2

"""What typed functions take: a definition for every kind of parameter, and words for a model that got it wrong."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import fractions
import functools
import ipaddress
import json
import pathlib
import re
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any, Generic, Literal, NamedTuple, Optional, TypeVar, Union

import pydantic
import pytest
from pydantic import AwareDatetime, BaseModel, Field, HttpUrl, Json, SecretStr, StrictInt, StringConstraints
from typing_extensions import NotRequired, Required, TypedDict, Unpack

from llm.exceptions import ConfigError, RequestError
from llm.grammar.json_schema import checked_schema
from llm.tools.arguments import ToolArguments


class Color(enum.Enum):
    red = "red"
    blue = 2


class Person(BaseModel):
    """Somebody."""

    name: str
    age: Annotated[int, Field(ge=0, description="In years")] = 0


class Tree(BaseModel):
    value: int
    children: list[Tree] = []


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"]


@dataclasses.dataclass
class Point:
    x: int
    y: int = 0


class Pair(NamedTuple):
    first: int
    second: str


class Place(TypedDict):
    city: Required[str]
    code: NotRequired[int]


T = TypeVar("T")


class Box(BaseModel, Generic[T]):
    content: T


DAY = datetime.date(2026, 2, 28)
UTC = datetime.timezone.utc

KINDS: list[tuple[Any, Any, Any, Any]] = [
    (str, "text", "text", 3),
    (int, 3, 3, "three"),
    (int, "3", 3, 3.5),
    (float, 2.5, 2.5, "x"),
    (bool, True, True, "perhaps"),
    (None, None, None, 1),
    (bytes, "abc", b"abc", 1),
    (Any, {"a": [1]}, {"a": [1]}, None),
    (object, "x", "x", None),
    (datetime.date, "2026-02-28", DAY, "2026-02-30"),
    (datetime.datetime, "2026-02-28T10:00:00Z", datetime.datetime(2026, 2, 28, 10, tzinfo=UTC), "soon"),
    (AwareDatetime, "2026-02-28T10:00:00Z", datetime.datetime(2026, 2, 28, 10, tzinfo=UTC), "2026-02-28T10:00:00"),
    (datetime.time, "10:30:00", datetime.time(10, 30), "25:00"),
    (datetime.timedelta, "PT1H", datetime.timedelta(hours=1), "long"),
    (decimal.Decimal, "1.10", decimal.Decimal("1.10"), "much"),
    (fractions.Fraction, "1/3", fractions.Fraction(1, 3), "a third"),
    (uuid.UUID, "12345678-1234-5678-1234-567812345678", uuid.UUID("12345678-1234-5678-1234-567812345678"), "1"),
    (pathlib.Path, "a/b", pathlib.Path("a/b"), 1),
    (re.Pattern, "a+", re.compile("a+"), "("),
    (ipaddress.IPv4Address, "10.0.0.1", ipaddress.IPv4Address("10.0.0.1"), "10.0.0.300"),
    (ipaddress.IPv6Network, "fe80::/64", ipaddress.IPv6Network("fe80::/64"), "x"),
    (HttpUrl, "https://example.org/", HttpUrl("https://example.org/"), "ftp://example.org"),
    (SecretStr, "s", SecretStr("s"), 1),
    (Json[list[int]], "[1]", [1], "{"),
    (StrictInt, 3, 3, "3"),
    (list[int], [1, 2], [1, 2], [1, "x"]),
    (list, [1, "a"], [1, "a"], "a"),
    (set[str], ["a", "a"], {"a"}, [1]),
    (frozenset[int], [1], frozenset({1}), ["x"]),
    (tuple[int, str], [1, "a"], (1, "a"), [1]),
    (tuple[int, ...], [1, 2], (1, 2), ["x"]),
    (Sequence[int], [1], [1], 1),
    (dict[str, int], {"a": 1}, {"a": 1}, {"a": "x"}),
    (dict[int, str], {"1": "a"}, {1: "a"}, {"x": "a"}),
    (Mapping[str, float], {"a": 1.5}, {"a": 1.5}, [1]),
    (dict, {"a": None}, {"a": None}, "a"),
    (Color, 2, Color.blue, "green"),
    (Literal["a", 1, None], "a", "a", "b"),
    (Optional[int], None, None, "x"),  # noqa: UP045 - as people write it
    (Union[int, list[str]], ["a"], ["a"], "x"),  # noqa: UP007
    (int | str, "x", "x", []),
    (Person, {"name": "Ada"}, Person(name="Ada"), {"age": 3}),
    (Tree, {"value": 1, "children": [{"value": 2}]}, Tree(value=1, children=[Tree(value=2)]), {"children": []}),
    (Annotated[Cat | Dog, Field(discriminator="kind")], {"kind": "dog"}, Dog(kind="dog"), {"kind": "cow"}),
    (Point, {"x": 1}, Point(1), {"y": 1}),
    (Pair, [1, "a"], Pair(1, "a"), [1]),
    (Place, {"city": "Bern"}, {"city": "Bern"}, {"code": 1}),
    (Box[int], {"content": 1}, Box[int](content=1), {"content": "x"}),
    (Annotated[int, Field(ge=1, le=5, multiple_of=2)], 4, 4, 6),
    (Annotated[str, StringConstraints(min_length=2, pattern="^[a-z]+$")], "ab", "ab", "a"),
    (Annotated[list[int], Field(min_length=1, max_length=2)], [1], [1], []),
]


def function_of(kind: Any, default: Any = ...) -> Callable[..., Any]:
    def tool(value: Any) -> None: ...

    tool.__annotations__ = {"value": kind, "return": None}
    if default is not ...:
        tool.__defaults__ = (default,)
    return tool


@pytest.mark.parametrize(("kind", "given", "taken", "wrong"), KINDS, ids=[str(kind) for kind, *_ in KINDS])
def test_every_kind_of_type(kind: Any, given: Any, taken: Any, wrong: Any) -> None:
    """It is described by words that a grammar can honour, read from JSON, and what is wrong is refused by its name."""
    arguments = ToolArguments.of_function("tool", function_of(kind))
    assert arguments.schema["required"] == ["value"]
    assert arguments.schema["additionalProperties"] is False
    assert checked_schema(arguments.schema)
    json.dumps(arguments.schema)
    assert arguments.validate({"value": given}) == {"value": taken}
    if wrong is not None:
        with pytest.raises(RequestError, match="'tool' are wrong: value"):
            arguments.validate({"value": wrong})


@pytest.mark.parametrize("kind", [kind for kind, *_ in KINDS], ids=str)
def test_a_default_makes_it_optional(kind: Any) -> None:
    """Whatever the default is, also one that JSON cannot hold."""
    default = object()
    arguments = ToolArguments.of_function("tool", function_of(kind, default))
    assert "required" not in arguments.schema
    assert arguments.validate({}) == {"value": default}


def test_every_kind_of_python_parameter() -> None:
    """The model names them all; none is lost, and keywords that may be anything keep their type."""

    def tool(first: int, /, second: str, *rest: float, third: bool = False, **more: list[int]) -> None: ...

    arguments = ToolArguments.of_function("tool", tool)
    assert list(arguments.schema["properties"]) == ["first", "second", "rest", "third"]
    assert arguments.schema["required"] == ["first", "second"]
    assert arguments.schema["properties"]["rest"] == {"type": "array", "items": {"type": "number"}}
    assert arguments.schema["additionalProperties"] == {"type": "array", "items": {"type": "integer"}}
    given = {"first": 1, "second": "b", "rest": [1, 2], "third": True, "other": [3]}
    assert arguments.validate(given) == given
    assert arguments.validate({"first": 1, "second": "b"}) == {"first": 1, "second": "b", "third": False}
    with pytest.raises(RequestError, match="other"):
        arguments.validate(given | {"other": "x"})


def test_keywords_of_a_typed_dict_are_parameters() -> None:
    """`**options: Unpack[Place]` takes `city` and, if it is given, `code`."""

    def tool(**place: Unpack[Place]) -> None: ...

    arguments = ToolArguments.of_function("tool", tool)
    assert arguments.schema["required"] == ["city"]
    assert arguments.schema["additionalProperties"] is False
    assert arguments.validate({"city": "Bern"}) == {"city": "Bern"}
    assert arguments.validate({"city": "Bern", "code": 3000}) == {"city": "Bern", "code": 3000}


def test_names_that_would_be_in_the_way_elsewhere() -> None:
    """Names that mean something to Pydantic, a leading underscore, and an alias for what Python cannot name."""

    def tool(
        self_: int, schema: str, json: str, copy: bool, model_config: int, _hidden: int, name: str,
        origin: Annotated[str, Field(alias="from")],
    ) -> None: ...  # fmt: skip

    arguments = ToolArguments.of_function("tool", tool)
    given = {"self_": 1, "schema": "a", "json": "b", "copy": True, "model_config": 2, "_hidden": 3, "name": "c"}
    assert list(arguments.schema["properties"]) == [*given, "from"]
    assert arguments.validate(given | {"from": "x"}) == given | {"origin": "x"}


def test_methods_partials_and_objects_that_can_be_called() -> None:
    """`self` and what a partial has settled are not the model's business."""

    class Store:
        def find(self, key: str) -> str:
            return key

        def __call__(self, key: int) -> int:
            return key

        @classmethod
        def make(cls, size: int) -> None: ...

        @staticmethod
        def count(of: str) -> None: ...

    def search(store: Store, query: str, *, most: int = 3) -> None: ...

    def properties(function: Callable[..., Any]) -> list[str]:
        return list(ToolArguments.of_function("tool", function).schema["properties"])

    assert properties(Store().find) == ["key"]
    assert properties(Store()) == ["key"]
    assert properties(Store.make) == ["size"]
    assert properties(Store.count) == ["of"]
    assert properties(functools.partial(search, Store())) == ["query", "most"]
    assert properties(functools.partial(search, store=Store(), most=5)) == ["query"]


def test_descriptions_come_from_the_type_or_the_docstring() -> None:
    """The type's own wins; bounds and defaults stay beside it, also where the default is a Field."""

    def tool(
        a: str, b: Annotated[int, Field(description="own", ge=1)], c: int = Field(3, ge=2), d: Person | None = None
    ) -> None: ...

    descriptions = {"a": "The first.", "b": "docstring", "c": "The third.", "d": "Who."}
    schema = ToolArguments.of_function("tool", tool, descriptions=descriptions).schema
    assert schema["properties"]["a"] == {"type": "string", "description": "The first."}
    assert schema["properties"]["b"] == {"type": "integer", "minimum": 1, "description": "own"}
    assert schema["properties"]["c"] == {"type": "integer", "minimum": 2, "default": 3, "description": "The third."}
    assert schema["properties"]["d"]["description"] == "Who."
    assert schema["$defs"]["Person"]["properties"]["age"]["description"] == "In years"


def test_schemas_hold_no_words_without_meaning() -> None:
    """No generated titles; but a parameter may be called `title`, and a default may hold anything."""

    def tool(title: str, format: dict[str, Any] = {"title": "kept", "format": "x"}) -> None: ...  # noqa: B006

    schema = ToolArguments.of_function("tool", tool).schema
    assert schema["properties"] == {
        "title": {"type": "string"},
        "format": {"type": "object", "additionalProperties": True, "default": {"title": "kept", "format": "x"}},
    }


def test_what_a_grammar_cannot_keep_is_said_in_words() -> None:
    """A pattern's or a network's syntax stands in the description, and validation still demands it."""
    schema = ToolArguments.of_function("tool", function_of(re.Pattern)).schema
    assert schema["properties"]["value"] == {"type": "string", "description": "(regex)"}


def test_everything_that_is_wrong_is_said_at_once() -> None:
    """In words that a model can mend its call by: missing, unknown and badly typed arguments, by path."""

    def tool(city: str, people: list[Person], unit: Literal["c", "f"] = "c") -> None: ...

    arguments = ToolArguments.of_function("weather", tool)
    with pytest.raises(RequestError) as caught:
        arguments.validate({"people": [{"name": "Ada"}, {"age": -1}], "unit": "kelvin-canary", "when": "now"})
    assert str(caught.value) == (
        "The arguments of 'weather' are wrong: city is missing; people.1.name is missing; people.1.age: input should "
        "be greater than or equal to 0; unit: input should be 'c' or 'f'; there is no argument when. "
        "Correct them and call it again."
    )


def test_a_flood_of_faults_is_cut_short() -> None:
    """A hundred wrong items do not fill the model's context."""

    def tool(numbers: list[int]) -> None: ...

    with pytest.raises(RequestError, match="and 92 more") as caught:
        ToolArguments.of_function("tool", tool).validate({"numbers": ["x"] * 100})
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("given", [None, [], "text", 3, [{"city": "x"}]])
def test_arguments_are_an_object(given: Any) -> None:
    """Anything else is refused by what it should be."""
    with pytest.raises(RequestError, match="must be an object"):
        ToolArguments.of_function("tool", function_of(str)).validate(given)


def test_what_json_cannot_hold_is_refused() -> None:
    """A program that passes such a thing learns it as an error, not as a crash."""
    with pytest.raises(RequestError, match="JSON"):
        ToolArguments.of_function("tool", function_of(str)).validate({"value": object()})


class NoSchema:
    """A class that Pydantic knows nothing of."""


@pytest.mark.parametrize("kind", [NoSchema, Callable[[int], int], list[NoSchema], "NowhereDefined"])
def test_a_type_that_cannot_be_described_is_refused_at_once(kind: Any) -> None:
    """When the tool is made, with the tool's name; not when a model first calls it."""
    with pytest.raises(ConfigError, match="'tool'"):
        ToolArguments.of_function("tool", function_of(kind))


def test_a_parameter_without_a_type_is_refused() -> None:
    """A model could not know what to give."""

    def tool(a: int, b) -> None: ...  # type: ignore[no-untyped-def]

    with pytest.raises(ConfigError, match=r"'b'.*with a type"):
        ToolArguments.of_function("tool", tool)


def test_a_function_without_parameters_takes_nothing() -> None:
    """An empty object is right, anything in it is not."""

    def tool() -> None: ...

    arguments = ToolArguments.of_function("tool", tool)
    assert arguments.schema == {"type": "object", "properties": {}, "additionalProperties": False}
    assert arguments.validate({}) == {}
    with pytest.raises(RequestError, match="there is no argument x"):
        arguments.validate({"x": 1})


def test_pydantic_itself_agrees() -> None:
    """What `validate_call` takes by name, the tool takes too, for a function with everything in it."""

    def tool(a: int, b: Person, *, c: Iterable[int] = (), **d: str) -> tuple[Any, ...]:
        return a, b, list(c), d

    given = {"a": "1", "b": {"name": "Ada"}, "c": [1, 2], "e": "x"}
    expected = pydantic.validate_call(tool)(**given)  # type: ignore[arg-type]
    assert tool(**ToolArguments.of_function("tool", tool).validate(given)) == expected

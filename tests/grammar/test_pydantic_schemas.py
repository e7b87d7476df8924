"""Forty types as users write them: valid samples pass, invalid ones do not, and whatever is written under the grammar
parses and validates."""

from __future__ import annotations

import datetime
import decimal
import enum
import ipaddress
import json
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, NamedTuple, TypeVar

import pytest
from pydantic import (
    AnyUrl,
    BaseModel,
    ConfigDict,
    Field,
    HttpUrl,
    NaiveDatetime,
    SecretStr,
    StringConstraints,
    TypeAdapter,
    conlist,
    constr,
)
from pydantic.types import UUID4
from typing_extensions import TypedDict

from llm.grammar.json_schema import checked_schema, json_rule


class Quoted(enum.Enum):
    quote = 'say "hi"'
    backslash = "C:\\temp\\new"
    accent = "été"
    line = "two\nlines"


class Level(enum.IntEnum):
    low = 1
    high = 10


class City(BaseModel):
    name: str
    population: int


class Address(BaseModel):
    street: str
    city: City
    zip_code: Annotated[str, Field(pattern=r"^\d{5}$")]


class Person(BaseModel):
    name: Annotated[str, Field(min_length=1, max_length=20)]
    age: Annotated[int, Field(ge=0, le=150)]
    address: Address | None = None


class Tree(BaseModel):
    value: int
    children: list[Tree] = []


class Linked(BaseModel):
    item: str
    next: Linked | None = None


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: Annotated[int, Field(ge=1, le=9)]


class Dog(BaseModel):
    kind: Literal["dog"]
    name: str


class Owner(BaseModel):
    pet: Annotated[Cat | Dog, Field(discriminator="kind")]


class Number(BaseModel):
    op: Literal["number"]
    value: float


class Sum(BaseModel):
    op: Literal["sum"]
    left: Expression
    right: Expression


Expression = Annotated[Number | Sum, Field(discriminator="op")]
Sum.model_rebuild()


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")
    a: int
    b: str | None = None


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    a: int


class Aliased(BaseModel):
    from_: Annotated[str, Field(alias="from")]
    odd_name: Annotated[int, Field(alias='the "odd" name / ~ \\')]


class Money(BaseModel):
    amount: decimal.Decimal
    limited: Annotated[decimal.Decimal, Field(max_digits=5, decimal_places=2)]
    positive: Annotated[decimal.Decimal, Field(gt=0, le=100)]


class Times(BaseModel):
    day: datetime.date
    at: datetime.datetime
    clock: datetime.time
    naive: NaiveDatetime


class Network(BaseModel):
    host: ipaddress.IPv4Address
    host6: ipaddress.IPv6Address
    site: AnyUrl
    page: HttpUrl


class Bounds(BaseModel):
    open_low: Annotated[float, Field(gt=0)]
    both: Annotated[float, Field(ge=-1.5, lt=2.5)]
    third: Annotated[int, Field(multiple_of=3, ge=-30, le=30)]
    cents: Annotated[float, Field(multiple_of=0.01, ge=0, le=10)]


T = TypeVar("T")


class Page(BaseModel, Generic[T]):
    items: Annotated[list[T], Field(max_length=3)]
    total: int


class Point(NamedTuple):
    x: int
    y: int


class Movie(TypedDict):
    title: str
    year: int


@dataclass
class Item:
    name: str
    price: float = 0.0


class Everything(BaseModel):
    anything: Any
    mixed: int | str | bool | None
    literal: Literal["a", 1, True, None]
    flags: dict[str, bool]


CASES: list[tuple[str, Any, list[Any], list[Any]]] = [
    ("flat", City, [{"name": "Rome", "population": 3}], [{"name": "Rome"}, {"name": 1, "population": 3}, []]),
    (
        "nested",
        Person,
        [
            {"name": "A", "age": 0},
            {"name": "B", "age": 150, "address": None},
            {
                "name": "C",
                "age": 7,
                "address": {"street": "s", "city": {"name": "n", "population": 1}, "zip_code": "01234"},
            },
        ],
        [{"name": "", "age": 3}, {"name": "x" * 21, "age": 3}, {"name": "A", "age": 151}, {"name": "A", "age": -1}],
    ),
    ("recursive", Tree, [{"value": 1}, {"value": 1, "children": [{"value": 2, "children": []}]}], [{"value": "1"}]),
    ("linked", Linked, [{"item": "a", "next": {"item": "b", "next": None}}], [{"item": "a", "next": 3}]),
    (
        "discriminated",
        Owner,
        [{"pet": {"kind": "cat", "lives": 9}}, {"pet": {"kind": "dog", "name": "Rex"}}],
        [{"pet": {"kind": "cat", "name": "Rex"}}, {"pet": {"kind": "cow"}}, {"pet": {"kind": "cat", "lives": 10}}],
    ),
    (
        "recursive union",
        TypeAdapter(Expression),
        [
            {"op": "number", "value": 1.5},
            {"op": "sum", "left": {"op": "number", "value": 1}, "right": {"op": "number", "value": 2}},
        ],
        [{"op": "sum", "left": {"op": "number", "value": 1}}, {"op": "product"}],
    ),
    (
        "quoted enum",
        Quoted,
        ['say "hi"', "C:\\temp\\new", "été", "two\nlines"],
        ["say hi", "C:\\temp", 'say "hi', "ete"],
    ),
    ("integer enum", Level, [1, 10], [2, "1", 1.5]),
    ("mixed literal", Literal["a", 1, None, True], ["a", 1, None, True], ["b", 2, False]),
    ("pattern", constr(pattern=r"^[A-Z]{2}-\d{3}$"), ["AB-123"], ["AB-12", "ab-123", "AB-1234", 5]),
    ("loose pattern", constr(pattern=r"\d+"), ["a1b", "7"], ["ab", ""]),
    ("lengths", constr(min_length=2, max_length=4), ["ab", "abcd", "é\n", 'a"b\\'], ["a", "abcde", ""]),
    ("stripped", Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)], ["a", "a b"], [" ", "", " a"]),
    ("bounded integer", Annotated[int, Field(ge=-7, lt=1000)], [-7, 0, 999], [-8, 1000, 1.5]),
    ("large integer", Annotated[int, Field(gt=10**15)], [10**15 + 1, 10**18], [10**15, 0]),
    (
        "bounds",
        Bounds,
        [{"open_low": 0.1, "both": -1.5, "third": -27, "cents": 0.01}],
        [
            {"open_low": 0, "both": 0, "third": 3, "cents": 1},
            {"open_low": 1, "both": 2.5, "third": 3, "cents": 1},
            {"open_low": 1, "both": 0, "third": 4, "cents": 1},
            {"open_low": 1, "both": 0, "third": 3, "cents": 0.005},
        ],
    ),
    (
        "money",
        Money,
        [{"amount": 12.5, "limited": 999.99, "positive": 100}],
        [
            {"amount": "x", "limited": 1, "positive": 1},
            {"amount": 1, "limited": 1000, "positive": 1},
            {"amount": 1, "limited": 1.001, "positive": 1},
            {"amount": 1, "limited": 1, "positive": 0},
        ],
    ),
    (
        "times",
        Times,
        [{"day": "2024-02-29", "at": "2025-12-31T23:59:59Z", "clock": "07:00:00", "naive": "2025-01-01T10:00:00.5"}],
        [
            {"day": "2023-02-29", "at": "2025-12-31T23:59:59Z", "clock": "07:00:00", "naive": "2025-01-01T10:00:00"},
            {"day": "2024-02-28", "at": "2025-12-31", "clock": "07:00:00", "naive": "2025-01-01T10:00:00"},
            {"day": "2024-02-28", "at": "2025-12-31T00:00:00", "clock": "24:00:00", "naive": "2025-01-01T10:00:00"},
            {"day": "2024-02-28", "at": "2025-12-31T00:00:00", "clock": "07:00:00", "naive": "2025-01-01T10:00:00Z"},
        ],
    ),
    ("duration", datetime.timedelta, ["P1D", "PT5M", "P1Y2M3DT4H5M6S", "P2W"], ["1 day", "P", "PT", "P1.5D"]),
    ("uuid", uuid.UUID, ["123e4567-e89b-12d3-a456-426614174000"], ["123e4567", "g23e4567-e89b-12d3-a456-426614174000"]),
    ("uuid4", UUID4, ["123e4567-e89b-42d3-a456-426614174000"], ["123e4567-e89b-12d3-a456-426614174000"]),
    (
        "network",
        Network,
        [{"host": "10.0.0.1", "host6": "::1", "site": "https://a.example/x?y=1", "page": "http://example.com"}],
        [
            {"host": "10.0.0.256", "host6": "::1", "site": "https://a.b", "page": "http://a.b"},
            {"host": "10.0.0.1", "host6": ":::1", "site": "https://a.b", "page": "http://a.b"},
            {"host": "10.0.0.1", "host6": "::1", "site": "no url", "page": "http://a.b"},
            {"host": "10.0.0.1", "host6": "::1", "site": "https://a.b", "page": "ftp://a.b"},
        ],
    ),
    ("list", list[int], [[], [1], [1, 2, 3]], [["1"], {}, [1.5]]),
    ("bounded list", conlist(str, min_length=1, max_length=2), [["a"], ["a", "b"]], [[], ["a", "b", "c"]]),
    ("nested list", list[list[bool]], [[], [[], [True]]], [[1], [["true"]]]),
    ("tuple", tuple[int, str, bool], [[1, "a", True]], [[1, "a"], [1, "a", True, 2], ["a", 1, True]]),
    ("open tuple", tuple[float, ...], [[], [1.5, 2]], [["x"]]),
    ("named tuple", Point, [[1, 2]], [[1], [1, 2, 3]]),
    ("set", set[int], [[1, 2], []], [["a"]]),
    ("dict", dict[str, int], [{}, {"a": 1, "b": 2}], [{"a": "x"}, []]),
    ("integer keys", dict[int, str], [{"1": "a", "-20": "b"}], [{"a": "x"}, {"01": "x"}]),
    ("listed keys", dict[Literal["x", "y"], int], [{"x": 1}, {"x": 1, "y": 2}, {}], [{"z": 1}]),
    ("pattern keys", dict[Annotated[str, Field(pattern="^k_[a-z]+$")], int], [{"k_a": 1}], [{"k_": 1}, {"a": 1}]),
    ("bounded dict", Annotated[dict[str, bool], Field(min_length=1, max_length=2)], [{"a": True}], [{}, {"a": 1}]),
    ("forbidding", Strict, [{"a": 1}, {"a": 1, "b": "x"}], [{"a": 1, "c": 2}, {"b": "x"}]),
    ("open object", Open, [{"a": 1}, {"a": 1, "other": [1, {"x": None}]}], [{"other": 1}]),
    ("aliases", Aliased, [{"from": "x", 'the "odd" name / ~ \\': 1}], [{"from_": "x", "odd_name": 1}]),
    ("generic", Page[City], [{"items": [{"name": "a", "population": 1}], "total": 1}], [{"items": [1], "total": 1}]),
    ("typed dict", Movie, [{"title": "Alien", "year": 1979}], [{"title": "Alien"}]),
    ("dataclass", Item, [{"name": "a"}, {"name": "a", "price": 1.5}], [{"price": 1.5}]),
    (
        "everything",
        Everything,
        [{"anything": {"deep": [1, None]}, "mixed": None, "literal": 1, "flags": {"x": True}}],
        [{"anything": 1, "mixed": [], "literal": 1, "flags": {}}, {"mixed": 1, "literal": 1, "flags": {}}],
    ),
    (
        "secret and path",
        dict[Literal["secret", "path"], SecretStr | Path],
        [{"secret": "x", "path": "/a"}],
        [{"secret": 1}],
    ),
]

NAMES = [name for name, *_ in CASES]


def adapter_of(kind: Any) -> TypeAdapter[Any]:
    return kind if isinstance(kind, TypeAdapter) else TypeAdapter(kind)


def grammar_of(kind: Any) -> str:
    return "start: " + json_rule(checked_schema(Expression if isinstance(kind, TypeAdapter) else kind))


def test_there_are_forty_types_at_least() -> None:
    """The table holds at least forty types, each under a name of its own."""
    assert len(set(NAMES)) == len(CASES) >= 40


@pytest.mark.parametrize(("kind", "valid", "invalid"), [case[1:] for case in CASES], ids=NAMES)
def test_samples(kind: Any, valid: list[Any], invalid: list[Any], bench: Any) -> None:
    """The grammar takes what the type takes, compact or with blanks, and refuses what the type refuses."""
    grammar = grammar_of(kind)
    for sample in valid:
        adapter_of(kind).validate_json(json.dumps(sample))
        assert bench.accepts(grammar, json.dumps(sample, ensure_ascii=False)), sample
        assert bench.accepts(grammar, json.dumps(sample, ensure_ascii=False, separators=(",", ":"))), sample
        assert bench.accepts(grammar, json.dumps(sample, ensure_ascii=False, indent=2)), sample
    for sample in invalid:
        assert not bench.accepts(grammar, json.dumps(sample, ensure_ascii=False)), sample


def check_generations(kind: Any, count: int, bench: Any) -> None:
    grammar, adapter = grammar_of(kind), adapter_of(kind)
    for seed in range(count):
        text = bench.walk(grammar, seed=seed)
        json.loads(text)
        adapter.validate_json(text)


@pytest.mark.parametrize("kind", [case[1] for case in CASES], ids=NAMES)
def test_random_weights_write_valid_values(kind: Any, bench: Any) -> None:
    """A model without sense writes nothing under the grammar that does not parse and validate."""
    check_generations(kind, 8, bench)


@pytest.mark.soak
@pytest.mark.parametrize("kind", [case[1] for case in CASES], ids=NAMES)
def test_two_hundred_generations_are_valid(kind: Any, bench: Any) -> None:
    """The same, two hundred times for each type."""
    check_generations(kind, 200, bench)

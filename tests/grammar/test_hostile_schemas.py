"""Schemas that were made to break something: a typed error or harmless, in time, and the next request works."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from llm.exceptions import GenerationError, RequestError, SchemaError
from llm.grammar.json_schema import checked_schema, json_rule
from llm.grammar.response_grammar import response_grammar

INTEGER = {"type": "integer"}
CIRCLE = ("ab", "ba")
WORST_SECONDS = 20.0


def nested(levels: int, wrap: Callable[[Any], Any]) -> Any:
    schema: Any = INTEGER
    for _ in range(levels):
        schema = wrap(schema)
    return schema


def chain(length: int, link: Callable[[str], Any]) -> dict[str, Any]:
    definitions = {f"d{number}": link(f"#/$defs/d{number + 1}") for number in range(length)}
    return {"$ref": "#/$defs/d0", "$defs": definitions | {f"d{length}": INTEGER}}


def a_property(reference: str) -> dict[str, Any]:
    return {"type": "object", "properties": {"x": {"$ref": reference}}, "required": ["x"]}


def two_properties(reference: str) -> dict[str, Any]:
    return {"type": "object", "properties": {"a": {"$ref": reference}, "b": {"$ref": reference}}}


def itself() -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object"}
    schema["properties"] = {"me": schema}
    return schema


def in_an_array(schema: Any) -> Any:
    return {"type": "array", "items": schema}


SCHEMAS: dict[str, Callable[[], Any]] = {
    "nested arrays": lambda: nested(5_000, in_an_array),
    "nested a little": lambda: nested(45, in_an_array),
    "nested allOf": lambda: nested(3_000, lambda inner: {"allOf": [inner]}),
    "nested not": lambda: nested(3_000, lambda inner: {"not": inner}),
    "a Python object in itself": itself,
    "long chain of references": lambda: chain(5_000, a_property),
    "chain that just does not fit": lambda: chain(130, a_property),
    "chain that fits": lambda: chain(100, a_property),
    "doubling references": lambda: chain(60, lambda to: {"allOf": [{"$ref": to}, {"$ref": to}]}),
    "doubling alternatives": lambda: chain(60, lambda to: {"anyOf": [{"$ref": to}, {"$ref": to}]}),
    "doubling properties": lambda: chain(60, two_properties),
    "circle of references": lambda: {"$ref": "#/$defs/a", "$defs": {a: {"$ref": f"#/$defs/{b}"} for a, b in CIRCLE}},
    "reference to itself": lambda: {"$ref": "#"},
    "alternatives of itself": lambda: {"anyOf": [{"$ref": "#"}, {"$ref": "#"}, INTEGER]},
    "all of itself": lambda: {"allOf": [{"$ref": "#"}, INTEGER]},
    "trees crossed": lambda: {
        "allOf": [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/b"}],
        "$defs": {name: {"type": "object", "properties": {"c": {"$ref": f"#/$defs/{name}"}}} for name in "ab"},
    },
    "alternatives multiplied": lambda: {
        "allOf": [{"anyOf": [{"properties": {f"p{i}{j}": INTEGER}} for j in range(5)]} for i in range(12)]
    },
    "oneOf of many objects": lambda: {"oneOf": [{"type": "object", "properties": {"a": {}}} for _ in range(200)]},
    "oneOf nested in oneOf": lambda: nested(12, lambda inner: {"oneOf": [{"type": "array", "items": inner}, INTEGER]}),
    "many properties": lambda: {"type": "object", "properties": {f"p{i}": INTEGER for i in range(3_000)}},
    "too many properties": lambda: {"type": "object", "properties": {f"p{i}": INTEGER for i in range(30_000)}},
    "many values": lambda: {"enum": [f"value {i}" for i in range(20_000)]},
    "far too many values": lambda: {"enum": [f"value {i}" for i in range(110_000)]},
    "a name of a million letters": lambda: {"type": "object", "properties": {"x" * 1_000_000: INTEGER}},
    "a value of many letters": lambda: {"const": "x" * 200_000},
    "a list of a milliard": lambda: {"type": "array", "items": INTEGER, "minItems": 10**9},
    "a string of a milliard": lambda: {"type": "string", "minLength": 10**9},
    "counts beyond reason": lambda: {"type": "array", "maxItems": 10**30},
    "a million properties at most": lambda: {"type": "object", "maxProperties": 1_000_000},
    "repetition of repetition": lambda: {"type": "string", "pattern": "^((a{1000}){1000}){1000}$"},
    "exponential automaton": lambda: {"type": "string", "pattern": "^(a|b)*a(a|b){300}$"},
    "patterns multiplied": lambda: {
        "allOf": [{"type": "string", "pattern": f"(a|b)*a(a|b){{{count}}}c"} for count in range(5, 35)]
    },
    "patterns multiplied by reference": lambda: {
        "allOf": [{"$ref": f"#/$defs/{i}"} for i in range(12)],
        "$defs": {str(i): {"type": "string", "pattern": f"(a|b)*a(a|b){{{i + 5}}}c"} for i in range(12)},
    },
    "five thousand brackets": lambda: {"type": "string", "pattern": "(" * 5_000 + "a" + ")" * 5_000},
    "an unclosed class": lambda: {"type": "string", "pattern": "[a-"},
    "bytes in a pattern": lambda: {"type": "string", "pattern": r"(?-u:\xff)"},
    "a pattern of a hundred thousand letters": lambda: {"type": "string", "pattern": "a|" * 50_000 + "a"},
    "names by overlapping patterns": lambda: {
        "type": "object", "patternProperties": {f"(a|b)*a(a|b){{{i}}}c": INTEGER for i in range(15, 25)}
    },
    "a divisor with many states": lambda: {"type": "integer", "multipleOf": 99_991},
    "a divisor beyond": lambda: {"type": "integer", "multipleOf": 4_000_000_007},
    "a tiny divisor": lambda: {"type": "number", "multipleOf": 5e-324},
    "infinite bounds": lambda: {"type": "number", "minimum": float("-inf"), "maximum": float("inf")},
    "not a number": lambda: {"enum": [float("nan")]},
    "an integer of a thousand digits": lambda: {"const": 10**1_000},
    "bounds at the end of the world": lambda: {"type": "number", "minimum": 1e308},
    "bounds one ulp apart": lambda: {"type": "number", "minimum": 0.1, "maximum": 0.10000000000000002},
    "half a surrogate in a name": lambda: {"type": "object", "properties": {"\ud800": INTEGER}},
    "half a surrogate in a value": lambda: {"enum": ["\udfff"]},
    "zero bytes": lambda: {"type": "object", "properties": {"\0": {"const": "\0"}}, "required": ["\0"]},
    "options for the grammar engine": lambda: {"type": "string", "x-guidance": {"whitespace_pattern": "("}},
    "grammar syntax in names": lambda: {"type": "object", "properties": {'"\n} start: /(/ %json {': INTEGER}},
    "keys that are no text": lambda: {"type": "object", "properties": {1: INTEGER, None: INTEGER}},
    "wrong kinds everywhere": lambda: {"type": {}, "properties": 5, "required": {}, "enum": "x", "$ref": 3},
    "a type": lambda: dict[str, "Missing"],  # type: ignore[name-defined]  # noqa: F821
    "a module": lambda: time,
}  # fmt: skip


def test_there_are_fifty() -> None:
    """At least fifty schemas are tried."""
    assert len(SCHEMAS) >= 50


@pytest.mark.parametrize("name", SCHEMAS)
def test_typed_error_or_harmless(name: str, bench: Any) -> None:
    """As response format and as tool, the schema is refused by type or writes something; the next request works."""
    schema = SCHEMAS[name]()
    begun = time.process_time()
    problems: list[Exception] = []
    try:
        bench.walk("start: " + json_rule(checked_schema(schema)), seed=1, longest=2_000)
    except (SchemaError, GenerationError, AssertionError) as problem:
        problems.append(problem)
    for nesting in ("parameters", "python_list"):
        try:
            bench.compiler(response_grammar(_syntax(nesting), [{"name": "f", "parameters": schema}]))
        except RequestError as problem:
            problems.append(problem)
    assert all(len(str(problem)) < 2_000 for problem in problems)
    assert all("does not end" in str(problem) for problem in problems if isinstance(problem, AssertionError))
    assert time.process_time() - begun < WORST_SECONDS
    assert bench.walk("start: " + json_rule(checked_schema({"type": "boolean"})), seed=1) in ("true", "false")


def _syntax(nesting: Any) -> Any:
    from llm.base.call_syntax import CallSyntax

    return CallSyntax(
        nesting=nesting,
        section_open="<calls>",
        section_close="</calls>",
        name_close=">",
        parameter_open="<",
        key_close=">",
        parameter_close="</>",
    )

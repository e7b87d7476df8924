"""What each JSON schema keyword does, and how a keyword that cannot be honoured is refused."""

from __future__ import annotations

import json
import random
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from llm.exceptions import SchemaError
from llm.grammar.json_schema import checked_schema, json_rule
from llm.grammar.schema_words import HONOURED


def grammar_of(schema: Any) -> str:
    return "start: " + json_rule(checked_schema(schema))


STRING, INTEGER = {"type": "string"}, {"type": "integer"}

REFUSED: list[tuple[Any, str, str]] = [
    ({"not": {"type": "string"}}, "not", ""),
    ({"if": {}, "then": {}, "else": {}}, "if", ""),
    ({"type": "object", "dependentRequired": {"a": ["b"]}}, "dependentRequired", ""),
    ({"type": "object", "dependentSchemas": {}}, "dependentSchemas", ""),
    ({"type": "object", "dependencies": {}}, "dependencies", ""),
    ({"type": "object", "unevaluatedProperties": False}, "unevaluatedProperties", ""),
    ({"type": "array", "unevaluatedItems": False}, "unevaluatedItems", ""),
    ({"type": "array", "contains": INTEGER}, "contains", ""),
    ({"type": "array", "uniqueItems": True}, "uniqueItems", ""),
    ({"type": "string", "contentMediaType": "application/json"}, "contentMediaType", ""),
    ({"type": "string", "contentSchema": {}}, "contentSchema", ""),
    ({"type": "string", "contentEncoding": "quoted-printable"}, "contentEncoding", ""),
    ({"$dynamicRef": "#node"}, "$dynamicRef", ""),
    ({"type": "object", "properties": {"a": {"$id": "x", "type": "string"}}}, "$id", "/properties/a"),
    ({"type": "string", "minLenght": 3}, "minLenght", ""),
    ({"type": "string", "format": "regex"}, "format", ""),
    ({"type": "integer", "format": "roman"}, "format", ""),
    ({"type": "string", "pattern": "(?=a)b"}, "pattern", ""),
    ({"type": "string", "pattern": r"\bword\b"}, "pattern", ""),
    ({"type": "string", "pattern": r"(a)\1"}, "pattern", ""),
    ({"type": "string", "pattern": "("}, "pattern", ""),
    ({"type": "str"}, "type", ""),
    ({"type": []}, "type", ""),
    ({"enum": []}, "enum", ""),
    ({"const": 2**60 + 1}, "const", ""),
    ({"type": "integer", "minimum": 10**30}, "minimum", ""),
    ({"type": "number", "multipleOf": 0}, "multipleOf", ""),
    ({"type": "number", "multipleOf": 1e-20}, "multipleOf", ""),
    ({"type": "number", "minimum": float("nan")}, "minimum", ""),
    ({"type": "string", "minLength": -1}, "minLength", ""),
    ({"type": "string", "maxLength": "3"}, "maxLength", ""),
    ({"oneOf": [INTEGER, {"type": "number"}]}, "oneOf", ""),
    ({"oneOf": [{"type": "object"}, {"type": "object", "required": ["a"]}]}, "oneOf", ""),
    ({"anyOf": []}, "anyOf", ""),
    ({"allOf": [{"multipleOf": 3}, {"multipleOf": 5}], "type": "integer"}, "multipleOf", ""),
    ({"$ref": "https://example.com/schema.json"}, "$ref", ""),
    ({"$ref": "#/$defs/Missing"}, "$ref", ""),
    ({"$ref": "#Anchor"}, "$ref", ""),
    ({"type": "object", "minProperties": 2}, "minProperties", ""),
    ({"type": "object", "properties": {"a": {}, "b": {}, "c": {}}, "minProperties": 2}, "minProperties", ""),
    ({"type": "object", "properties": {"a": {}, "b": {}, "c": {}}, "maxProperties": 2}, "maxProperties", ""),
    ({"type": "object", "properties": {"a": {}}, "propertyNames": {"pattern": "x"}}, "propertyNames", ""),
    ({"type": "object", "patternProperties": {"a": {}, "ab": {}}}, "patternProperties", ""),
    ({"type": "object", "patternProperties": {"(?!a)": {}}}, "patternProperties", ""),
    ({"type": "object", "required": "a"}, "required", ""),
    ({"type": "object", "properties": []}, "properties", ""),
    ({"type": "object", "properties": {"a/b~c": {"not": {}}}}, "not", "/properties/a~1b~0c"),
    ({"$ref": "#/$defs/A", "$defs": {"A": {"items": [{}, {"if": {}}]}}}, "if", "/$defs/A/items/1"),
    ({"allOf": [{}, {"anyOf": [{}, {"not": {}}]}]}, "not", "/allOf/1/anyOf/1"),
]


@pytest.mark.parametrize(
    ("schema", "keyword", "path"), REFUSED, ids=[f"{case[1]}-{i}" for i, case in enumerate(REFUSED)]
)
def test_refused_by_name(schema: Any, keyword: str, path: str) -> None:
    """A keyword that cannot be kept is refused with its name and its place, before anything is generated."""
    with pytest.raises(SchemaError) as caught:
        checked_schema(schema)
    assert (caught.value.keyword, caught.value.path) == (keyword, path)
    assert not keyword or repr(keyword) in str(caught.value)


HONOURED_SCHEMAS = [
    json.loads(line)
    for line in Path(__file__).with_name("honoured_schemas.jsonl").read_text(encoding="utf-8").splitlines()
]


@pytest.mark.parametrize("case", HONOURED_SCHEMAS, ids=[case["about"] for case in HONOURED_SCHEMAS])
def test_honoured(case: dict[str, Any], bench: Any) -> None:
    """What a keyword allows is accepted, compact and with blanks, and what it forbids is not."""
    grammar = grammar_of(case["schema"])
    for value in case["valid"]:
        for text in (json.dumps(value, ensure_ascii=False), json.dumps(value, ensure_ascii=False, indent=4)):
            assert bench.accepts(grammar, text), text
    for value in case["invalid"]:
        assert not bench.accepts(grammar, json.dumps(value, ensure_ascii=False)), value


def test_every_honoured_keyword_is_tried() -> None:
    """No keyword is called honoured that no schema of the file above has."""
    tried = json.dumps([case["schema"] for case in HONOURED_SCHEMAS])
    assert not [word for word in HONOURED if f'"{word}"' not in tried]


@pytest.mark.parametrize(
    "schema",
    [
        False,
        {"$ref": "#"},
        {"type": "object", "properties": {"x": {"$ref": "#"}}, "required": ["x"]},
        {"anyOf": [{"type": "string", "minLength": 3, "maxLength": 2}]},
        {"type": "integer", "minimum": 5, "maximum": 4},
        {"type": "integer", "minimum": 1, "maximum": 2, "multipleOf": 3},
        {"type": "array", "items": INTEGER, "minItems": 3, "maxItems": 2},
        {"allOf": [STRING, INTEGER]},
        {"type": "string", "enum": [1, 2]},
        {"type": "object", "properties": {"a": False}, "required": ["a"]},
        {"type": "string", "pattern": "^a{5}$", "maxLength": 3},
    ],
)
def test_nothing_satisfies_it(schema: Any) -> None:
    """A schema without any finite value is refused before a model would write for ever."""
    with pytest.raises(SchemaError):
        checked_schema(schema)


def test_a_name_cannot_be_given_twice(bench: Any) -> None:
    """A listed property comes once, however its name is spelled, so that the value that counts is the one checked."""
    schema = {"type": "object", "properties": {"a": INTEGER}, "required": ["a"], "additionalProperties": STRING}
    grammar = grammar_of(schema)
    assert bench.accepts(grammar, '{"a": 1, "b": "x"}')
    assert not bench.accepts(grammar, '{"a": 1, "a": "x"}')
    assert not bench.accepts(grammar, '{"a": 1, "\\u0061": "x"}')


def test_escapes(bench: Any) -> None:
    """Strings may be written with any JSON escape, but never with half of a surrogate pair."""
    grammar = grammar_of(STRING)
    for text in (r'"\n\t\"\\"', r'"\u00e9"', r'"\ud83d\ude00"', '"é😀"', r'"\u0000"'):
        assert bench.accepts(grammar, text), text
    for text in (r'"\ud83d"', '"\n"', '"\x01"', r'"\x41"', "'a'"):
        assert not bench.accepts(grammar, text), text


def test_white_space_is_bounded(bench: Any) -> None:
    """A model may indent, and cannot lose itself in white space."""
    grammar = grammar_of({"type": "array", "items": INTEGER})
    assert bench.accepts(grammar, "[\n" + " " * 60 + "1,\r\n\t2 ]")
    assert not bench.accepts(grammar, "[" + " " * 20 + "1]")
    assert not bench.accepts(grammar, "[\n\n1]")
    assert not bench.accepts(grammar, " [1]")


def test_property_order_is_the_schemas(bench: Any) -> None:
    """Properties come in the order in which the schema lists them."""
    grammar = grammar_of({"type": "object", "properties": {"b": INTEGER, "a": INTEGER}})
    assert bench.accepts(grammar, '{"b": 1, "a": 2}')
    assert not bench.accepts(grammar, '{"a": 2, "b": 1}')


@pytest.mark.parametrize("kind", ["integer", "number"])
def test_numbers_keep_their_bounds(kind: str, bench: Any) -> None:
    """Whatever the bounds and the divisor, no number outside of them is written."""
    choose = random.Random(7)
    for _ in range(60):
        scale = 10 ** choose.randint(0, 12)
        low, high = sorted(choose.randint(-(10**6), 10**6) * scale // 1000 for _ in range(2))
        schema: dict[str, Any] = {"type": kind}
        lower, upper = choose.choice(["minimum", "exclusiveMinimum"]), choose.choice(["maximum", "exclusiveMaximum"])
        schema |= choose.choice([{lower: low}, {upper: high}, {lower: low, upper: high + 1}])
        if choose.random() < 0.4:
            schema["multipleOf"] = choose.choice([1, 2, 7, 10, 0.5, 0.01, 12])
        try:
            grammar = grammar_of(schema)
        except SchemaError:
            continue
        for seed in range(6):
            value = Fraction(bench.walk(grammar, seed=seed))
            assert value >= schema.get("minimum", value)
            assert value > schema.get("exclusiveMinimum", value - 1)
            assert value <= schema.get("maximum", value)
            assert value < schema.get("exclusiveMaximum", value + 1)
            assert (value / Fraction(str(schema.get("multipleOf", value or 1)))).denominator == 1
            assert kind == "number" or value.denominator == 1


def test_the_error_says_what_to_do() -> None:
    """A refusal names keyword and place and the way out, in a sentence."""
    with pytest.raises(SchemaError, match=r"'uniqueItems' at '#/properties/a' .* leave it out"):
        checked_schema({"type": "object", "properties": {"a": {"type": "array", "uniqueItems": True}}})


@pytest.mark.parametrize("thing", [3, "string", object(), {"type": {"a": object()}}])
def test_no_schema_at_all(thing: Any) -> None:
    """Something that is neither a schema nor a type is refused as such."""
    with pytest.raises(SchemaError):
        checked_schema(thing)


def test_a_schema_is_checked_once() -> None:
    """The same schema, however often it comes, is checked once."""
    schema = {"type": "object", "properties": {"once": STRING}}
    assert checked_schema(schema) is checked_schema(json.loads(json.dumps(schema)))

"""Values in other notations than JSON, and bare texts that the tool's schema turns into values."""

from __future__ import annotations

from typing import Any

import pytest

from llm.chat.argument_types import ArgumentTypes
from llm.chat.literals import read_value

PARAMETERS = {
    "type": "object",
    "properties": {
        "text": {"type": "string"},
        "number": {"type": "number"},
        "integer": {"type": "integer"},
        "flag": {"type": "boolean"},
        "list": {"type": "array"},
        "object": {"type": "object"},
        "maybe": {"type": ["string", "null"]},
        "either": {"anyOf": [{"type": "integer"}, {"type": "string"}]},
        "unit": {"enum": ["celsius", "kelvin"]},
        "level": {"enum": [1, 2]},
        "referred": {"$ref": "#/$defs/Point"},
        "anything": {},
        "endless": {"$ref": "#/$defs/Loop"},
    },
    "$defs": {"Point": {"type": "object"}, "Loop": {"$ref": "#/$defs/Loop"}},
}
TYPES = ArgumentTypes([{"name": "f", "parameters": PARAMETERS}])


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": [1, 2.5, true, null]}', {"a": [1, 2.5, True, None]}),
        ("{'a': [1, True, None], \"b\": (2,)}", {"a": [1, True, None], "b": [2]}),
        ('{"enabled": True, "note": null}', {"enabled": True, "note": None}),
        ("'it''s'", ValueError),
        ("'it\\'s'", "it's"),
        ('"a\nb"', "a\nb"),
        ("{a: 1, b: [x]}", ValueError),
        ("{a: 1, b: []}", {"a": 1, "b": []}),
        ("-3", -3),
        ("1 2", ValueError),
        ("", ValueError),
        ("__import__('os')", ValueError),
        ("[1, ", ValueError),
        ('{"a" 1}', ValueError),
        ("[" * 300 + "]" * 300 + ",", ValueError),
    ],
)
def test_values_in_mixed_notation(text: str, value: Any) -> None:
    """JSON, Python, or both at once; nothing is evaluated."""
    if value is ValueError:
        with pytest.raises((ValueError, SyntaxError)):
            read_value(text)
    else:
        assert read_value(text) == value


def test_strings_in_other_quotes() -> None:
    """Quotes of several characters need no escapes, so anything may stand between them."""
    text = '{a:<|"|>x "y" {z}\n<|"|>,b:[<|"|><|"|>,1]}'
    assert read_value(text, string_quote='<|"|>') == {"a": 'x "y" {z}\n', "b": ["", 1]}


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("text", "1", "1"),
        ("text", '"quoted"', '"quoted"'),
        ("text", "null", "null"),
        ("integer", "42", 42),
        ("integer", "forty", "forty"),
        ("number", "3.14", 3.14),
        ("number", "-2", -2),
        ("flag", "True", True),
        ("flag", "false", False),
        ("flag", "1", "1"),
        ("list", "[1, 'a']", [1, "a"]),
        ("object", "{'k': None}", {"k": None}),
        ("object", "[1]", "[1]"),
        ("maybe", "null", None),
        ("maybe", "nothing", "nothing"),
        ("either", "5", 5),
        ("either", "five", "five"),
        ("unit", "kelvin", "kelvin"),
        ("level", "2", 2),
        ("referred", '{"x": 1}', {"x": 1}),
        ("anything", "7", 7),
        ("anything", "seven", "seven"),
        ("anything", '"seven"', '"seven"'),
        ("endless", "1", 1),
        ("unknown", "true", True),
    ],
)
def test_the_schema_says_what_a_text_means(key: str, text: str, value: Any) -> None:
    """The same text is a number for one parameter and a string for another; what fits nothing stays text."""
    found = TYPES.value("f", key, text)
    assert found == value
    assert type(found) is type(value)


def test_a_tool_that_is_not_known_leaves_it_to_json() -> None:
    """Without a schema, a text that is JSON is taken as such."""
    assert TYPES.value("g", "x", "[1]") == [1]
    assert "f" in TYPES
    assert "g" not in TYPES
    assert not ArgumentTypes([])

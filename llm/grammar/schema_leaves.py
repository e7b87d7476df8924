"""Normal forms of strings, counts and listed values: parts of a JSON schema that hold no other schema.

Invariant: every text that leaves here can be written as UTF-8, and every number is exact as a 64-bit float, in which
the grammar engine reckons; what cannot be kept is refused, not rounded.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from typing import Any

from llguidance import LLMatcher

from .native_limits import LIMITS, panics_caught
from .schema_words import refuse
from .string_formats import FORMAT_PATTERNS, FORMATS_WITHOUT_SYNTAX

_LARGEST_COUNT = 2**31 - 1
# What is forced is cut into tokens again at every step.
_LONGEST_TEXT = 4_000


def text(value: object, word: str, path: str) -> str:
    """`value`, if it is a text that can be written as UTF-8."""
    if not isinstance(value, str):
        raise refuse(word, path, f"a text is expected, not {type(value).__name__}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise refuse(word, path, "it holds a text with half of a surrogate pair") from None
    if len(value) > _LONGEST_TEXT:
        raise refuse(word, path, f"it holds a text of more than {_LONGEST_TEXT} characters")
    return value


def whole_number(words: Mapping[str, Any], word: str, path: str, default: Any) -> Any:
    """The count that stands at `word`, or `default`."""
    if word not in words:
        return default
    value = words[word]
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _LARGEST_COUNT:
        raise refuse(word, path, f"{value!r} is not a whole number from 0 to {_LARGEST_COUNT}")
    return value


def json_value(value: Any, word: str, path: str, depth: int = 0) -> Any:
    """`value`, if it is JSON that the grammar can write without changing it."""
    if depth > 50:
        raise refuse(word, path, "a value in it is nested deeper than 50 levels")
    if isinstance(value, str):
        return text(value, word, path)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, (int, float)):
        return _exact(value, word, path)
    if isinstance(value, list):
        return [json_value(item, word, path, depth + 1) for item in value]
    if isinstance(value, Mapping):
        return {text(key, word, path): json_value(item, word, path, depth + 1) for key, item in value.items()}
    raise refuse(word, path, f"a {type(value).__name__} is not a JSON value")


def string_node(words: Mapping[str, Any], path: str, *, word: str = "pattern") -> Any:
    """Strings under their keywords; several patterns become an `allOf`, because a node has room for one."""
    low, high = whole_number(words, "minLength", path, 0), whole_number(words, "maxLength", path, None)
    if high is not None and high < low:
        return False
    patterns = []
    if "pattern" in words:
        pattern = text(words["pattern"], word, path)
        if problem := _pattern_problem(pattern):
            raise refuse(word, path, problem)
        patterns.append(pattern)
    for keyword in ("format", "contentEncoding"):
        name = words.get(keyword)
        if name is None or name in FORMATS_WITHOUT_SYNTAX:
            continue
        if not isinstance(name, str) or name not in FORMAT_PATTERNS:
            raise refuse(keyword, path, f"{name!r} is not one of {', '.join(sorted(FORMAT_PATTERNS))}")
        patterns.append(FORMAT_PATTERNS[name])
    node: dict[str, Any] = {"type": "string"}
    if low:
        node["minLength"] = low
    if high is not None:
        node["maxLength"] = high
    nodes = [
        node | {"pattern": pattern} if i == 0 else {"type": "string", "pattern": pattern}
        for i, pattern in enumerate(patterns)
    ]
    return {"allOf": nodes} if len(nodes) > 1 else (nodes or [node])[0]


@functools.lru_cache(maxsize=1024)
def _pattern_problem(pattern: str) -> str:
    """Why the grammar engine cannot honour a pattern; empty if it can."""
    grammar = LLMatcher.grammar_from_json_schema({"type": "string", "pattern": pattern})
    with panics_caught():
        error = LLMatcher.validate_grammar(grammar, limits=LIMITS)
    if not error:
        return ""
    for sign, reason in (
        ("look-around", "look-ahead and look-behind have no counterpart in a grammar"),
        ("lookarounds", "word boundaries and anchors inside a pattern have no counterpart in a grammar"),
        ("backreferences", "a reference back to a group has no counterpart in a grammar"),
    ):
        if sign in error:
            return reason
    return "it is not a regular expression that the grammar engine reads, or no string matches it"


def _exact(value: int | float, word: str, path: str) -> int | float:
    if isinstance(value, float) and not math.isfinite(value):
        raise refuse(word, path, "it must be a finite number")
    if isinstance(value, int) and (value.bit_length() > 1000 or int(float(value)) != value):
        raise refuse(word, path, "it holds an integer that is not exact as a 64-bit float")
    return value

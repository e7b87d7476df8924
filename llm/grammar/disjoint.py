"""Whether two schemas in normal form can share a value, which decides if `oneOf` may be read as `anyOf`.

Invariant: True is a proof. False means "perhaps".
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from typing import Any

from .schema_tree import reference

_MOST_STEPS = 10_000
_DEEPEST = 20


def never_both(a: Any, b: Any, definitions: Mapping[str, Any]) -> bool:
    """Whether no value satisfies both `a` and `b`."""
    return _apart(a, b, definitions, itertools.count(), 0)


def _apart(a: Any, b: Any, definitions: Mapping[str, Any], steps: Iterator[int], depth: int) -> bool:
    if a is False or b is False:
        return True
    if a is True or b is True or depth > _DEEPEST or next(steps) > _MOST_STEPS:
        return False
    for node, other in ((a, b), (b, a)):
        if (name := reference(node)) is not None:
            return _apart(definitions[name], other, definitions, steps, depth + 1)
        if "anyOf" in node:
            return all(_apart(branch, other, definitions, steps, depth + 1) for branch in node["anyOf"])
        if "allOf" in node:
            return any(_apart(part, other, definitions, steps, depth + 1) for part in node["allOf"])
    if "enum" in a and "enum" in b:
        return not any(_same(x, y) for x in a["enum"] for y in b["enum"])
    if "enum" in a or "enum" in b:
        listed, typed = (a, b) if "enum" in a else (b, a)
        return not any(_type_of(value) in _family(typed["type"]) for value in listed["enum"])
    if not set(_family(a["type"])) & set(_family(b["type"])):
        return True
    if a["type"] == "object":
        return _objects_apart(a, b, definitions, steps, depth) or _objects_apart(b, a, definitions, steps, depth)
    if a["type"] == "array":
        return any(x.get("minItems", 0) > y.get("maxItems", math.inf) for x, y in ((a, b), (b, a)))
    return False


def _objects_apart(a: Any, b: Any, definitions: Mapping[str, Any], steps: Iterator[int], depth: int) -> bool:
    """Whether a property that `a` requires can never be what `b` allows under that name."""
    if "patternProperties" in a or "patternProperties" in b:
        return False
    return any(
        _apart(
            a["properties"].get(name, a.get("additionalProperties", True)),
            b["properties"].get(name, b.get("additionalProperties", True)),
            definitions,
            steps,
            depth + 1,
        )
        for name in a.get("required", ())
    )


def _same(x: Any, y: Any) -> bool:
    """Equality of JSON values: 1 and 1.0 are the same number, and True is none."""
    if isinstance(x, bool) or isinstance(y, bool):
        return x is y
    if isinstance(x, list) and isinstance(y, list):
        return len(x) == len(y) and all(map(_same, x, y))
    if isinstance(x, dict) and isinstance(y, dict):
        return x.keys() == y.keys() and all(_same(x[key], y[key]) for key in x)
    return bool(x == y)


def _type_of(value: object) -> str:
    if isinstance(value, bool):
        return "boolean"
    names = {type(None): "null", int: "number", float: "number", str: "string", list: "array"}
    return names.get(type(value), "object")


def _family(kind: str) -> tuple[str, ...]:
    return ("number",) if kind == "integer" else (kind,)

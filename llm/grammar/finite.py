"""Removes from a schema in normal form what no finite text can satisfy.

A property that requires its own kind again, without an alternative that ends, would let a model write for ever inside a
grammar that never accepts. Invariant: from every state of what is left, an end can be reached.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .schema_tree import all_parts, reference, with_parts


def finite_schema(root: Any, definitions: Mapping[str, Any]) -> dict[str, Any] | None:
    """The schema with its reachable definitions under `$defs`; None if nothing is left of it."""
    ending: set[str] = set()
    while more := {name for name, node in definitions.items() if name not in ending and _ends(node, ending)}:
        ending |= more
    root = _pruned(root, ending)
    if root is False:
        return None
    used: dict[str, Any] = {}
    waiting = [root]
    while waiting:
        for name in filter(None, map(reference, all_parts([waiting.pop()]))):
            if name not in used:
                used[name] = _pruned(definitions[name], ending)
                waiting.append(used[name])
    return ({} if root is True else root) | ({"$defs": used} if used else {})


def _ends(node: Any, ending: set[str]) -> bool:
    if isinstance(node, bool):
        return node
    name = reference(node)
    if name is not None:
        return name in ending
    if "anyOf" in node:
        return any(_ends(branch, ending) for branch in node["anyOf"])
    if "allOf" in node:
        return all(_ends(part, ending) for part in node["allOf"])
    if node.get("type") == "array":
        needed, prefix = node.get("minItems", 0), node.get("prefixItems", [])
        return all(_ends(item, ending) for item in prefix[:needed]) and (
            needed <= len(prefix) or _ends(node["items"], ending)
        )
    if node.get("type") == "object":
        return all(_ends(node["properties"].get(name, True), ending) for name in node.get("required", ()))
    return True


def _pruned(node: Any, ending: set[str]) -> Any:
    if not _ends(node, ending):
        return False
    pruned = with_parts(node, lambda part: _pruned(part, ending))
    if not isinstance(pruned, bool) and "anyOf" in pruned:
        return {"anyOf": [branch for branch in pruned["anyOf"] if branch is not False]}
    return pruned

"""Removes from a schema in normal form what no finite text can satisfy.

A property that requires its own kind again, without an alternative that ends, would let a model write for ever inside a
grammar that never accepts. Invariant: from every state of what is left, an end can be reached.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


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
        for name in _references(waiting.pop()):
            if name not in used:
                used[name] = _pruned(definitions[name], ending)
                waiting.append(used[name])
    return ({} if root is True else root) | ({"$defs": used} if used else {})


def most_at_once(word: str, node: Any, definitions: Mapping[str, Any], known: dict[str, int]) -> int:
    """How many times over one value has to satisfy `word`, because `allOf` or references bring it in again.

    `known` holds the answers for definitions between calls.
    """
    if isinstance(node, bool):
        return 0
    if "$ref" in node:
        name = _name(node)
        if name not in known:
            known[name] = 0  # the answer for a reference back to here
            known[name] = most_at_once(word, definitions[name], definitions, known)
        return known[name]
    if "allOf" in node:
        return sum(most_at_once(word, part, definitions, known) for part in node["allOf"])
    if "anyOf" in node:
        return max(most_at_once(word, branch, definitions, known) for branch in node["anyOf"])
    return int(word in node)


def depth(root: Any, definitions: Mapping[str, Any]) -> int:
    """The deepest level that a walk reaches which follows each reference the first time that it meets it."""
    deepest, seen = 0, set()
    waiting = [(root, 1)]
    while waiting:
        node, level = waiting.pop()
        deepest = max(deepest, level)
        if not isinstance(node, bool) and "$ref" in node:
            if _name(node) not in seen:
                seen.add(_name(node))
                waiting.append((definitions[_name(node)], level + 1))
        else:
            waiting += [(part, level + 1) for part in reversed(parts(node))]
    return deepest


def parts(node: Any) -> list[Any]:
    """The schemas that stand directly inside a node, in order."""
    if isinstance(node, bool) or "enum" in node:
        return []
    inner = [*node.get("anyOf", ()), *node.get("allOf", ()), *node.get("prefixItems", ())]
    inner += [item for word in ("properties", "patternProperties") for item in node.get(word, {}).values()]
    return inner + [node[word] for word in ("items", "additionalProperties") if word in node]


def _ends(node: Any, ending: set[str]) -> bool:
    if isinstance(node, bool):
        return node
    if "$ref" in node:
        return _name(node) in ending
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
    if isinstance(node, bool) or "enum" in node:
        return node
    if "$ref" in node:
        return node if _name(node) in ending else False
    if "anyOf" in node:
        branches = [branch for branch in (_pruned(branch, ending) for branch in node["anyOf"]) if branch is not False]
        return {"anyOf": branches} if branches else False
    if "allOf" in node:
        parts = [_pruned(part, ending) for part in node["allOf"]]
        return False if False in parts else {"allOf": parts}
    if not _ends(node, ending):
        return False
    pruned = dict(node)
    for word in ("items", "additionalProperties"):
        if word in node:
            pruned[word] = _pruned(node[word], ending)
    if "prefixItems" in node:
        pruned["prefixItems"] = [_pruned(item, ending) for item in node["prefixItems"]]
    for word in ("properties", "patternProperties"):
        if word in node:
            pruned[word] = {name: _pruned(item, ending) for name, item in node[word].items()}
    return pruned


def _references(node: Any) -> list[str]:
    if not isinstance(node, bool) and "$ref" in node:
        return [_name(node)]
    return [name for part in parts(node) for name in _references(part)]


def _name(reference: Mapping[str, Any]) -> str:
    return str(reference["$ref"]).rpartition("/")[2]

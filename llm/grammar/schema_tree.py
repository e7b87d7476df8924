"""Walks over schemas in normal form.

Invariant: `parts` and `with_parts` know every place where a node holds others, and nothing else needs to.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

_LISTS = ("anyOf", "allOf", "prefixItems")
_MAPS = ("properties", "patternProperties")
_SINGLE = ("items", "additionalProperties")
_LEAVES = frozenset({"string", "integer", "number"})


def parts(node: Any) -> list[Any]:
    """The nodes that stand directly inside a node, in order."""
    if isinstance(node, bool) or "enum" in node:
        return []
    inner = [part for word in _LISTS for part in node.get(word, ())]
    inner += [part for word in _MAPS for part in node.get(word, {}).values()]
    return inner + [node[word] for word in _SINGLE if word in node]


def with_parts(node: Any, change: Callable[[Any], Any]) -> Any:
    """A copy of a node in which each of its parts is what `change` makes of it."""
    if isinstance(node, bool) or "enum" in node:
        return node
    changed = dict(node)
    changed |= {word: [change(part) for part in node[word]] for word in _LISTS if word in node}
    changed |= {word: {key: change(part) for key, part in node[word].items()} for word in _MAPS if word in node}
    return changed | {word: change(node[word]) for word in _SINGLE if word in node}


def all_parts(nodes: Iterable[Any]) -> Iterator[dict[str, Any]]:
    """The nodes and all that is nested in them, but for those that are True or False."""
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        if not isinstance(node, bool):
            yield node
            waiting += parts(node)


def reference(node: Any) -> str | None:
    """The definition that a node refers to."""
    return None if isinstance(node, bool) or "$ref" not in node else str(node["$ref"]).rpartition("/")[2]


def resolved(node: Any, definitions: Mapping[str, Any]) -> Any:
    """`node`, with the definition in place of a reference."""
    for _ in definitions:
        name = reference(node)
        if name is None:
            break
        node = definitions[name]
    return node


def depth(root: Any, definitions: Mapping[str, Any]) -> int:
    """The deepest level that a walk reaches which follows each reference the first time that it meets it."""
    deepest, seen = 0, set()
    waiting = [(root, 1)]
    while waiting:
        node, level = waiting.pop()
        deepest = max(deepest, level)
        name = reference(node)
        if name is None:
            waiting += [(part, level + 1) for part in reversed(parts(node))]
        elif name not in seen:
            seen.add(name)
            waiting.append((definitions[name], level + 1))
    return deepest


def most_at_once(word: str, node: Any, definitions: Mapping[str, Any], known: dict[str, int]) -> int:
    """How many times over one value has to satisfy `word`, because `allOf` or references bring it in again.

    `known` holds the answers for definitions between calls.
    """
    if isinstance(node, bool):
        return 0
    name = reference(node)
    if name is not None:
        if name not in known:
            known[name] = 0  # the answer for a reference back to here
            known[name] = most_at_once(word, definitions[name], definitions, known)
        return known[name]
    if "allOf" in node:
        return sum(most_at_once(word, part, definitions, known) for part in node["allOf"])
    if "anyOf" in node:
        return max(most_at_once(word, branch, definitions, known) for branch in node["anyOf"])
    return int(word in node)


def with_shared_leaves(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """The same schema, in which a bounded string or number that stands in several places is defined once.

    Each becomes an automaton, and those of integers alone, with 64 bits, would fill the room for a large schema.
    """
    definitions = schema.get("$defs", {})
    root = {word: value for word, value in schema.items() if word != "$defs"}
    leaves = Counter(_text(node) for node in all_parts([root, *definitions.values()]) if _is_leaf(node))
    names = {text: f"s{number}" for number, (text, count) in enumerate(leaves.items()) if count > 1}
    if not names:
        return schema

    def shared(node: Any) -> Any:
        if not isinstance(node, bool) and _is_leaf(node):
            name = names.get(_text(node))
            return node if name is None else {"$ref": f"#/$defs/{name}"}
        return with_parts(node, shared)

    defined = {name: shared(node) for name, node in definitions.items()}
    return {**shared(root), "$defs": defined | {name: json.loads(text) for text, name in names.items()}}


def _is_leaf(node: Mapping[str, Any]) -> bool:
    return node.get("type") in _LEAVES and len(node) > 1


def _text(node: Mapping[str, Any]) -> str:
    return json.dumps(node, sort_keys=True)

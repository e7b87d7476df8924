"""Arguments that a model writes one by one between markers: ``<parameter=city>\\nParis\\n</parameter>``.

A string stands there as it is, anything else as JSON. Invariant: a string never holds the marker that ends it, so what
the reader cuts out is the whole value.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..base.call_syntax import CallSyntax
from .any_order import any_order
from .json_schema import json_rule
from .lark import Grammar, either, literal
from .markers import Blank, Markers, Rule, Text, body
from .schema_words import refuse
from .value_rules import resolved, string_parts, string_terminal


class ParameterRules:
    """Rules for the arguments of one tool.

    Args:
        grammar: where the rules go.
        markers: which markers are control tokens.
        syntax: how a parameter is opened and closed.
        schema: the checked schema of the arguments.
    """

    def __init__(self, grammar: Grammar, markers: Markers, syntax: CallSyntax, schema: Mapping[str, Any]) -> None:
        self._grammar = grammar
        self._markers = markers
        self._syntax = syntax
        self._schema = schema

    def all(self) -> str:
        """All parameters of a call, in any order."""
        root = properties_of(self._schema)
        members = {key: self._parameter(key, node) for key, node in root["properties"].items() if node is not False}
        return any_order(self._grammar, members, root.get("required", []), separator="blank")

    def _parameter(self, key: str, node: Any) -> str:
        texts, others = self._split(node)
        forms = [self._raw(key, parts) for parts in texts]
        if {"type": "string"} not in (part for parts in texts for part in parts):
            # Beside a string without conditions every other form would be one more reading of the same text.
            forms += [self._json(key, other) for other in others]
        return either(forms)

    def _split(self, node: Any) -> tuple[list[list[Mapping[str, Any]]], list[Any]]:
        """The forms of a value that stand as they are, and those that are written as JSON."""
        if not self._syntax.raw_strings:
            return [], [node]
        node = resolved(node, self._schema.get("$defs", {}))
        if node is True or node == {}:
            return [[{"type": "string"}]], []
        if "anyOf" in node:
            halves = [self._split(branch) for branch in node["anyOf"]]
            return [text for texts, _ in halves for text in texts], [other for _, others in halves for other in others]
        if "enum" in node:
            texts = [value for value in node["enum"] if isinstance(value, str)]
            others = [value for value in node["enum"] if not isinstance(value, str)]
            return ([[{"enum": texts}]] if texts else []), ([{"enum": others}] if others else [])
        if "allOf" in node:
            return [string_parts(node)], []
        return ([[node]], []) if node["type"] == "string" else ([], [node])

    def _raw(self, key: str, parts: list[Mapping[str, Any]]) -> str:
        """A parameter whose value stands as it is, with the white space that the template puts around it."""
        exact, marker = self._markers.exact, self._markers.marker
        before, after = self._opening(key, "string"), self._closing(key)
        if "enum" in parts[0]:
            values = either([body(exact(value)) for value in parts[0]["enum"]])
            return body([*marker(before), Rule(values), *marker(after)])
        if parts == [{"type": "string"}]:
            before, after = before.rstrip(), after.strip()
        closing = exact(after.rstrip())
        text = self._grammar.terminal("raw", string_terminal(parts, after.strip()))
        if isinstance(closing[0], Text):
            ended = self._grammar.rule("value", text, options=f"[suffix={literal(closing[0].value)}]")
            closing = [Rule(ended), *closing[1:]]
        else:
            closing = [Rule(text), *closing]
        return body([*exact(before), *closing])

    def _json(self, key: str, node: Any) -> str:
        """A parameter whose value is JSON; one form for each word that tells the value's type."""
        marker = self._markers.marker
        definitions = {"$defs": self._schema["$defs"]} if "$defs" in self._schema else {}
        value = Rule(json_rule(({} if node is True else node) | definitions))
        closing = [Blank(), *marker(self._closing(key))]
        words = {self._opening(key, kind) for kind in self._kinds(node)}
        return either([body([*marker(word), Blank(), value, *closing]) for word in sorted(words)])

    def _opening(self, key: str, kind: str) -> str:
        word = dict(self._syntax.type_words).get(kind, kind)
        opening = self._syntax.parameter_open.lstrip() + key + self._syntax.key_close
        return opening.replace("{type}", word) if self._syntax.type_words else opening

    def _closing(self, key: str) -> str:
        return self._syntax.parameter_close.replace("{key}", key)

    def _kinds(self, node: Any) -> list[str]:
        node = resolved(node, self._schema.get("$defs", {}))
        if isinstance(node, bool) or "allOf" in node:
            return ["object"]
        if "anyOf" in node:
            return [kind for branch in node["anyOf"] for kind in self._kinds(branch)]
        if "enum" in node:
            return [_kind_of(value) for value in node["enum"]]
        return [node["type"]]


def properties_of(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """The object that lists a tool's arguments, where they are written one by one.

    Raises:
        SchemaError: the arguments are not one plain object.
    """
    root: Mapping[str, Any] = resolved(schema, schema.get("$defs", {}))
    for word in ("anyOf", "allOf", "enum"):
        if word in root:
            raise refuse(word, "", "this model writes arguments one by one, so the parameters must be one plain object")
    if root.get("type") != "object":
        raise refuse("type", "", "the parameters of a tool are an object")
    for word in ("patternProperties", "minProperties", "maxProperties"):
        if word in root:
            raise refuse(word, "", "this model writes arguments one by one, by names that the schema lists")
    return root


def _kind_of(value: object) -> str:
    if isinstance(value, bool):
        return "boolean"
    names = {type(None): "null", int: "integer", float: "number", list: "array", dict: "object"}
    return names.get(type(value), "string")

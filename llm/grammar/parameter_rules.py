"""Arguments that a model writes one by one between markers: ``<parameter=city>\\nParis\\n</parameter>``.

A string stands there as it is, anything else as JSON or, where the syntax has a key for items, as parameters within the
parameter. Invariant: a string never holds the marker that ends it, so what the reader cuts out is the whole value.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..base.call_syntax import CallSyntax
from .json_schema import json_rule
from .lark import Grammar, either, literal, pattern_of
from .markers import Blank, Markers, Rule, Text, body
from .schema_tree import resolved
from .schema_words import refuse
from .sequences import any_order, in_order
from .value_rules import string_parts, string_terminal


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
        self._definitions: Mapping[str, Any] = schema.get("$defs", {})
        self._referenced: dict[tuple[str, str], str] = {}

    def all(self) -> str:
        """All parameters of a call, in any order."""
        return self._object(properties_of(self._schema, self._definitions))

    def _object(self, node: Mapping[str, Any], *, least_one: bool = False) -> str:
        members = {key: self._parameter(key, item) for key, item in node["properties"].items() if item is not False}
        required = node.get("required", [])
        return any_order(self._grammar, members, required, separator="blank", least_one=least_one)

    def _parameter(self, key: str, node: Any) -> str:
        if self._syntax.item_key and not isinstance(node, bool) and "$ref" in node:
            place = (key, node["$ref"])
            if place not in self._referenced:
                rule = self._referenced[place] = self._grammar.reserve("parameter")
                self._grammar.define(rule, self._parameter(key, resolved(node, self._definitions)))
            return self._referenced[place]
        texts, others = self._split(node)
        forms = [self._raw(key, parts) for parts in texts]
        if {"type": "string"} not in (part for parts in texts for part in parts):
            # Beside a string without conditions every other form would be one more reading of the same text.
            nested = ("array", "object") if self._syntax.item_key else ()
            for other in others:
                forms.append(self._nested(key, other) if other.get("type") in nested else self._json(key, other))
        return either(forms)

    def _split(self, node: Any) -> tuple[list[list[Mapping[str, Any]]], list[Any]]:
        """The forms of a value that stand as they are, and those that are written as JSON."""
        if not self._syntax.raw_strings:
            return [], [node]
        node = resolved(node, self._definitions)
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
        exact = self._markers.exact
        before, after = self._opening(key, "string"), self._closing(key)
        if "enum" in parts[0]:
            values = either([literal(value) for value in parts[0]["enum"]])
            return body([*exact(before), Rule(values), *exact(after.rstrip())])
        if parts == [{"type": "string"}]:
            before, after = before.rstrip(), after.strip()
        closing = exact(after.rstrip())
        text = self._grammar.terminal("raw", self._raw_terminal(parts, after.strip()))
        if isinstance(closing[0], Text):
            ended = self._grammar.rule("value", text, options=f"[suffix={literal(closing[0].value)}]")
            closing = [Rule(ended), *closing[1:]]
        else:
            closing = [Rule(text), *closing]
        return body([*exact(before), *closing])

    def _raw_terminal(self, parts: list[Mapping[str, Any]], ending: str) -> str:
        if not self._syntax.item_key:
            return string_terminal(parts, ending)
        # Within other parameters, what looks like the marker of any of them would be taken for one.
        opening = pattern_of(self._syntax.parameter_open.strip()) + "[A-Za-z_]"
        closing = pattern_of(self._syntax.parameter_close.strip().partition("{key}")[0])
        return f"{string_terminal(parts)} & ~/(?s:.*)(?:{opening}|{closing})(?s:.*)/"

    def _json(self, key: str, node: Any) -> str:
        """A parameter whose value is JSON; one form for each word that tells the value's type."""
        marker = self._markers.marker
        definitions = {"$defs": self._schema["$defs"]} if "$defs" in self._schema else {}
        value = Rule(json_rule(({} if node is True else node) | definitions))
        closing = [Blank(), *marker(self._closing(key))]
        words = {self._opening(key, kind) for kind in self._kinds(node)}
        return either([body([*marker(word), Blank(), value, *closing]) for word in sorted(words)])

    def _nested(self, key: str, node: Mapping[str, Any]) -> str:
        """An object or a list as parameters within the parameter, of which there is one at least.

        Nothing between the markers would be read as an empty text.
        """
        if node["type"] == "object":
            inner = self._object(properties_of(node, self._definitions, closed=True), least_one=True)
        else:
            key_of_items, items = self._syntax.item_key, node["items"]
            prefix = [self._parameter(key_of_items, item) for item in node.get("prefixItems", [])]
            item = "" if items is False else self._parameter(key_of_items, items)
            low, high = max(node.get("minItems", 0), 1), node.get("maxItems")
            inner = in_order(prefix, item, low=low, high=high, separator="blank")
        marker = self._markers.marker
        opening, closing = marker(self._opening(key, node["type"])), marker(self._closing(key))
        return body([*opening, Blank(), Rule(inner), Blank(), *closing])

    def _opening(self, key: str, kind: str) -> str:
        word = dict(self._syntax.type_words).get(kind, kind)
        opening = self._syntax.parameter_open.lstrip() + key + self._syntax.key_close
        return opening.replace("{type}", word) if self._syntax.type_words else opening

    def _closing(self, key: str) -> str:
        return self._syntax.parameter_close.replace("{key}", key)

    def _kinds(self, node: Any) -> list[str]:
        node = resolved(node, self._definitions)
        if isinstance(node, bool) or "allOf" in node:
            return ["object"]
        if "anyOf" in node:
            return [kind for branch in node["anyOf"] for kind in self._kinds(branch)]
        if "enum" in node:
            return [_kind_of(value) for value in node["enum"]]
        return [node["type"]]


def properties_of(
    node: Mapping[str, Any], definitions: Mapping[str, Any], *, closed: bool = False
) -> Mapping[str, Any]:
    """The object that lists a tool's arguments, where they are written one by one.

    Args:
        node: schema of the object.
        definitions: what it refers to.
        closed: refuse an object that may have other properties; else those are left out.

    Raises:
        SchemaError: the arguments are not one plain object.
    """
    root: Mapping[str, Any] = resolved(node, definitions)
    for word in ("anyOf", "allOf", "enum"):
        if word in root:
            raise refuse(word, "", "this model writes arguments one by one, so the parameters must be one plain object")
    if root.get("type") != "object":
        raise refuse("type", "", "the parameters of a tool are an object")
    for word in ("patternProperties", "minProperties", "maxProperties"):
        if word in root:
            raise refuse(word, "", "this model writes arguments one by one, by names that the schema lists")
    if closed and root.get("additionalProperties", True) is not False:
        raise refuse(
            "additionalProperties", "", "this model writes arguments one by one, by names that the schema lists"
        )
    return root


def _kind_of(value: object) -> str:
    if isinstance(value, bool):
        return "boolean"
    names = {type(None): "null", int: "integer", float: "number", list: "array", dict: "object"}
    return names.get(type(value), "string")

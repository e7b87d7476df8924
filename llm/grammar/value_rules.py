"""Values that a model writes in a notation of its own: Python literals, bare keys, strings between tokens.

JSON itself needs none of this, `json_rule` does it. Invariant: what a rule matches, read back by that notation, is a
value that the schema allows; keywords that only `json_rule` can honour are refused by name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llguidance import regex_to_lark

from .lark import Grammar, either, literal, pattern_of, without
from .markers import Markers, Special, Text, body
from .schema_tree import resolved
from .schema_words import refuse
from .sequences import any_order, in_order


@dataclass(frozen=True, slots=True, kw_only=True)
class Notation:
    """How values are written.

    Attributes:
        quote: what stands around a string; a double quote means strings as JSON writes them.
        quoted_keys: whether the keys of objects stand in double quotes.
        python: True, False, None and strings in single quotes are allowed beside what JSON has.
    """

    quote: str = '"'
    quoted_keys: bool = True
    python: bool = False


class ValueRules:
    """Rules for the values of one checked schema."""

    def __init__(self, grammar: Grammar, markers: Markers, notation: Notation, schema: Mapping[str, Any]) -> None:
        self._grammar = grammar
        self._markers = markers
        self._notation = notation
        self._definitions: Mapping[str, Any] = schema.get("$defs", {})
        self._referenced: dict[str, str] = {}
        self._anything = ""

    def value(self, node: Any) -> str:
        """An expression for the values that `node` allows; `node` allows some."""
        if node is True or node == {}:
            return self._any()
        if "$ref" in node:
            return self._reference(node["$ref"].rpartition("/")[2])
        if "anyOf" in node:
            return either([self.value(branch) for branch in node["anyOf"]])
        if "allOf" in node:
            return self._string(string_parts(node))
        if "enum" in node:
            return either([self._constant(value) for value in node["enum"]])
        kind = node["type"]
        if kind == "string":
            return self._string([node])
        if kind == "array":
            return self._array(node)
        if kind == "object":
            return self._object(node)
        if kind == "null":
            return self._word("null", "None")
        if kind == "boolean":
            return either([self._word("true", "True"), self._word("false", "False")])
        return json_leaf(node)

    def _reference(self, name: str) -> str:
        if name not in self._referenced:
            rule = self._referenced[name] = self._grammar.reserve("value")
            self._grammar.define(rule, self.value(self._definitions[name]))
        return self._referenced[name]

    def _any(self) -> str:
        if not self._anything:
            self._anything = self._grammar.reserve("anything")
            kinds = ("string", "number", "boolean", "null")
            values = [self.value({"type": kind}) for kind in kinds]
            values += [self._array({"items": True}), self._object({"properties": {}, "additionalProperties": True})]
            self._grammar.define(self._anything, either(values))
        return self._anything

    def _word(self, word: str, python: str) -> str:
        return either([literal(python), literal(word)]) if self._notation.python else literal(word)

    def _constant(self, value: Any) -> str:
        if value is None:
            return self._word("null", "None")
        if isinstance(value, bool):
            return self._word("true", "True") if value else self._word("false", "False")
        if isinstance(value, str):
            return self._quoted(value)
        if isinstance(value, list):
            items = f" {self._comma} ".join(self._constant(item) for item in value)
            return f'"[" blank {items} blank "]"'
        if isinstance(value, Mapping):
            members = (f'{self._key(key)} blank ":" blank {self._constant(item)}' for key, item in value.items())
            return f'"{{" blank {f" {self._comma} ".join(members)} blank "}}"'
        return literal(json.dumps(value))

    def _quoted(self, value: str) -> str:
        quote = self._notation.quote
        if quote != '"':
            return body([*self._markers.exact(quote), Text(value), *self._markers.exact(quote)])
        forms = [literal(json.dumps(value, ensure_ascii=False))]
        if self._notation.python and value.isprintable() and not set(value) & set("'\\"):
            forms.append(literal(f"'{value}'"))
        return either(forms)

    def _string(self, nodes: Sequence[Mapping[str, Any]]) -> str:
        quote = self._notation.quote
        if quote == '"':
            strings = json_leaf(nodes[0] if len(nodes) == 1 else {"allOf": list(nodes)})
            if self._notation.python and nodes == [{"type": "string"}]:
                single = self._grammar.terminal("single_quoted", r"/'([^'\\\x00-\x1f\x7f]|\\['\"\\nrt])*'/")
                return either([strings, single])
            return strings
        parts = self._markers.exact(quote)
        text = self._grammar.terminal("text", string_terminal(nodes, quote))
        if isinstance(parts[0], Special):
            return f"{body(parts)} {text} {body(parts)}"
        ended = self._grammar.rule("quoted", text, options=f"[suffix={literal(quote)}]")
        return f"{body(parts)} {ended}"

    @property
    def _comma(self) -> str:
        return 'blank "," blank'

    def _key(self, name: str) -> str:
        return literal(json.dumps(name, ensure_ascii=False) if self._notation.quoted_keys else name)

    def _array(self, node: Mapping[str, Any]) -> str:
        items, high = node["items"], node.get("maxItems")
        prefix = list(node.get("prefixItems", []))
        if False in prefix:
            high = prefix.index(False) if high is None else min(high, prefix.index(False))
            prefix = prefix[:high]
        written = [self.value(item) for item in prefix]
        item = "" if items is False else self.value(items)
        inner = in_order(written, item, low=node.get("minItems", 0), high=high, separator=self._comma)
        return f'"[" blank {inner} blank "]"'

    def _object(self, node: Mapping[str, Any]) -> str:
        for word in ("patternProperties", "minProperties", "maxProperties"):
            if word in node:
                raise refuse(
                    word, "", "this model's notation of arguments has no place for it; pass the value as JSON text"
                )
        members = {
            name: f'{self._key(name)} blank ":" blank {self.value(item)}'
            for name, item in node["properties"].items()
            if resolved(item, self._definitions) is not False
        }
        others = node.get("additionalProperties", True)
        other = "" if others is False else f'{self._other_key(node["properties"])} blank ":" blank {self.value(others)}'
        required = node.get("required", [])
        inner = any_order(self._grammar, members, required, separator=self._comma, other=other)
        return f'"{{" blank {inner} blank "}}"'

    def _other_key(self, names: Mapping[str, Any]) -> str:
        if self._notation.quoted_keys:
            key, taken = r'/"[^"\\\x00-\x1f\x7f]{1,64}"/', [f'"{name}"' for name in names]
        else:
            key, taken = "/[A-Za-z_][A-Za-z0-9_]{0,63}/", list(names)
        excluded = f" & ~/{'|'.join(map(pattern_of, taken))}/" if taken else ""
        return self._grammar.terminal("key", key + excluded)


def json_leaf(node: Mapping[str, Any]) -> str:
    """A value without white space in it, as JSON."""
    return "%json " + json.dumps({**node, "x-guidance": {"whitespace_flexible": False}}, ensure_ascii=False)


def string_parts(node: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The string schemas that a string has to satisfy all at once."""
    parts: list[Mapping[str, Any]] = node.get("allOf", [node])
    if not all(not isinstance(part, bool) and part.get("type") == "string" for part in parts):
        raise refuse("allOf", "", "in this model's notation of arguments it is honoured for strings alone")
    return parts


def string_terminal(nodes: Sequence[Mapping[str, Any]], *endings: str) -> str:
    """The body of a terminal for strings that stand in a grammar as they are, and hold none of `endings`."""
    conditions = [without(endings)]
    for node in nodes:
        if "minLength" in node or "maxLength" in node:
            conditions.append(f"/(?s:.{{{node.get('minLength', 0)},{node.get('maxLength', '')}}})/")
        if "pattern" in node:
            conditions.append(f"/{_whole(node['pattern'])}/")
    return " & ".join(conditions)


def _whole(pattern: str) -> str:
    """A pattern that matches a whole string where `pattern` finds something in it."""
    inner = pattern.removeprefix("^")
    ended = inner.endswith("$") and not inner.endswith("\\$")
    inner = inner.removesuffix("$") if ended else inner
    bare, depth, bracket, escaped = False, 0, False, False
    for character in inner:
        if escaped:
            escaped = False
        elif character == "\\":
            escaped = True
        elif bracket:
            bracket = character != "]"
        elif character == "[":
            bracket = True
        elif character in "^$" or (character == "|" and depth == 0):
            bare = bare or character in "^$" or pattern != inner
        elif character in "()":
            depth += 1 if character == "(" else -1
    if bare:
        raise refuse("pattern", "", "in this model's notation of arguments ^ and $ stand at its two ends alone")
    before = "" if pattern.startswith("^") else "(?s:.*)"
    after = "" if ended else "(?s:.*)"
    return f"{before}(?:{regex_to_lark(inner, 'dw')}){after}"

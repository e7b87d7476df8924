"""A JSON schema rewritten into the few forms that the constraint honours exactly.

    node   = True | False | {"$ref": "#/$defs/dN"} | {"anyOf": [node]} | {"allOf": [node]} | {"enum": [value]} | typed
    typed  = {"type": one of seven, and keywords of that type}

Invariant: what the normal form allows, the schema allows. It may allow less, in these ways and no others: an object
whose schema lists properties and is silent about others has no others, a schema without `type` means the types that its
keywords speak of, an integer has 64 bits, a bounded number too and no exponent, and a `format` is read as
`string_formats` says. Whatever is not in `HONOURED` or `ANNOTATIONS` raises SchemaError.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from .disjoint import never_both
from .schema_leaves import json_value, string_node, text, whole_number
from .schema_numbers import number_node
from .schema_words import ANNOTATIONS, APPLICATORS, HONOURED, TYPE_OF_KEYWORD, TYPES, refuse

Node = Any  # bool | dict[str, Any], as drawn above

_DEEPEST = 50
_LARGEST = 20_000


class NormalForm:
    """One schema on its way to normal form; `root` and `definitions` are the outcome."""

    def __init__(self, schema: object) -> None:
        self.definitions: dict[str, Node] = {}
        self._schema = schema
        self._names: dict[tuple[str, bool], str] = {}
        self._size = 0
        self._one_ofs: list[tuple[str, list[Node], list[Node]]] = []
        self._promised: list[tuple[str, str, str, bool]] = []
        self.root: Node = self._node(schema, "", 0, open_=False)
        while self._promised:
            name, pointer, path, open_ = self._promised.pop()
            self.definitions[name] = self._node(self._at(pointer, path), pointer, 0, open_=open_)
        for path, branches, accepted in self._one_ofs:
            self._check_one_of(path, branches, accepted)

    def _node(self, schema: object, path: str, depth: int, *, open_: bool) -> Node:
        """The normal form of one schema. `open_` objects are intersected with others, so they must not be closed."""
        if isinstance(schema, bool):
            return schema
        if not isinstance(schema, Mapping):
            raise refuse("", path, f"a schema is an object or a boolean, not {type(schema).__name__}")
        self._size += 1
        if depth > _DEEPEST:
            raise refuse("", path, f"it is nested deeper than {_DEEPEST} levels; use $ref to #/$defs")
        if self._size > _LARGEST:
            raise refuse("", path, f"the schema has more than {_LARGEST} parts")

        words = self._honoured_words(schema, path)
        applicators = [word for word in words if word in APPLICATORS]
        assertions = {word: value for word, value in words.items() if word == "type" or word in TYPE_OF_KEYWORD}
        if applicators in (["enum"], ["const"]) and assertions.keys() <= {"type"}:
            node = self._listed(words, path)
        else:
            open_ = open_ or len(applicators) + bool(assertions) > 1
            pieces = [self._typed(assertions, path, depth, open_=open_, only=not applicators)] if assertions else []
            for word in applicators:
                pieces += self._applied(word, words[word], path, depth, open_=open_)
            node = _all_of(pieces)
        if words.get("nullable") is True:
            return _any_of([node, {"type": "null"}])
        return node

    def _honoured_words(self, schema: Mapping[str, Any], path: str) -> dict[str, Any]:
        words = {}
        for word, value in schema.items():
            if not isinstance(word, str):
                raise refuse(repr(word), path, "a keyword is a text")
            if word in ANNOTATIONS or word.startswith("x-") or (word in ("$id", "id") and not path):
                continue
            if word not in HONOURED:
                raise refuse(word, path)
            words[word] = value
        return words

    # Keywords for values of any type.

    def _applied(self, word: str, value: Any, path: str, depth: int, *, open_: bool) -> list[Node]:
        here = f"{path}/{word}"
        if word in ("enum", "const"):
            return [self._listed({word: value}, path)]
        if word == "$ref":
            return [self._reference(value, path, open_=open_)]
        if not isinstance(value, list) or not value:
            raise refuse(word, path, "it must be a list of schemas that is not empty")
        if word == "allOf":
            open_ = open_ or len(value) > 1
            return [self._node(branch, f"{here}/{i}", depth + 1, open_=open_) for i, branch in enumerate(value)]
        branches = [self._node(branch, f"{here}/{i}", depth + 1, open_=open_) for i, branch in enumerate(value)]
        if word == "oneOf":
            # What one branch generates no other branch may accept, and a branch accepts with its objects open.
            accepted = [self._node(branch, f"{here}/{i}", depth + 1, open_=True) for i, branch in enumerate(value)]
            self._one_ofs.append((path, branches, accepted))
        return [_any_of(branches)]

    def _check_one_of(self, path: str, branches: list[Node], accepted: list[Node]) -> None:
        """`oneOf` is honoured as `anyOf` where that is the same; the proof needs all definitions, so it comes last."""
        for i, branch in enumerate(branches):
            for j, other in enumerate(accepted):
                if i != j and not never_both(branch, other, self.definitions):
                    raise refuse(
                        "oneOf",
                        path,
                        f"branches {min(i, j)} and {max(i, j)} may both accept one value; use anyOf, or give each "
                        "branch a required property with a const of its own",
                    )

    def _listed(self, words: dict[str, Any], path: str) -> Node:
        word = "enum" if "enum" in words else "const"
        values = words["enum"] if word == "enum" else [words["const"]]
        if not isinstance(values, list) or not values:
            raise refuse(word, path, "it must be a list of values that is not empty")
        types = _types(words["type"], path) if "type" in words else TYPES
        kept = [json_value(value, word, path) for value in values]
        kept = [value for value in kept if any(_is_of_type(value, kind) for kind in types)]
        return {"enum": kept} if kept else False

    def _reference(self, target: Any, path: str, *, open_: bool) -> Node:
        pointer = _pointer(target, path)
        name = self._names.get((pointer, open_))
        if name is None:
            name = self._names[pointer, open_] = f"d{len(self._names)}"
            self._promised.append((name, pointer, path, open_))
        return {"$ref": f"#/$defs/{name}"}

    def _at(self, pointer: str, path: str) -> object:
        found: Any = self._schema
        for part in pointer.split("/")[1:]:
            part = part.replace("~1", "/").replace("~0", "~")
            try:
                found = found[int(part)] if isinstance(found, list) else found[part]
            except (KeyError, IndexError, ValueError, TypeError):
                raise refuse("$ref", path, f"there is nothing at '#{pointer}'") from None
        return found

    # Keywords for values of one type.

    def _typed(self, words: dict[str, Any], path: str, depth: int, *, open_: bool, only: bool) -> Node:
        """What the assertions of a node allow; `only` where no applicator beside them says which types are meant."""
        if "type" in words:
            kinds = _types(words["type"], path)
        elif only:
            spoken = {TYPE_OF_KEYWORD[word] for word in words}
            kinds = tuple(kind for kind in TYPES if kind in spoken)
        else:
            kinds = tuple(kind for kind in TYPES if kind != "integer")
        return _any_of([self._of_type(kind, words, path, depth, open_=open_) for kind in kinds])

    def _of_type(self, kind: str, words: dict[str, Any], path: str, depth: int, *, open_: bool) -> Node:
        if kind == "string":
            return string_node(words, path)
        if kind in ("integer", "number"):
            return number_node(kind, words, path)
        if kind == "array":
            return self._array(words, path, depth, open_=open_)
        if kind == "object":
            return self._object(words, path, depth, open_=open_)
        return {"type": kind}

    def _array(self, words: dict[str, Any], path: str, depth: int, *, open_: bool) -> Node:
        items, prefix = words.get("items", True), words.get("prefixItems", [])
        prefix_word, items_word = "prefixItems", "items"
        if isinstance(items, list):  # drafts before 2020-12
            prefix, prefix_word = items, "items"
            items, items_word = words.get("additionalItems", True), "additionalItems"
        elif "additionalItems" in words and "prefixItems" in words:
            raise refuse("additionalItems", path, "beside prefixItems the keyword for further items is items")
        if not isinstance(prefix, list):
            raise refuse(prefix_word, path, "it must be a list of schemas")
        low, high = whole_number(words, "minItems", path, 0), whole_number(words, "maxItems", path, None)
        if words.get("uniqueItems") and (high is None or high > 1):
            raise refuse("uniqueItems", path)
        if high is not None and high < low:
            return False
        node: dict[str, Any] = {"type": "array"}
        if prefix:
            node["prefixItems"] = [
                self._node(item, f"{path}/{prefix_word}/{i}", depth + 1, open_=open_) for i, item in enumerate(prefix)
            ]
        node["items"] = self._node(items, f"{path}/{items_word}", depth + 1, open_=open_)
        if low:
            node["minItems"] = low
        if high is not None:
            node["maxItems"] = high
        return node

    def _object(self, words: dict[str, Any], path: str, depth: int, *, open_: bool) -> Node:
        def schemas(word: str) -> dict[str, Node]:
            value = words.get(word, {})
            if not isinstance(value, Mapping):
                raise refuse(word, path, "it must be an object whose values are schemas")
            return {
                text(name, word, path): self._node(item, f"{path}/{word}/{_escaped(name)}", depth + 1, open_=open_)
                for name, item in value.items()
            }

        properties, patterns = schemas("properties"), schemas("patternProperties")
        for pattern in patterns:
            string_node({"pattern": pattern}, path, word="patternProperties")
        required = words.get("required", [])
        if not isinstance(required, list) or not all(isinstance(name, str) for name in required):
            raise refuse("required", path, "it must be a list of property names")
        required = [text(name, "required", path) for name in dict.fromkeys(required)]
        others: Node | None = None
        if "additionalProperties" in words:
            others = self._node(words["additionalProperties"], f"{path}/additionalProperties", depth + 1, open_=open_)
        if "propertyNames" in words:
            properties, patterns, others = self._named(words, properties, patterns, others, path, depth)
        if others is None and not open_:
            others = not ("properties" in words or patterns)
        if not patterns and others is not None:
            for name in required:
                properties.setdefault(name, True if "additionalProperties" not in words else others)
        node: dict[str, Any] = {"type": "object", "properties": properties}
        if patterns:
            node["patternProperties"] = patterns
        if required:
            node["required"] = required
        if others is not None:
            node["additionalProperties"] = others
        return _counted(node, words, path)

    def _named(
        self,
        words: dict[str, Any],
        properties: dict[str, Node],
        patterns: dict[str, Node],
        others: Node | None,
        path: str,
        depth: int,
    ) -> tuple[dict[str, Node], dict[str, Node], Node]:
        """`propertyNames` said with the keywords that a grammar has: names from a list, or names of one pattern."""
        schema = words["propertyNames"]
        if isinstance(schema, Mapping) and "$ref" in schema:
            schema = self._at(_pointer(schema["$ref"], path), path)
        names = self._node(schema, f"{path}/propertyNames", depth + 1, open_=False)
        value = True if others is None else others
        if names is True or names == {"type": "string"}:
            return properties, patterns, value
        if properties or patterns or not isinstance(names, dict):
            raise refuse("propertyNames", path, "it is honoured on an object that has no properties of its own")
        if "enum" in names:
            return {name: value for name in names["enum"] if isinstance(name, str)}, {}, False
        if names.keys() == {"type", "pattern"}:
            return {}, {names["pattern"]: value}, False
        if names.get("type") == "string" and "pattern" not in names:
            bounds = f"{{{names.get('minLength', 0)},{names.get('maxLength', '')}}}"
            return {}, {rf"^[\s\S]{bounds}$": value}, False
        raise refuse("propertyNames", path, "names may come from a list, or have one pattern, format or length")


def _counted(node: dict[str, Any], words: dict[str, Any], path: str) -> Node:
    """The object with its number of properties bounded, where that can be kept."""
    properties, required = node["properties"], node.get("required", [])
    closed = node.get("additionalProperties") is False and "patternProperties" not in node
    optional = sum(1 for name, item in properties.items() if name not in required and item is not False)
    low, high = whole_number(words, "minProperties", path, 0), whole_number(words, "maxProperties", path, None)
    if low <= len(required):
        low = 0
    if high is not None:
        if high < max(low, len(required)):
            return False
        if closed and high >= len(required) + optional:
            high = None
    if closed and low > len(required) + optional:
        return False
    if low - len(required) > 1:
        raise refuse("minProperties", path, "two properties of one name would count twice; list the names as required")
    if (low or high is not None) and optional:
        word = "minProperties" if low else "maxProperties"
        at_most_one = high is None or high == len(required) + 1
        if not closed or not at_most_one:
            raise refuse(word, path, "it is honoured where every listed property is required, or as a bound of one")
    if low:
        node["minProperties"] = low
    if high is not None:
        node["maxProperties"] = high
    return node


def _any_of(nodes: list[Node]) -> Node:
    flat: list[Node] = []
    for node in nodes:
        if node is True:
            return True
        if node is not False:
            flat += node["anyOf"] if node.keys() == {"anyOf"} else [node]
    if not flat:
        return False
    return flat[0] if len(flat) == 1 else {"anyOf": flat}


def _all_of(nodes: list[Node]) -> Node:
    flat: list[Node] = []
    for node in nodes:
        if node is False:
            return False
        if node is not True:
            flat += node["allOf"] if node.keys() == {"allOf"} else [node]
    if not flat:
        return True
    return flat[0] if len(flat) == 1 else {"allOf": flat}


def _types(value: object, path: str) -> tuple[str, ...]:
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not names:
        raise refuse("type", path, "it must be a type or a list of types that is not empty")
    for name in names:
        if name not in TYPES:
            raise refuse("type", path, f"{name!r} is not one of {', '.join(TYPES)}")
    return tuple(dict.fromkeys(name for name in names if not (name == "integer" and "number" in names)))


def _is_of_type(value: object, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    if isinstance(value, (int, float)):
        return kind == "number" or (kind == "integer" and float(value).is_integer())
    return kind == {type(None): "null", str: "string", list: "array", dict: "object"}[type(value)]


def _pointer(target: object, path: str) -> str:
    if not isinstance(target, str) or not (target == "#" or target.startswith("#/")):
        raise refuse("$ref", path, "only references inside the schema are followed, such as '#/$defs/Name'")
    return unquote(target[1:]).rstrip("/")


def _escaped(name: object) -> str:
    return str(name).replace("~", "~0").replace("/", "~1")

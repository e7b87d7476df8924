"""From the bare text of an argument to its value, by the tool's own JSON schema.

Formats that put arguments between tags write ``1`` for the number and for the string alike. The schema tells which.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .conversation import tool_function
from .literals import read_value

_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
    "null": (type(None),),
}
_MAX_REFERENCES = 32


class ArgumentTypes:
    """What the arguments of each tool may be.

    Args:
        tools: definitions, in OpenAI's form or flat.
    """

    def __init__(self, tools: Iterable[Mapping[str, Any]]) -> None:
        functions = [tool_function(tool) for tool in tools]
        self._parameters: dict[str, Mapping[str, Any]] = {
            function["name"]: function["parameters"] for function in functions
        }

    def __contains__(self, name: object) -> bool:
        return name in self._parameters

    def __bool__(self) -> bool:
        return bool(self._parameters)

    def is_text(self, name: str, key: str) -> bool:
        """Whether the argument can be nothing but a string, so that its text is its value."""
        return self._types(name, key) == {"string"}

    def value(self, name: str, key: str, text: str) -> Any:
        """The value of an argument that was written as `text`; the text itself where it fits no other type."""
        return _typed(text, self._types(name, key))

    def nested_value(self, name: str, key: str, element: Any, item_key: str) -> Any:
        """The value of an argument that was written as elements, each typed by its own part of the schema."""
        root = self._parameters.get(name, {})
        return _element_value(element, _property(root, key), root, item_key)

    def _types(self, name: str, key: str) -> set[str]:
        """Names of the types that the schema allows; none where it does not say."""
        root = self._parameters.get(name, {})
        return _schema_types(_property(root, key), root, _MAX_REFERENCES)


def _typed(text: str, types: set[str]) -> Any:
    if types == {"string"}:
        return text
    try:
        value = read_value(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return text
    if not types:
        return text if isinstance(value, str) else value
    return value if any(_fits(value, type_name) for type_name in types) else text


def _property(schema: Any, key: str) -> Any:
    properties = schema.get("properties") if isinstance(schema, Mapping) else None
    return properties.get(key) if isinstance(properties, Mapping) else None


def _element_value(element: Any, schema: Any, root: Mapping[str, Any], item_key: str) -> Any:
    types = _schema_types(schema, root, _MAX_REFERENCES)
    if isinstance(element, str):
        return _typed(element, types)
    options = [option for option in _options(schema, root, _MAX_REFERENCES) if isinstance(option, Mapping)]
    if all(key == item_key for key, _ in element) and (not types or "array" in types):
        items = next((option["items"] for option in options if "items" in option), None)
        return [_element_value(item, items, root, item_key) for _, item in element]
    properties = {
        key: next((found for option in options if (found := _property(option, key)) is not None), None)
        for key, _ in element
    }
    return {key: _element_value(item, properties[key], root, item_key) for key, item in element}


def _options(schema: Any, root: Mapping[str, Any], depth: int) -> list[Any]:
    """The schema and those that it is a union of, references followed."""
    if not isinstance(schema, Mapping) or not depth:
        return []
    found: list[Any] = [schema]
    if isinstance(schema.get("$ref"), str):
        found += _options(_referred(schema["$ref"], root), root, depth - 1)
    for union in ("anyOf", "oneOf", "allOf"):
        for option in schema.get(union) or ():
            found += _options(option, root, depth - 1)
    return found


def _schema_types(schema: Any, root: Mapping[str, Any], depth: int) -> set[str]:
    if not isinstance(schema, Mapping) or not depth:
        return set()
    types: set[str] = set()
    declared = schema.get("type")
    if isinstance(declared, str):
        types = {declared}
    elif isinstance(declared, (list, tuple)):
        types = {item for item in declared if isinstance(item, str)}
    elif "enum" in schema or "const" in schema:
        options = schema.get("enum", [schema.get("const")])
        types = {_type_of(option) for option in options} if isinstance(options, (list, tuple)) else set()
    elif isinstance(schema.get("$ref"), str):
        types = _schema_types(_referred(schema["$ref"], root), root, depth - 1)
    for union in ("anyOf", "oneOf", "allOf"):
        for option in schema.get(union) or ():
            types |= _schema_types(option, root, depth - 1)
    return types | {"null"} if schema.get("nullable") is True and types else types


def _referred(reference: str, root: Mapping[str, Any]) -> Any:
    target: Any = root
    for part in reference.removeprefix("#").strip("/").split("/"):
        name = part.replace("~1", "/").replace("~0", "~")
        if not isinstance(target, Mapping) or name not in target:
            return None
        target = target[name]
    return target


def _type_of(value: object) -> str:
    if isinstance(value, str):
        return "string"
    return next((name for name in _TYPES if _fits(value, name)), "string")


def _fits(value: object, type_name: str) -> bool:
    if isinstance(value, bool):
        return type_name == "boolean"
    if type_name == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _TYPES.get(type_name, ()))

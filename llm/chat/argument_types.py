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
        types = self._types(name, key)
        if types == {"string"}:
            return text
        try:
            value = read_value(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            return text
        if not types:
            return text if isinstance(value, str) else value
        return value if any(_fits(value, type_name) for type_name in types) else text

    def _types(self, name: str, key: str) -> set[str]:
        """Names of the types that the schema allows; none where it does not say."""
        root = self._parameters.get(name, {})
        properties = root.get("properties")
        schema = properties.get(key) if isinstance(properties, Mapping) else None
        return _schema_types(schema, root, _MAX_REFERENCES)


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

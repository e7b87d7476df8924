"""The tools of a request as the grammar needs them: names, and checked schemas of their arguments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from ..exceptions import RequestError, SchemaError
from .json_schema import checked_schema
from .schema_tree import resolved

ToolChoice = str | Mapping[str, Any]
Calls = Literal["none", "auto", "required"]


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool that may be called."""

    name: str
    arguments: Mapping[str, Any] = field(repr=False)


def chosen_tools(tools: Sequence[Mapping[str, Any]], tool_choice: ToolChoice) -> tuple[Calls, list[Tool]]:
    """Whether there may or must be calls, and of which tools; with "none", those that must not be called.

    Raises:
        RequestError: the choice names no tool, or a tool is not described as it should be.
        SchemaError: the parameters of a tool ask for what cannot be honoured.
    """
    named = {}
    for tool in tools:
        name, parameters = _described(tool)
        if name in named:
            raise RequestError(f"Two tools are named {name!r}; a call could mean either. Rename one of them.")
        named[name] = parameters
    calls: Calls
    if tool_choice == "none" or (not named and tool_choice == "auto"):
        return "none", [Tool(name, {}) for name in named]
    if tool_choice in ("auto", "required"):
        calls, wanted = ("auto" if tool_choice == "auto" else "required"), list(named)
    else:
        calls, wanted = "required", [_chosen_name(tool_choice)]
    if not named or wanted[0] not in named:
        raise RequestError(
            f"tool_choice={tool_choice!r} asks for a tool that is not there; tools holds {', '.join(named) or 'none'}."
        )
    return calls, [Tool(name, _checked(name, named[name])) for name in wanted]


def _described(tool: Mapping[str, Any]) -> tuple[str, object]:
    described = tool.get("function", tool) if isinstance(tool, Mapping) else None
    name = described.get("name") if isinstance(described, Mapping) else None
    if not isinstance(described, Mapping) or not isinstance(name, str) or not name:
        raise RequestError('A tool is described as {"type": "function", "function": {"name": ..., "parameters": ...}}.')
    parameters = described.get("parameters")
    if described.get("strict") is False:  # the caller does not want the arguments enforced, only the call
        parameters = {"type": "object", "additionalProperties": True}
    return name, {"type": "object", "properties": {}} if parameters is None else parameters


def _chosen_name(tool_choice: ToolChoice) -> str:
    if isinstance(tool_choice, str):
        return tool_choice
    function = tool_choice.get("function", tool_choice)
    name = function.get("name") if isinstance(function, Mapping) else None
    if not isinstance(name, str):
        raise RequestError(
            'tool_choice is "none", "auto", "required", the name of a tool, or '
            '{"type": "function", "function": {"name": ...}}.'
        )
    return name


def _checked(name: str, parameters: object) -> dict[str, Any]:
    try:
        schema = checked_schema(parameters)
    except SchemaError as error:
        raise SchemaError(f"Tool {name!r}: {error}", keyword=error.keyword, path=error.path) from error
    root = resolved(schema, schema.get("$defs", {}))
    if "enum" in root or root.get("type", "object") != "object":
        raise SchemaError(f"Tool {name!r}: the parameters of a tool are an object.", keyword="type")
    return schema or {"type": "object", "properties": {}, "additionalProperties": True}

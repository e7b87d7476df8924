"""Write calls as a model writes them: for templates that leave them out, and to show a model a format.

The reverse of `call_reader`: what is written here is read there as the same calls. Markers are trusted, what fills them
in is not.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ..base.call_syntax import CallSyntax
from .control_text import Piece


def write_calls(calls: Sequence[Mapping[str, Any]], syntax: CallSyntax) -> list[Piece]:
    """The calls of one reply.

    Args:
        calls: ToolCall dicts.
        syntax: how the model writes.
    """
    pieces = [Piece(syntax.section_open + syntax.list_open, True)]
    for number, call in enumerate(calls):
        if number:
            pieces.append(Piece(syntax.call_separator, True))
        pieces.append(Piece(syntax.call_open, True))
        pieces += _call(call, number + syntax.first_index, syntax)
        pieces.append(Piece(syntax.call_close, True))
    pieces.append(Piece(syntax.list_close + syntax.section_close, True))
    return [piece for piece in pieces if piece.text]


def _call(call: Mapping[str, Any], index: int, syntax: CallSyntax) -> list[Piece]:
    name, arguments = call["tool_name"], call["args"]
    if syntax.nesting in ("json_object", "json_list"):
        return [Piece(_json(_object(call, syntax)), False)]
    if syntax.nesting == "python_list":
        given = ", ".join(f"{key}={_python(value)}" for key, value in arguments.items())
        return [Piece(f"{name}({given})", False)]
    close = Piece(syntax.name_close.replace("{name}", name).replace("{index}", str(index)), True)
    if syntax.nesting == "parameters":
        pieces = [Piece(name, False), close]
        for key, value in arguments.items():
            pieces += _parameter(key, value, syntax)
        return pieces
    header = [Piece(name, False)]
    if syntax.id_separator:
        id_ = [Piece(call.get("tool_call_id") or "", False)]
        separator = [Piece(syntax.id_separator, True)]
        header = [*id_, *separator, *header] if syntax.id_first else [*header, *separator, *id_]
    if syntax.quoted_keys and syntax.string_quote == '"':
        return [*header, close, Piece(_json(arguments), False)]
    return [*header, close, *_bare(arguments, syntax)]


def _object(call: Mapping[str, Any], syntax: CallSyntax) -> dict[str, Any]:
    if not syntax.name_key:
        return {call["tool_name"]: call["args"]}
    values = {syntax.name_key: call["tool_name"], syntax.arguments_key: call["args"]}
    if syntax.id_key:
        values[syntax.id_key] = call.get("tool_call_id") or ""
    return {key: values[key] for key in syntax.key_order if key in values}


def _parameter(key: str, value: Any, syntax: CallSyntax) -> list[Piece]:
    word = dict(syntax.type_words).get(_type_name(value), "")
    pieces = [
        Piece(syntax.parameter_open, True),
        Piece(key, False),
        Piece(syntax.key_close.replace("{type}", word), True),
    ]
    if syntax.item_key and isinstance(value, (dict, list)):
        inner = value.items() if isinstance(value, dict) else [(syntax.item_key, item) for item in value]
        for inner_key, item in inner:
            pieces += _parameter(inner_key, item, syntax)
    else:
        pieces.append(Piece(value if isinstance(value, str) and syntax.raw_strings else _json(value), False))
    return [*pieces, Piece(syntax.parameter_close.replace("{key}", key), True)]


def _bare(value: Any, syntax: CallSyntax) -> list[Piece]:
    """A value in a notation with quotes of its own, and keys without any."""
    if isinstance(value, str):
        quote = Piece(syntax.string_quote, True)
        return [quote, Piece(value, False), quote]
    if isinstance(value, dict):
        pieces = [Piece("{", True)]
        for number, (key, item) in enumerate(value.items()):
            pieces += [Piece(f"{',' if number else ''}{key}:", False), *_bare(item, syntax)]
        return [*pieces, Piece("}", True)]
    if isinstance(value, list):
        pieces = [Piece("[", True)]
        for number, item in enumerate(value):
            pieces += [*([Piece(",", True)] if number else []), *_bare(item, syntax)]
        return [*pieces, Piece("]", True)]
    return [Piece(_json(value), False)]


def _python(value: Any) -> str:
    """JSON, but for the words that Python spells otherwise."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_json(key)}: {_python(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_python, value)) + "]"
    return str(value) if value is None or isinstance(value, bool) else _json(value)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _type_name(value: Any) -> str:
    names = {str: "string", bool: "boolean", int: "integer", float: "number", dict: "object", list: "array"}
    return names.get(type(value), "null")

"""Values as models write them: JSON, Python, or a mixture of both.

One small reader for ``{"on": True, "note": null}``, ``{'k': [1, 'z']}`` and ``{k:<|"|>v<|"|>}``. It evaluates nothing.
"""

from __future__ import annotations

import ast
import json
import re
from typing import Any

_WORDS: dict[str, Any] = {"true": True, "True": True, "false": False, "False": False, "null": None, "None": None}
_TOKEN = re.compile(r"""\s*("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[\[\]{}(),:]|[^\s\[\]{}(),:"']+)""", re.DOTALL)
_MAX_DEPTH = 64


def read_value(text: str, *, string_quote: str = '"') -> Any:
    """The value that `text` stands for.

    Args:
        text: a value and nothing else.
        string_quote: what stands around strings besides the usual quotes.

    Raises:
        ValueError: it is no value.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        tokens = _tokens(text, string_quote)
    value, rest = _value(tokens, 0, 0)
    if rest != len(tokens):
        raise ValueError("text after the value")
    return value


def _tokens(text: str, string_quote: str) -> list[str]:
    if string_quote != '"':
        # Strings in other quotes become JSON strings, so that one reader does for all.
        parts = text.split(string_quote)
        text = "".join(json.dumps(part) if number % 2 else part for number, part in enumerate(parts))
    tokens, position = [], 0
    text = text.rstrip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise ValueError("a string without an end")
        tokens.append(match[1])
        position = match.end()
    return tokens


def _value(tokens: list[str], at: int, depth: int) -> tuple[Any, int]:
    if at >= len(tokens) or depth > _MAX_DEPTH:
        raise ValueError("no value")
    token = tokens[at]
    if token in ("[", "("):
        return _items(tokens, at + 1, "]" if token == "[" else ")", depth)
    if token == "{":
        return _pairs(tokens, at + 1, depth)
    return _scalar(token), at + 1


def _scalar(token: str) -> Any:
    if token[0] == '"':
        try:
            return json.loads(token, strict=False)
        except ValueError:
            return ast.literal_eval(token.replace("\n", "\\n"))
    if token[0] == "'":
        return ast.literal_eval(token.replace("\n", "\\n"))
    if token in _WORDS:
        return _WORDS[token]
    return json.loads(token)


def _items(tokens: list[str], at: int, close: str, depth: int) -> tuple[list[Any], int]:
    items: list[Any] = []
    while _token(tokens, at) != close:
        item, at = _value(tokens, at, depth + 1)
        items.append(item)
        if _token(tokens, at) == ",":
            at += 1
        elif _token(tokens, at) != close:
            raise ValueError("no comma between items")
    return items, at + 1


def _pairs(tokens: list[str], at: int, depth: int) -> tuple[dict[str, Any], int]:
    pairs: dict[str, Any] = {}
    while _token(tokens, at) != "}":
        key = _token(tokens, at)
        name = _scalar(key) if key[0] in "\"'" else key
        if _token(tokens, at + 1) != ":":
            raise ValueError("no colon after a key")
        pairs[str(name)], at = _value(tokens, at + 2, depth + 1)
        if _token(tokens, at) == ",":
            at += 1
        elif _token(tokens, at) != "}":
            raise ValueError("no comma between pairs")
    return pairs, at + 1


def _token(tokens: list[str], at: int) -> str:
    if at >= len(tokens):
        raise ValueError("the value has no end")
    return tokens[at]

"""Writes grammars in the dialect of Lark that llguidance reads.

Invariant: text of the caller (tool names, markers, keys) enters a grammar only through `literal`, `pattern_of` and
`special_token`, which quote it, so nothing in it can be taken for syntax.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence

_NAMED = re.compile(r"<[^<>\s\[\]\"'/\\%]+>")


def literal(text: str) -> str:
    """A string that stands for itself."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def pattern_of(text: str) -> str:
    """The inside of a regular expression that matches `text` alone."""
    return "".join(c if c.isascii() and c.isalnum() else f"\\x{{{ord(c):x}}}" for c in text)


def special_token(text: str) -> str:
    """The name under which grammars and vocabularies know the control token `text`.

    A grammar can hold ``<name>`` without blanks and brackets; other texts, such as ``[TOOL_CALLS]``, are spelled out.
    """
    if _NAMED.fullmatch(text):
        return text
    return "<" + "".join(c if c.isascii() and c.isalnum() else f"%{ord(c):x};" for c in text) + ">"


def without(texts: Iterable[str], *, among: str = "(?s:.*)") -> str:
    """A terminal's body: what `among` matches and has none of `texts` in it."""
    banned = "|".join(pattern_of(text) for text in dict.fromkeys(texts) if text)
    return f"/{among}/ & ~/(?s:.*)(?:{banned})(?s:.*)/" if banned else f"/{among}/"


class Grammar:
    """Rules under construction. Names are made unique; equal bodies share a rule."""

    def __init__(self) -> None:
        self._rules: dict[str, str] = {}
        self._names: dict[tuple[str, str], str] = {}

    def rule(self, hint: str, body: str, *, options: str = "") -> str:
        """Add a rule, or find the equal one that exists; returns its name."""
        return self._add(hint, body, options)

    def terminal(self, hint: str, body: str) -> str:
        """The same for a terminal, which is matched as one piece of text."""
        return self._add(hint.upper(), body, "")

    def reserve(self, hint: str) -> str:
        """A name for a rule that refers to itself; `define` gives it a body."""
        name = f"{hint}{len(self._rules)}"
        self._rules[name] = ""
        return name

    def define(self, name: str, body: str, *, parameter: str = "") -> None:
        """The body of a reserved rule."""
        self._rules[name] = f"{name}{parameter}: {body}"

    def text(self, start: str) -> str:
        """The whole grammar; its language is that of the expression `start`.

        The rule `blank`, white space between two parts, is always there; it is bounded, so no model gets lost in it.
        """
        blank = r"blank: /[ \t\r\n]{1,16}/?"
        return "\n".join([f"start: {start}", blank, *self._rules.values()]) + "\n"

    def _add(self, hint: str, body: str, options: str) -> str:
        name = self._names.get((options, body))
        if name is None or name.isupper() != hint.isupper():
            name = self.reserve(hint)
            self._names[options, body] = name
            self._rules[name] = f"{name}{options}: {body}"
        return name


def either(bodies: Sequence[str]) -> str:
    """One of `bodies`."""
    unique = list(dict.fromkeys(bodies))
    return unique[0] if len(unique) == 1 else "(" + " | ".join(unique) + ")"


def optional(body: str) -> str:
    return f"({body})?"

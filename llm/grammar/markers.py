"""Markers of a call syntax as parts of a grammar rule.

A marker may hold control tokens, which are matched as those tokens and never as text, and white space at its edges, of
which a model may write more or less than its template does. Invariant: the parts of a marker, read in order, are the
marker.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from .lark import literal, special_token

_EDGES = re.compile(r"(\s*)(.*?)(\s*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Blank:
    """A place where white space may stand."""

    def body(self) -> str:
        return "blank"


@dataclass(frozen=True, slots=True)
class Text:
    """Text that is matched byte by byte."""

    value: str

    def body(self) -> str:
        return literal(self.value)


@dataclass(frozen=True, slots=True)
class Special:
    """A control token of the vocabulary."""

    value: str

    def body(self) -> str:
        return special_token(self.value)


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of the grammar, or any expression."""

    name: str

    def body(self) -> str:
        return self.name


Part = Blank | Text | Special | Rule


@dataclass(frozen=True, slots=True)
class Markers:
    """Splits markers into parts.

    Args:
        special_tokens: texts that the vocabulary holds as control tokens.
    """

    special_tokens: frozenset[str] = field(default_factory=frozenset)

    def exact(self, text: str) -> list[Part]:
        """The parts of `text`, white space and all."""
        parts: list[Part] = []
        for piece in self._pieces(text):
            parts.append(Special(piece) if piece in self.special_tokens else Text(piece))
        return parts

    def marker(self, text: str) -> list[Part]:
        """The parts of `text`, with more or less white space at its edges."""
        match = _EDGES.fullmatch(text)
        assert match is not None
        before, core, after = match.groups()
        if not core:
            return [Blank()] if before else []
        return [*([Blank()] if before else []), *self.exact(core), *([Blank()] if after else [])]

    def _pieces(self, text: str) -> Iterable[str]:
        known = sorted((token for token in self.special_tokens if token and token in text), key=len, reverse=True)
        if not known:
            return [text] if text else []
        return [piece for piece in re.split(f"({'|'.join(map(re.escape, known))})", text) if piece]


def joined(parts: Iterable[Part]) -> list[Part]:
    """The same parts with neighbours of a kind made one."""
    result: list[Part] = []
    for part in parts:
        last = result[-1] if result else None
        if isinstance(part, Blank) and isinstance(last, Blank):
            continue
        if isinstance(part, Text) and isinstance(last, Text):
            result[-1] = Text(last.value + part.value)
        else:
            result.append(part)
    return result


def body(parts: Iterable[Part]) -> str:
    """The parts as the body of a rule."""
    return " ".join(part.body() for part in joined(parts)) or '""'

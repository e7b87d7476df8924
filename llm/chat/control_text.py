"""Keep control tokens out of what users, tools and documents write.

A control text (``<|im_end|>``) in a message would become the token that ends the turn, and a document could forge the
next one. So wherever a control text stands in content, a placeholder of random digits takes its place before the
template runs; digits pass unchanged through every filter that a template applies. After it ran, the text is cut at the
placeholders: what the template wrote is tokenized with control tokens, what stood in content without.

Invariant: no control token of the prompt contains a character that came from content. So a part of a control text at
the edge of a content is covered as well, since the template's own text next to it could complete it.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple


class Piece(NamedTuple):
    """A part of a prompt. Trusted text is tokenized with control tokens, other text without."""

    text: str
    trusted: bool


class ControlTexts:
    """The texts that a tokenizer turns into control tokens."""

    def __init__(self, texts: Collection[str]) -> None:
        self._texts = sorted({text for text in texts if text}, key=len, reverse=True)
        self._pattern = re.compile(_alternatives(self._texts)) if self._texts else None
        self._starts = {text[:end] for text in self._texts for end in range(1, len(text))}
        self._ends = {text[start:] for text in self._texts for start in range(1, len(text))}
        self._longest = len(self._texts[0]) if self._texts else 0

    def cover(self) -> Cover:
        """A cover for one prompt, with placeholders that no content can know."""
        return Cover(self, secrets.randbelow(10**20))

    def spans(self, text: str, *, whole: bool) -> list[tuple[int, int]]:
        """Where control texts, or parts of one at an edge, stand in `text`.

        Args:
            text: content.
            whole: look also whether the content as a whole is the middle of a control text.
        """
        if self._pattern is None:
            return []
        spans = [match.span() for match in self._pattern.finditer(text)]
        start = len(text) - len(text.lstrip())
        end = len(text.rstrip())
        if start >= end:
            return spans
        head = self._longest_match(self._ends, lambda size: text[start : start + size], end - start)
        tail = self._longest_match(self._starts, lambda size: text[end - size : end], end - start)
        if head and (not spans or spans[0][0] >= start + head):
            spans.insert(0, (start, start + head))
        if tail and (not spans or spans[-1][1] <= end - tail):
            spans.append((end - tail, end))
        if not spans and whole and any(text[start:end] in control for control in self._texts):
            spans.append((start, end))
        return spans

    def _longest_match(self, parts: set[str], cut: Any, most: int) -> int:
        return next((size for size in range(min(self._longest, most), 0, -1) if cut(size) in parts), 0)


class Cover:
    """The placeholders of one prompt."""

    def __init__(self, controls: ControlTexts, nonce: int) -> None:
        self._controls = controls
        self._nonce = f"{nonce:020d}"
        self._placeholders: dict[str, str] = {}

    def covered(self, value: Any, *, whole: bool = False) -> Any:
        """A copy of a nested value with placeholders for the control texts in its texts and keys."""
        if isinstance(value, str):
            return self._covered_text(value, whole)
        if isinstance(value, Mapping):
            return {self.covered(key): self.covered(item, whole=whole) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.covered(item, whole=whole) for item in value]
        return value

    def _covered_text(self, text: str, whole: bool) -> str:
        pieces, position = [], 0
        for start, end in self._controls.spans(text, whole=whole):
            pieces += [text[position:start], self._placeholder(text[start:end])]
            position = end
        return "".join([*pieces, text[position:]]) if pieces else text

    def _placeholder(self, text: str) -> str:
        return self._placeholders.setdefault(text, f"{self._nonce}{len(self._placeholders):06d}")

    def uncovered(self, text: str) -> tuple[Piece, ...]:
        """The rendered text in pieces, with the control texts of content back in their places."""
        if not self._placeholders:
            return (Piece(text, True),) if text else ()
        originals = {placeholder: original for original, placeholder in self._placeholders.items()}
        parts = re.split(f"({self._nonce}[0-9]{{6}})", text)
        return tuple(
            Piece(originals[part], False) if position % 2 else Piece(part, True)
            for position, part in enumerate(parts)
            if part
        )


def _alternatives(texts: list[str]) -> str:
    """A pattern for any of the texts, the longest first. There may be thousands, so beginnings are shared."""
    groups: dict[str, list[str]] = {}
    for text in texts:
        groups.setdefault(text[0], []).append(text[1:])
    branches = []
    for first, rests in groups.items():
        longer = [rest for rest in rests if rest]
        tail = f"(?:{_alternatives(longer)})" if longer else ""
        branches.append(re.escape(first) + (f"{tail}?" if longer and "" in rests else tail))
    return "|".join(branches)

"""Arguments written as elements within elements: ``<tags><item>a</item><item>b</item></tags>``."""

from __future__ import annotations

from ..base.call_syntax import CallSyntax

_MAX_DEPTH = 64


def read_elements(text: str, syntax: CallSyntax, depth: int = 0) -> str | list[tuple[str, object]]:
    """The elements that `text` consists of; the text itself where it is none.

    Args:
        text: all between the markers of a parameter.
        syntax: how keys and values are marked.
        depth: elements around this one.
    """
    opening, close = syntax.parameter_open.strip(), syntax.parameter_close.strip()
    elements: list[tuple[str, object]] = []
    rest = text.strip()
    while rest:
        key, separator, after = rest.removeprefix(opening).partition(syntax.key_close.strip())
        if depth > _MAX_DEPTH or not rest.startswith(opening) or not separator:
            return text
        end = _end(after, opening + key + syntax.key_close.strip(), close.replace("{key}", key))
        if end < 0:
            return text
        elements.append((key, read_elements(after[:end], syntax, depth + 1)))
        rest = after[end + len(close.replace("{key}", key)) :].strip()
    return elements or text


def _end(text: str, opening: str, close: str) -> int:
    """Where the element that was opened before `text` is closed, counting those of its name within it."""
    depth, at = 1, 0
    while True:
        closed = text.find(close, at)
        opened = text.find(opening, at)
        if closed < 0:
            return -1
        if 0 <= opened < closed:
            depth, at = depth + 1, opened + len(opening)
            continue
        depth -= 1
        if not depth:
            return closed
        at = closed + len(close)

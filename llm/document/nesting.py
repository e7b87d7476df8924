"""How deep the elements of a page stand in each other.

Parsers take a time that grows with the square of the depth, and a few kilobytes can be nested tens of thousands deep.
"""

from __future__ import annotations

import re

from ..exceptions import DocumentDamagedError

DEEPEST = 500
# Elements that always have an end; others are closed by what follows them.
_TAG = re.compile(
    rb"<(/?)(?:div|span|section|article|main|table|ul|ol|dl|blockquote|em|strong|b|i|u|font|a|center|form|fieldset)\b",
    re.IGNORECASE,
)
_MARKDOWN = re.compile(rb"^[ \t]*(?:(?:>|[-*+]|\d{1,9}[.)])[ \t]*){%d}" % 100, re.MULTILINE)


def check_nesting(data: bytes, *, filename: str) -> None:
    """Refuse an HTML or Markdown file that is nested absurdly deep.

    Raises:
        DocumentDamagedError: it is.
    """
    data = data.replace(b"\0", b"")  # as UTF-16 has them
    depth = 0
    for tag in _TAG.finditer(data):
        depth = max(0, depth - 1) if tag[1] else depth + 1
        if depth > DEEPEST:
            break
    if depth > DEEPEST or _MARKDOWN.search(data):
        raise DocumentDamagedError(f"{filename!r} is nested too deeply to be read.", filename=filename)

"""The pieces that a document is read as, and how they become one text with items that point into it.

Invariant: the items are in order, do not overlap, and each one's part of the text is its piece's text, which has no
white space at its ends, no control character but tab and line break, and nothing that UTF-8 cannot write.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from ..exceptions import DocumentTooLargeError
from .document import DocumentItem, ItemKind

SEPARATOR = "\n\n"

_LINE_ENDS = re.compile(r"\r\n?|[\u2028\u2029\x0b\x0c\x85]")
# Control characters and halves of surrogate pairs. Neither is text, and a database refuses both.
_CONTROLS = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\ufeff]")
_SURROGATES = re.compile(r"[\ud800-\udfff]")
_BLANK_LINES = re.compile(r"\n[ \t\n]*\n")


@dataclass(frozen=True, slots=True)
class Piece:
    """A heading, a paragraph, a table ... as a converter found it; see DocumentItem for the fields."""

    kind: ItemKind
    text: str = field(repr=False)
    page: int | None = None
    part: str | None = None
    level: int = 0


@dataclass(frozen=True, slots=True)
class Conversion:
    """What a converter made of a file.

    Attributes:
        pieces: in reading order.
        page_count: pages, slides or sheets; None where the format has none.
        complete: False when something is missing, which `warnings` then names.
        warnings: for the reader; never text of the document.
        busy: the parser may still be at work on what is missing, so its process is of no further use.
    """

    pieces: tuple[Piece, ...] = field(repr=False)
    page_count: int | None = None
    complete: bool = True
    warnings: tuple[str, ...] = ()
    busy: bool = False


def clean_text(text: str) -> str:
    """The text with line breaks of one kind and without what is no text."""
    text = _CONTROLS.sub("", _LINE_ENDS.sub("\n", text))
    return _SURROGATES.sub("\ufffd", text).strip()


def compose(
    pieces: Iterable[Piece], *, max_characters: int, filename: str = ""
) -> tuple[str, tuple[DocumentItem, ...]]:
    """Join pieces to one text, each followed by a blank line.

    Args:
        pieces: in reading order; those without text are left out.
        max_characters: the most that the text may have.
        filename: for the error.

    Returns:
        The text, and where in it each piece stands.

    Raises:
        DocumentTooLargeError: the text would be longer.
    """
    parts: list[str] = []
    items: list[DocumentItem] = []
    length = 0
    for piece in pieces:
        text = clean_text(piece.text)
        if piece.kind != "code":
            # A blank line separates items, and nothing else.
            text = _BLANK_LINES.sub("\n", text)
        if not text:
            continue
        items.append(DocumentItem(piece.kind, length, length + len(text), piece.page, piece.part, piece.level))
        parts += (text, SEPARATOR)
        length += len(text) + len(SEPARATOR)
        if length > max_characters:
            raise DocumentTooLargeError(
                f"The text of {filename!r} has more than {max_characters} characters (max_text_characters). "
                "Raise the limit or split the document.",
                filename=filename,
                limit="max_text_characters",
            )
    return "".join(parts), tuple(items)

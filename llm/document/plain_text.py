"""Plain text and comma-separated values, which need no library to be read."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence

from .pieces import Piece, clean_text
from .tables import table_blocks

_PARAGRAPH_END = re.compile(r"\n[ \t]*\n\s*")
_DELIMITERS = ",;\t|"
_SAMPLE = 20  # lines that decide what separates the columns
_LONGEST_CELL = 10_000_000


def text_pieces(text: str) -> Iterator[Piece]:
    """Paragraphs as blank lines separate them. Nothing is markup: a line that begins with # is no heading."""
    for paragraph in _PARAGRAPH_END.split(clean_text(text)):
        yield Piece("paragraph", paragraph)


def csv_pieces(text: str) -> Iterator[Piece]:
    """The rows of a table, with what separates its columns found out from its first lines."""
    for block in table_blocks(csv_rows(text)):
        yield Piece("table", block)


def csv_rows(text: str) -> Iterator[Sequence[str]]:
    """The rows; quoted cells may hold separators and line breaks."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "").splitlines(keepends=True)
    csv.field_size_limit(_LONGEST_CELL)
    yield from csv.reader(lines, delimiter=_delimiter(lines[:_SAMPLE]))


def _delimiter(lines: Sequence[str]) -> str:
    """The separator with which most lines have the same number of columns, and more than one."""

    def fit(delimiter: str) -> tuple[int, int]:
        widths = [len(row) for row in csv.reader(lines, delimiter=delimiter) if row]
        width = max(set(widths), key=widths.count, default=1)
        return (0, 0) if width < 2 else (widths.count(width), width)

    best = max(_DELIMITERS, key=fit)
    return best if fit(best) > (0, 0) else ","

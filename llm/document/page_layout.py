"""The layout of a page by geometry alone: which rows form a paragraph, what is a heading, what a list item.

Where no layout model is on disk, this takes its place. It knows lengths and fonts and no language, apart from the ways
in which lists and sections are numbered. Invariant: every line of the page is in exactly one block.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from .page_lines import Line, PageStyle, Row, rows_of
from .page_tables import Grid, tables_of

BlockKind = Literal["heading", "paragraph", "list_item", "table", "header", "footer"]

MOST_LINES = 20_000  # on a page; with more, each line is a block by itself
MARGIN = 0.08  # of the page's height, where headers and footers stand
NUMBER_MARGIN = 0.16  # where page numbers stand
_LARGER = 1.15  # times the usual height, in the usual font
_LARGER_IN_OTHER_FONT = 1.06
_LONGEST_HEADING = 200  # characters

_BULLET = re.compile(r"[•◦▪▫●○■□‣⁃∙·–—*∞\uf0b7\uf0a7-]\s+\S|\(?(?:\d{1,3}|[A-Za-z]|[ivx]{1,4})[.)]\s+\S")
_SYMBOL = re.compile(r"[•◦▪▫●○■□‣⁃∙·–—*∞\uf0b7\uf0a7-]\s+\S")
_SECTION = re.compile(r"(?:\d{1,2}(?:\.\d{1,3}){1,4}\.?|[A-Z]\.\d{1,2}|§+\s?\d+)\s+\S")
_PAGE_NUMBER = re.compile(r"[-–—\s]*(?:\d{1,4}|[ivxl]{1,6})[-–—\s]*")
_CAPTION = re.compile(r"(?:Fig(?:ure|\.)|Table|Tab\.|Abbildung|Abb\.|Tabelle|Listing|Chart)\s*\d", re.IGNORECASE)
_LETTER = re.compile(r"[^\W\d_]")
_SENTENCE_END = (".", "!", "?", "。", "！", "？", ":", "؟")


@dataclass(frozen=True)
class Block:
    """Rows that belong together.

    Attributes:
        lines: the numbers of its lines, in the order in which they are read.
        grid: of a table, the numbers of the lines in each cell, by rows.
    """

    kind: BlockKind
    lines: tuple[int, ...]
    left: float
    top: float
    right: float
    bottom: float
    grid: Grid = ()


@dataclass
class _Growing:
    rows: list[Row] = field(default_factory=list)
    marked: bool = False

    @property
    def last(self) -> Row:
        return self.rows[-1]

    @property
    def left(self) -> float:
        return min(row.left for row in self.rows[-3:])

    @property
    def right(self) -> float:
        return max(row.right for row in self.rows[-3:])


def blocks_of(lines: Sequence[Line], *, page_height: float) -> list[Block]:
    """The page's blocks, from top to bottom; columns are not told apart here."""
    if len(lines) > MOST_LINES:
        return [
            Block("paragraph", (number,), line.left, line.top, line.right, line.bottom)
            for number, line in enumerate(lines)
            if line.text.strip()
        ]
    rows = rows_of(lines)
    style = PageStyle.of(rows)
    tables = tables_of(rows)
    in_tables = {row for table in tables for row in table.rows}
    groups = _paragraphs([row for row in rows if row not in in_tables], style)
    blocks = [_block(group.rows, _kind(group, groups, style)) for group in groups]
    blocks += [replace(_block(table.rows, "table"), grid=table.grid) for table in tables]
    blocks.sort(key=lambda block: (block.top, block.left))
    return _with_margins(blocks, lines, page_height=page_height, style=style)


def _paragraphs(rows: Sequence[Row], style: PageStyle) -> list[_Growing]:
    groups: list[_Growing] = []
    for row in rows:
        near = [group for group in groups[-40:] if _follows(group, row, style)]
        if near:
            group = min(near, key=lambda group: (row.top - group.last.bottom, abs(row.left - group.left)))
            group.rows.append(row)
        else:
            groups.append(_Growing([row], marked=bool(_BULLET.match(row.text))))
    return groups


def _follows(group: _Growing, row: Row, style: PageStyle) -> bool:
    """Whether a row goes on with what the rows above it say."""
    above = group.last
    gap = row.top - above.bottom
    height = min(above.height, row.height)
    if not -0.4 * height < gap <= max(style.gap, 0) + 0.45 * height:
        return False
    shared = min(group.right, row.right) - max(group.left, row.left)
    if shared < 0.5 * min(row.width, group.right - group.left):
        return False
    if not _alike(above, row) or _begins_anew(group, row):
        return False
    return not _is_short(above, group, row) or not above.text.endswith(_SENTENCE_END)


def _alike(above: Row, row: Row) -> bool:
    ratio = max(above.height, row.height) / min(above.height, row.height)
    if above.font == row.font:
        return ratio < 1.3
    if above.bold != row.bold and min(above.width, row.width) < 0.75 * max(above.width, row.width):
        return False
    return ratio < (1.05 if above.bold != row.bold else 1.15)


def _begins_anew(group: _Growing, row: Row) -> bool:
    above = group.last
    if _SYMBOL.match(row.text):
        return True
    finished = above.text.endswith((*_SENTENCE_END, ";", ","))
    if _BULLET.match(row.text) and (group.marked or finished or above.bold != row.bold):
        return True
    if _SECTION.match(row.text) and (finished or row.bold):
        return True
    indented = row.left - above.left > 0.8 * row.height
    return indented and not group.marked and (len(group.rows) > 1 or above.text.endswith(_SENTENCE_END))


def _is_short(above: Row, group: _Growing, row: Row) -> bool:
    """Whether the row above ends well before the others: the last of a paragraph does."""
    right = max(group.right, row.right)
    return above.right < right - 0.2 * (right - group.left) and above.right < right - 2 * above.height


def _kind(group: _Growing, groups: Sequence[_Growing], style: PageStyle) -> BlockKind:
    text = " ".join(row.text for row in group.rows)
    first = group.rows[0]
    if len(group.rows) <= 3 and len(text) <= _LONGEST_HEADING and _wordy(text) and not _SYMBOL.match(text):
        larger = min(row.height for row in group.rows) / style.height
        other_font = first.font != style.font
        emphasised = (
            larger >= _LARGER
            or (other_font and larger >= _LARGER_IN_OTHER_FONT)
            or (all(row.bold for row in group.rows) and not style.bold and len(group.rows) <= 2)
        )
        numbered = bool(_SECTION.match(text)) and len(group.rows) <= 2 and len(text) <= 90
        complete = bool(_CAPTION.match(text)) or text.rstrip().endswith((".", ",", ";"))
        if (emphasised or (numbered and other_font)) and not complete and not _in_table(group, groups):
            return "heading"
    return "list_item" if group.marked else "paragraph"


def _wordy(text: str) -> bool:
    """Mostly letters, which formulas and numbers are not."""
    return len(_LETTER.findall(text)) > 0.4 * len("".join(text.split()))


def _in_table(group: _Growing, groups: Sequence[_Growing]) -> bool:
    """Whether other short texts stand beside it, as cells do; beside a heading stands a column of text."""
    return any(
        other is not group and len(other.rows) < 3 and any(a.beside(b) for a in group.rows for b in other.rows)
        for other in groups
    )


def _with_margins(blocks: list[Block], lines: Sequence[Line], *, page_height: float, style: PageStyle) -> list[Block]:
    """Short texts by themselves at the very top or bottom become headers and footers."""
    if len(blocks) < 2:
        return blocks
    result = []
    for block in blocks:
        kind = block.kind
        if block.bottom - block.top < 3 * style.height and kind in ("heading", "paragraph"):
            others = [other for other in blocks if other is not block]
            margin = NUMBER_MARGIN if _PAGE_NUMBER.fullmatch(lines[block.lines[0]].text.strip()) else MARGIN
            if block.bottom < margin * page_height and not any(
                other.bottom > block.bottom and other.top < block.bottom + style.height for other in others
            ):
                kind = "header"
            elif block.top > (1 - margin) * page_height and not any(
                other.top < block.top and other.bottom > block.top - style.height for other in others
            ):
                kind = "footer"
        result.append(replace(block, kind=kind))
    return result


def _block(rows: Sequence[Row], kind: BlockKind) -> Block:
    return Block(
        kind=kind,
        lines=tuple(number for row in rows for number in row.lines),
        left=min(row.left for row in rows),
        top=min(row.top for row in rows),
        right=max(row.right for row in rows),
        bottom=max(row.bottom for row in rows),
    )

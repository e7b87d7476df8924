"""Lines of text on a page, and the rows they form: the ground that the layout of a page is found on.

Coordinates are points from the page's upper left corner. Everything here is geometry; nothing knows a PDF file.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

SAME_ROW = 0.5  # of the smaller height that has to overlap
MARKS = frozenset("•◦▪▫●○■□‣⁃∙·–—-*∞\uf0b7\uf0a7")
MARK_GAP = 4.0  # heights between the mark of a list item and its text
WORD_GAP = 1.2  # heights; a wider gap separates columns or cells


@dataclass(frozen=True, slots=True)
class Line:
    """A run of text with one font, as a parser found it."""

    text: str = field(repr=False)
    left: float
    top: float
    right: float
    bottom: float
    font: str = ""
    bold: bool = False
    right_to_left: bool = False

    @property
    def height(self) -> float:
        """Of its characters."""
        return max(self.bottom - self.top, 0.1)


@dataclass(frozen=True)
class Row:
    """Lines beside each other that are read as one.

    Attributes:
        lines: the numbers of its lines, in the order in which they are read.
    """

    lines: tuple[int, ...]
    text: str = field(repr=False)
    left: float
    top: float
    right: float
    bottom: float
    font: str
    bold: bool

    @property
    def height(self) -> float:
        return max(self.bottom - self.top, 0.1)

    @property
    def width(self) -> float:
        return max(self.right - self.left, 0.1)

    def beside(self, other: Row) -> bool:
        """Whether both stand at the same height."""
        shared = min(self.bottom, other.bottom) - max(self.top, other.top)
        return shared > SAME_ROW * min(self.height, other.height)


@dataclass(frozen=True)
class PageStyle:
    """What most of the page's text looks like."""

    height: float
    font: str
    bold: bool
    gap: float

    @classmethod
    def of(cls, rows: Sequence[Row]) -> PageStyle:
        """By the number of characters in each style, and the usual distance between two rows."""
        heights: Counter[float] = Counter()
        fonts: Counter[str] = Counter()
        bold = 0
        for row in rows:
            heights[round(row.height, 1)] += len(row.text)
            fonts[row.font] += len(row.text)
            bold += len(row.text) if row.bold else -len(row.text)
        height = heights.most_common(1)[0][0] if rows else 10.0
        gaps = sorted(_gaps(rows, height))
        return cls(
            height=height,
            font=fonts.most_common(1)[0][0] if rows else "",
            bold=bold > 0,
            gap=gaps[len(gaps) // 2] if gaps else 0.3 * height,
        )


def rows_of(lines: Sequence[Line]) -> list[Row]:
    """The rows, from top to bottom."""
    order = sorted(
        (n for n, line in enumerate(lines) if line.text.strip()), key=lambda n: (lines[n].top, lines[n].left)
    )
    open_rows: list[list[int]] = []
    done: list[list[int]] = []
    for number in order:
        line = lines[number]
        still_open = []
        home = None
        for members in open_rows:
            if max(lines[n].bottom for n in members) < line.top:
                done.append(members)
                continue
            still_open.append(members)
            if home is None and any(_continues(lines[n], line) for n in members):
                home = members
        open_rows = still_open
        if home is None:
            open_rows.append([number])
        else:
            home.append(number)
    rows = [_row(lines, members) for members in _joined(lines, done + open_rows)]
    return sorted(rows, key=lambda row: (row.top, row.left))


def _joined(lines: Sequence[Line], groups: list[list[int]]) -> list[list[int]]:
    """Groups that a later line has connected are one."""
    groups = sorted(
        groups, key=lambda members: (min(lines[n].top for n in members), min(lines[n].left for n in members))
    )
    result: list[list[int]] = []
    for members in groups:
        for other in result[-8:]:
            if any(_continues(lines[a], lines[b]) for a in other for b in members):
                other.extend(members)
                break
        else:
            result.append(members)
    return result


def _continues(one: Line, other: Line) -> bool:
    shared = min(one.bottom, other.bottom) - max(one.top, other.top)
    smaller, larger = sorted((one.height, other.height))
    gap = max(one.left, other.left) - min(one.right, other.right)
    first = one if one.left <= other.left else other
    widest = MARK_GAP if first.text.strip() in MARKS else WORD_GAP
    return shared > SAME_ROW * smaller and -2 * larger < gap < widest * smaller


def _row(lines: Sequence[Line], members: list[int]) -> Row:
    right_to_left = sum(len(lines[n].text) * (1 if lines[n].right_to_left else -1) for n in members) > 0
    ordered = sorted(members, key=lambda n: -lines[n].right if right_to_left else lines[n].left)
    main = max(members, key=lambda n: len(lines[n].text))
    return Row(
        lines=tuple(ordered),
        text=" ".join(lines[n].text.strip() for n in ordered),
        left=min(lines[n].left for n in members),
        top=lines[main].top,
        right=max(lines[n].right for n in members),
        bottom=lines[main].bottom,
        font=lines[main].font,
        bold=all(lines[n].bold for n in members if any(map(str.isalnum, lines[n].text))),
    )


def _gaps(rows: Sequence[Row], height: float) -> list[float]:
    gaps = []
    for above, below in itertools.pairwise(rows):
        gap = below.top - above.bottom
        overlaps = min(above.right, below.right) > max(above.left, below.left)
        if overlaps and -0.3 * height < gap < 2 * height:
            gaps.append(gap)
    return gaps

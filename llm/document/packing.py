"""Cuts a stretch of text into pieces of limited size that overlap a little: pure positions, no copies of the text.

Invariants, for every text: no piece is longer than `size`; neighbours share at most `overlap` characters; pieces begin
and end with a character that is not white space, both their beginnings and their ends go forward, and together they
hold every character of the stretch that is not white space.
"""

from __future__ import annotations

from collections.abc import Iterator

from .boundaries import Boundaries, skip_space, strip_space
from .graphemes import first_between_characters, last_between_characters


def pack(
    boundaries: Boundaries, start: int, end: int, *, size: int, overlap: int, fill: float
) -> Iterator[tuple[int, int]]:
    """Pieces of a stretch of a text, as (start, end).

    Args:
        boundaries: the whole text, and where it is best cut.
        start, end: the stretch of it to cut.
        size: the most characters of a piece.
        overlap: the most characters that neighbours share; at most half of `size`.
        fill: share of `size` below which a piece is not cut for the sake of a better place, from 0 to 1.
    """
    text = boundaries.text
    end = strip_space(text, start, end)
    at = skip_space(text, start, end)
    reached = at
    while at < end:
        if end - at <= size:
            yield at, end
            return
        # Each piece has to bring something new, so it ends behind the first character that no piece holds yet.
        fresh = skip_space(text, reached, end)
        cut = boundaries.best_end(max(at + int(size * fill), fresh), fresh, at + size, size=size)
        if cut is None and fresh > reached > at:
            at = reached = fresh  # a word too long to stand behind the overlap may fit without it
            continue
        if cut is None:
            cut = last_between_characters(text, fresh, at + size)
        reached = strip_space(text, at + 1, cut)
        yield at, reached
        at = _next_start(boundaries, at, reached, end, overlap)
        reached = max(reached, at)


def _next_start(boundaries: Boundaries, at: int, cut: int, end: int, overlap: int) -> int:
    # Half of a piece at least is new, so that short pieces do not repeat each other many times.
    low = max(cut - overlap, (at + cut + 1) // 2)
    start = boundaries.first_start(low, cut)
    if start is not None:
        return start
    text = boundaries.text
    if text[cut].isspace():
        return skip_space(text, cut, end)
    return first_between_characters(text, low, cut)

"""Where a text is best cut: behind a paragraph, a sentence, a line, a clause, a word, in this order.

Sentences are found once for the whole text, everything else by looking at the few characters around a cut, so that
cutting takes time in proportion to the text, whatever it holds.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence

_STOP = re.compile(r"[.!?…。．｡！？][\"'”’»)\]）」』】〉》]*")
_IDEOGRAPHIC_STOPS = frozenset("。．｡！？")
_LINE = re.compile(r"[\n\x0b\x0c\r\x85\u2028\u2029]")
_CLAUSE = re.compile(r"[,;:](?=\s)|\s(?=[|(–—])|[、，；：]")
_INK = re.compile(r"\S")
_LAST_WORD = re.compile(r"[^\W_]+(?:\.[^\W_]+)*\Z")
_ABBREVIATION = re.compile(
    r"dr|mrs?|ms|prof|st|vs|nos?|figs?|eq|sec|ch|vol|pp|eds?|al|cf|approx|ca|inc|ltd|corp?|e\.g|i\.e|a\.m|p\.m|u\.s|u\.k"
    r"|jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec|nr|abs|art|bzw|usw|z\.b|d\.h|u\.a|ggf|inkl|vgl|s\.o|s\.u",
    re.IGNORECASE,
)
_WORD_END = re.compile(r"\s|[\u3041-\u309f][\u30a1-\u30fa\u4e00-\u9fff]")


class Boundaries:
    """The places of one text at which a piece may end or begin.

    Args:
        text: the whole text.
        block_ends: sorted positions behind paragraphs, tables and so on: the best places to cut.
        tables: sorted beginnings and ends of what is not cut where a piece can hold it.
    """

    def __init__(self, text: str, block_ends: Sequence[int], tables: Sequence[tuple[int, int]] = ()) -> None:
        self.text = text
        self._block_ends = block_ends
        self._tables = tables
        self._sentence_ends = [match.end() for match in _STOP.finditer(text) if _ends_sentence(text, match)]

    def best_end(self, floor: int, lowest: int, limit: int, *, size: int) -> int | None:
        """Where a piece of at most `size` characters ends: best in (`floor`, `limit`], at least in (`lowest`, `limit`].

        None where there is no place behind a word. `limit` lies within the text.
        """
        before_table = self._end_before_table(limit, size)
        if before_table > lowest:
            return before_table
        for ends in (self._block_ends, self._sentence_ends):
            index = bisect_right(ends, limit) - 1
            if index >= 0 and ends[index] > floor:
                return ends[index]
        for pattern in (_LINE, _CLAUSE):
            last = None
            for match in pattern.finditer(self.text, floor, min(limit + 2, len(self.text))):
                end = match.start() if match[0].isspace() else match.end()
                if floor < end <= limit:
                    last = end
            if last is not None:
                return last
        return self._word_end(lowest, limit)

    def first_start(self, low: int, high: int) -> int | None:
        """The first place in [`low`, `high`) where a sentence begins, else a word; None where neither does."""
        index = bisect_left(self._sentence_ends, low - 1)
        if index < len(self._sentence_ends):
            start = skip_space(self.text, self._sentence_ends[index], high)
            if low <= start < high:
                return start
        for position in range(low, high) if _WORD_END.search(self.text, low - 1, high) else ():
            if self._begins_word(position):
                return position
        return None

    def _end_before_table(self, limit: int, size: int) -> int:
        """The end of the block before the table that a cut at `limit` would part, if a piece can hold it; else 0."""
        index = bisect_left(self._tables, (limit,)) - 1
        if index < 0:
            return 0
        start, end = self._tables[index]
        if not limit < end <= start + size:
            return 0
        block = bisect_right(self._block_ends, start) - 1
        return self._block_ends[block] if block >= 0 else 0

    def _word_end(self, lowest: int, limit: int) -> int | None:
        if not _WORD_END.search(self.text, lowest, limit + 1):
            return None
        for position in range(limit, lowest, -1):
            if self.text[position].isspace() or self._begins_word(position):
                return position
        return None

    def _begins_word(self, position: int) -> bool:
        before, after = self.text[position - 1], self.text[position]
        if before.isspace():
            return not after.isspace()
        # Japanese has no spaces; a kanji or katakana after hiragana mostly begins a word.
        return "\u3041" <= before <= "\u309f" and ("\u30a1" <= after <= "\u30fa" or "\u4e00" <= after <= "\u9fff")


def skip_space(text: str, start: int, end: int) -> int:
    """The first position from `start` on that holds no white space; `end` where there is none."""
    found = _INK.search(text, start, end)
    return found.start() if found else end


def strip_space(text: str, start: int, end: int) -> int:
    """`end`, moved back over white space as far as `start`."""
    while end > start and text[end - 1].isspace():
        end -= 1
    return end


def _ends_sentence(text: str, match: re.Match[str]) -> bool:
    """Whether a stop ends a sentence, and not an abbreviation, an initial or the whole part of a number."""
    stop, end = match[0][0], match.end()
    if stop in _IDEOGRAPHIC_STOPS or end == len(text):
        return True
    if not text[end].isspace():
        return False
    if stop != ".":
        return True
    word = _LAST_WORD.search(text, max(0, match.start() - 24), match.start())
    if word is None:
        return True
    if _ABBREVIATION.fullmatch(word[0]) or (len(word[0]) == 1 and word[0].isalpha()):
        return False
    # A short word, a stop and a small letter: rather an abbreviation that is not in the list.
    return len(word[0]) > 3 or not text[skip_space(text, end, min(end + 16, len(text) - 1))].islower()

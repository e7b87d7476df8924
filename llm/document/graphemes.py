"""Where a text can be cut without cutting what a reader sees as one character: a letter with its accents, an emoji.

A small part of Unicode's rules for grapheme clusters (UAX 29), enough for the scripts and emoji in use.
"""

from __future__ import annotations

import unicodedata

_JOINER = "\u200d"
_SPACING_MARKS = frozenset("\u200c\u200d\u0e33\u0eb3\uff9e\uff9f")


def is_between_characters(text: str, position: int, floor: int) -> bool:
    """Whether a cut at `position` leaves every visible character whole.

    `floor` is an earlier position for which this holds, or the beginning.
    """
    before, after = text[position - 1], text[position]
    if after < "\u0300":
        return not (before == "\r" and after == "\n")
    if after in _SPACING_MARKS or unicodedata.category(after)[0] == "M" or "\U0001f3fb" <= after <= "\U0001f3ff":
        return False
    if "\U000e0020" <= after <= "\U000e007f":
        return False
    if before == _JOINER:
        return unicodedata.category(after) != "So"
    if _is_regional(before) and _is_regional(after):
        return _regional_run(text, position, floor) % 2 == 0
    if "\u1160" <= after <= "\u11ff" or "\ud7b0" <= after <= "\ud7ff":
        return False
    if "\u1100" <= before <= "\u115f" or "\ua960" <= before <= "\ua97c":
        return not ("\u1100" <= after <= "\u115f" or "\ua960" <= after <= "\ua97c" or "\uac00" <= after <= "\ud7a3")
    # A virama joins the consonant before it with the one behind it.
    return not (unicodedata.combining(before) == 9 and unicodedata.category(after) == "Lo")


def last_between_characters(text: str, low: int, high: int) -> int:
    """The last position in (`low`, `high`] that cuts no visible character; `high` where every one does."""
    for position in range(high, low, -1):
        if is_between_characters(text, position, low):
            return position
    return high


def first_between_characters(text: str, low: int, high: int) -> int:
    """The first position in [`low`, `high`) that cuts no visible character; `high` where every one does."""
    floor = max(0, low - 64)
    for position in range(low, high):
        if is_between_characters(text, position, floor):
            return position
    return high


def _is_regional(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"


def _regional_run(text: str, position: int, floor: int) -> int:
    start = position
    while start > floor and _is_regional(text[start - 1]):
        start -= 1
    return position - start

"""Compare rendered texts by marker instead of by character.

Two texts that go on with ``<tool_call>`` and ``<think>`` have ``<t`` in common, which means nothing. So texts are cut
into markers, words and single characters, and only whole ones count.
"""

from __future__ import annotations

import re

_TOKEN = re.compile(r"<[^<>\s]*>|<[^\s<>]+|\[/?[A-Z_]+\]|\w+|.", re.DOTALL)


def cut(text: str) -> list[str]:
    """The text's markers, words and other characters, in order."""
    return _TOKEN.findall(text)


def common_start(*texts: str) -> str:
    """The longest text of whole markers that all of them begin with."""
    shared = []
    for tokens in zip(*map(cut, texts), strict=False):
        if len(set(tokens)) > 1:
            break
        shared.append(tokens[0])
    return "".join(shared)


def common_end(*texts: str) -> str:
    """The longest text of whole markers that all of them end with."""
    shared = []
    for tokens in zip(*(reversed(cut(text)) for text in texts), strict=False):
        if len(set(tokens)) > 1:
            break
        shared.append(tokens[0])
    return "".join(reversed(shared))


def shared_prefix(left: str, right: str) -> int:
    """Length of the longest common beginning, by character."""
    size = 0
    for a, b in zip(left, right, strict=False):
        if a != b:
            break
        size += 1
    return size


def shared_suffix(left: str, right: str) -> int:
    """Length of the longest common end, by character."""
    return shared_prefix(left[::-1], right[::-1])


def split_between(text: str, *, before: str, after: str) -> tuple[str, str, str]:
    """Cut what stands between two things into what closes the first, what separates them, and what opens the second.

    Args:
        text: all three in one, as between two calls: ``</call>\\n<call>``.
        before: a text that ends with the opening part: what stands before the first call.
        after: a text that begins with the closing part: what stands after the last one.

    The opening part begins with a marker. Where several cuts fit, it is the shortest, so white space and whatever else
    stands in both parts goes to the closing one.
    """
    earliest = len(text) - shared_suffix(text, before)
    latest = shared_prefix(text, after)
    starts = _marker_starts(text)
    whole = len(text) - earliest == len(before)
    if whole and (earliest in _word_starts(text) or text[earliest : earliest + 1] == " "):
        start = earliest
    elif earliest <= latest:
        fitting = [at for at in _word_starts(text) if earliest <= at <= latest]
        fitting = [at for at in fitting if re.search(r"\w", text[at:])] or fitting
        # Opening and closing markers of one family begin alike; failing that, any marker will do.
        alike = [at for at in fitting if text[at] == text.strip()[:1]]
        start = max(alike or [at for at in fitting if at in starts], default=latest)
    else:
        start = min((at for at in starts if at >= earliest), default=len(text))
    closing = text[:start] if start <= latest else common_start(text[:start], after)
    if not closing.strip():
        closing = ""
    return closing, text[len(closing) : start], text[start:]


def _marker_starts(text: str) -> list[int]:
    """Where markers begin; where there are none, where words do."""
    starts = _word_starts(text)
    return [start for start in starts if text[start] in "<["] or starts


def _word_starts(text: str) -> list[int]:
    return [match.start() for match in _TOKEN.finditer(text) if not match.group().isspace()]

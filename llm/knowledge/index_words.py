"""Text as the full-text index sees it, and questions as it is asked them. Pure.

The index cuts at spaces and punctuation, which scripts without spaces do not have: their characters are set apart, and
a question's run of them becomes a phrase. Words that stand in every text are not asked for.
"""

from __future__ import annotations

import re

_APART = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")
_WORDS = re.compile(r"[^\W_]+", re.UNICODE)
_LONGEST_QUESTION = 64  # words

_FREQUENT = frozenset(
    """
    a about all also an and any are as at be been but by can could did do does for from had has have he her his how i if
    in into is it its just me more most my no not of on one or our she should so some such tell than that the their them
    then there these they this to us was we were what when where which who whom whose why will with would you your
    der die das den dem des ein eine einem einen einer eines und oder aber nicht kein ist sind war waren wird werden
    wurde wurden hat haben hatte im in am an auf aus bei mit nach seit von vom zu zum zur für über unter als auch es er
    sie wir ihr ich was wer wie wo wann warum welche welcher welches
    le la les un une des du de et ou est sont dans pour par sur avec que qui quoi
    el los las una uno unos unas y o es son en por para con que quien como
    """.split()  # noqa: SIM905 - a list of this length is not readable
)


def indexed_text(text: str) -> str:
    """The text as it is put into the index; deleting takes the same again."""
    return _APART.sub(lambda found: f" {found[0]} ", text)


def match_expression(query: str) -> str | None:
    """A question in the index's own language: any of its telling words, and those that stand side by side as phrases.

    None where it has no words.
    """
    words = [word.lower() for word in _WORDS.findall(query)][:_LONGEST_QUESTION]
    telling = [word not in _FREQUENT for word in words]
    if not any(telling):
        telling = [True] * len(words)
    single = [word for word, tells in zip(words, telling, strict=True) if tells]
    pairs = [
        f"{first} {second}"
        for first, second, both in zip(words, words[1:], map(min, telling, telling[1:]), strict=False)
        if both
    ]
    phrases = [" ".join(indexed_text(phrase).split()) for phrase in dict.fromkeys((*single, *pairs))]
    return " OR ".join(f'"{phrase}"' for phrase in phrases if phrase) or None

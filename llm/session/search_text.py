"""What a search in messages compares: the same letters however they are written, the same in every store."""

from __future__ import annotations

import re
import unicodedata

from ..exceptions import RequestError

_UNKEEPABLE = re.compile("[\0\ud800-\udfff]")
_MAX_QUERY = 1000  # characters: SQLite refuses patterns of 50,000 bytes


def folded(text: str) -> str:
    """Text without case and compatibility forms, and without what a database cannot keep."""
    return unicodedata.normalize("NFKC", _UNKEEPABLE.sub("\ufffd", text).casefold())


def search_words(text: object) -> tuple[str, ...]:
    """The words that a message must have.

    Raises:
        RequestError: there are none, or too much of them.
    """
    if not isinstance(text, str) or not text.strip() or len(text) > _MAX_QUERY:
        raise RequestError(f"A search needs a text of 1 to {_MAX_QUERY} characters with at least one word.")
    return tuple(folded(text).split())


def has_words(folded_text: str, words: tuple[str, ...]) -> bool:
    """Whether a folded text has every word somewhere."""
    return all(word in folded_text for word in words)

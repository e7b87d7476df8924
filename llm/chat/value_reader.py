"""Read the text of one value while it arrives, without understanding it: only where it ends.

Each function hands on the text as it comes and returns True where the value is complete.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from .reader import Reader, Reading, held_back

Sink = Callable[[str], None]

_BETWEEN_STRINGS = re.compile(r"[\s\w+\-.,:]+")
_BARE = re.compile(r"[^\"'()\[\]{},<]+")


class ValueReader:
    """Reads values from a reader."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def json(self, sink: Sink) -> Reading[bool]:
        """A JSON value. What follows a number or word is not read."""
        reader = self._reader
        closes: list[str] = []
        while (yield from reader.more(1)):
            char = reader.text[0]
            if char in "\"'":
                if not (yield from self.string(sink)):
                    return False
            elif char in "{[":
                closes.append("}" if char == "{" else "]")
                sink(reader.take(1))
                continue
            elif char in "}]" and closes:
                if closes.pop() != char:
                    return False
                sink(reader.take(1))
            elif not closes and char in ",}] \n\t\r":
                return True
            else:
                plain = _BETWEEN_STRINGS.match(reader.text)
                if plain is None:
                    return False
                sink(reader.take(plain.end() if closes else 1))
                continue
            if not closes:
                return True
        return False

    def string(self, sink: Sink) -> Reading[bool]:
        """A string between two quotes of one kind, with backslashes."""
        reader = self._reader
        quote = reader.text[0]
        sink(reader.take(1))
        plain = re.compile(rf"[^{quote}\\]+")
        while (yield from reader.more(1)):
            char = reader.text[0]
            if char == quote:
                sink(reader.take(1))
                return True
            if char == "\\":
                if not (yield from reader.more(2)):
                    return False
                sink(reader.take(2))
                continue
            found = plain.match(reader.text)
            sink(reader.take(found.end() if found else 1))
        return False

    def quoted(self, quote: str, sink: Sink) -> Reading[bool]:
        """A string between two quotes of several characters, without backslashes."""
        reader = self._reader
        sink(reader.take(len(quote)))
        return (yield from self.until(quote, (), sink, keep_close=True))

    def bare(self, quote: str, sink: Sink) -> Reading[bool]:
        """A value in any notation, up to the comma or bracket after it, which is not read.

        Args:
            quote: what stands around strings besides the usual quotes.
            sink: takes the text.
        """
        reader = self._reader
        depth = 0
        while (yield from reader.more(1)):
            char = reader.text[0]
            if len(quote) > 1 and char == quote[0] and (yield from reader.find(quote)) >= 0:
                if not (yield from self.quoted(quote, sink)):
                    return False
            elif char in "\"'":
                if not (yield from self.string(sink)):
                    return False
            elif depth == 0 and char in ",)]}":
                return True
            else:
                depth += (char in "([{") - (char in ")]}")
                plain = _BARE.match(reader.text)
                sink(reader.take(plain.end() if plain else 1))
        return False

    def until(self, close: str, follows: Iterable[str], sink: Sink, *, keep_close: bool = False) -> Reading[bool]:
        """Text up to a closing marker, which is read.

        Args:
            close: the marker. White space that it begins with belongs to it where it is there.
            follows: what may stand behind the marker; where none of them does, the marker is part of the text. Nothing
                is asked for where it is empty.
            sink: takes the text.
            keep_close: hand on the marker as well.
        """
        reader = self._reader
        core = close.strip()
        space = close[: len(close) - len(close.lstrip())]
        marks = [mark for mark in follows if mark.strip()]
        while True:
            at = reader.text.find(core)
            if at >= 0 and not (yield from self._goes_on(at + len(core), marks)):
                sink(reader.take(at + 1))
            elif at >= 0:
                sink(reader.take(at).removesuffix(space))
                closing = reader.take(len(core))
                sink(closing if keep_close else "")
                return True
            else:
                certain = len(reader.text) - held_back(reader.text, (core,)) - len(space)
                sink(reader.take(len(reader.text) if reader.closed else max(certain, 0)))
                if reader.closed:
                    reader.starved = True
                    return False
                yield

    def _goes_on(self, at: int, marks: list[str]) -> Reading[bool]:
        for mark in marks:
            if (yield from self._reader.find(mark, at)) >= 0:
                return True
        return not marks or (self._reader.closed and not self._reader.text[at:].strip())

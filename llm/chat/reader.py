"""Text that arrives piece by piece, read as if it were all there.

A reading function is a generator: where it needs text that has not come yet it yields, and goes on from there when the
text has come. So each format is written down as plain recursive descent, and a reply split anywhere reads the same.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from typing import TypeVar

T = TypeVar("T")
Reading = Generator[None, None, T]
"""A function that yields when it has to wait for text, and returns a T."""

_MAX_GAP = 256


class Reader:
    """What has come and has not been read.

    Attributes:
        text: the unread text. It stays short: whoever waits has read, or decided to keep, all that he could.
        closed: no more text will come.
        starved: text was asked for and none was left.
    """

    def __init__(self) -> None:
        self.text = ""
        self.closed = False
        self.starved = False
        self._kept: list[list[str]] = []

    def take(self, size: int) -> str:
        """Read that many characters."""
        taken, self.text = self.text[:size], self.text[size:]
        for kept in self._kept:
            kept.append(taken)
        return taken

    def keep(self) -> None:
        """From here on, remember what is read, until the matching `kept`."""
        self._kept.append([])

    def kept(self) -> str:
        """What was read since the matching `keep`."""
        return "".join(self._kept.pop())

    def more(self, size: int) -> Reading[bool]:
        """Wait until there are that many characters; False where the text ends before."""
        while len(self.text) < size:
            if self.closed:
                self.starved = True
                return False
            yield
        return True

    def peek(self) -> Reading[str]:
        """The next character; empty at the end."""
        yield from self.more(1)
        return self.text[:1]

    def skip_space(self, kinds: str | None = None) -> Reading[None]:
        """Read white space, or only these kinds of it."""
        while True:
            self.take(len(self.text) - len(self.text.lstrip(kinds)))
            if self.text or self.closed:
                return
            yield

    def find(self, mark: str, at: int = 0) -> Reading[int]:
        """Where `mark` ends, if the text goes on with it at position `at`; -1 if not. Nothing is read.

        Between its words the mark may have more or less white space than it is written with, and before it.
        """
        for word in mark.split():
            gap = at
            while True:
                while at < len(self.text) and self.text[at].isspace():
                    at += 1
                if at < len(self.text) or self.closed or at - gap > _MAX_GAP:
                    break
                yield
            for char in word:
                if not (yield from self.more(at + 1)) or self.text[at] != char:
                    return -1
                at += 1
        return at

    def skip(self, mark: str) -> Reading[bool]:
        """Read `mark` if the text goes on with it."""
        end = yield from self.find(mark)
        if end > 0:
            self.take(end)
        return end >= 0

    def run(self, pattern: re.Pattern[str], *, most: int) -> Reading[str]:
        """Read characters as long as each matches `pattern`, at most so many."""
        read: list[str] = []
        while len(read) < most and (yield from self.more(1)) and pattern.match(self.text[0]):
            read.append(self.take(1))
        return "".join(read)


def held_back(text: str, marks: tuple[str, ...]) -> int:
    """How many characters at the end of `text` may be the beginning of one of the marks."""
    longest = max(map(len, marks), default=1) - 1
    for size in range(min(longest, len(text)), 0, -1):
        tail = text[-size:]
        if any(mark.startswith(tail) for mark in marks):
            return size
    return 0

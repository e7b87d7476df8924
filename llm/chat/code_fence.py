"""Take the code fence off a JSON reply: models that were asked for JSON like to put it between backquotes."""

from __future__ import annotations

import re

_OPENING = re.compile(r"\s*```[A-Za-z]*[ \t]*\n")
_MAY_OPEN = re.compile(r"\s*(`{0,2}|```[A-Za-z]{0,16}[ \t]*)\Z")
_CLOSING = re.compile(r"\s*`{0,3}\s*\Z")


class CodeFence:
    """Passes text on, without a fence around the whole of it."""

    def __init__(self) -> None:
        self._held = ""
        self._started = False
        self._inside = False

    def feed(self, text: str) -> str:
        """What is certain to be inside, or not in a fence at all."""
        text = self._held + text
        self._held = ""
        if not self._started:
            opening = _OPENING.match(text)
            if opening is None and _MAY_OPEN.match(text):
                self._held = text
                return ""
            self._started, self._inside = True, opening is not None
            text = text[opening.end() :] if opening else text
        if not self._inside:
            return text
        closing = _CLOSING.search(text)
        end = closing.start() if closing else len(text)
        self._held = text[end:]
        return text[:end]

    def finish(self) -> str:
        """What was held back and is not the closing fence."""
        held, self._held = self._held, ""
        return "" if self._inside and "```" in held else held

"""Where a command writes: results to standard output, everything else to standard error.

Text from models, documents and file names is data. On a terminal its control characters are shown and not obeyed, so
that a document cannot move the cursor or change the window; into a file or a pipe it goes as it is.
"""

from __future__ import annotations

import json
import sys
import unicodedata
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, TextIO


class Output:
    """Writes what a command has to say.

    Args:
        as_json: results are JSON: one object, or one in each line where there are several.
        quiet: no notes, errors only.
    """

    def __init__(self, *, as_json: bool = False, quiet: bool = False) -> None:
        self.as_json = as_json
        self.quiet = quiet

    @property
    def to_person(self) -> bool:
        """Whether somebody reads the result on a terminal."""
        return not self.as_json and sys.stdout.isatty()

    @property
    def watched(self) -> bool:
        """Whether somebody can see a bar on standard error."""
        return not self.quiet and sys.stderr.isatty()

    def write(self, text: str) -> None:
        """A piece of a result, seen at once."""
        _write(sys.stdout, text)

    def line(self, text: str = "") -> None:
        """A line of a result."""
        self.write(f"{text}\n")

    def document(self, value: Any) -> None:
        """A result as one line of JSON."""
        _write(sys.stdout, _json(value, sys.stdout) + "\n")

    def note(self, text: str) -> None:
        """Something that a person may want to know and that is no result."""
        if not self.quiet:
            _tell(text)

    def error(self, text: str, *, kind: str, code: int) -> None:
        """Why the command did not do what it was asked."""
        if self.as_json:
            text = _json({"error": {"type": kind, "message": text, "exit_code": code}}, sys.stderr)
        else:
            text = f"practorflow: {text}"
        _tell(text)

    def table(self, headings: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Rows for a person in columns; into a pipe with a tab between the fields and without headings."""
        texts = [[_field(value) for value in row] for row in rows]
        if not sys.stdout.isatty():
            for row in texts:
                self.line("\t".join(row))
            return
        lines = [list(headings), *texts]
        widths = [max(_width(line[column]) for line in lines) for column in range(len(headings))]
        for line in lines:
            padded = (text + " " * (width - _width(text)) for text, width in zip(line, widths, strict=True))
            self.line("  ".join(padded).rstrip())

    def facts(self, values: Mapping[str, object]) -> None:
        """Named values, one in a line."""
        self.table(("", ""), list(values.items())) if not sys.stdout.isatty() else self._aligned(values)

    def _aligned(self, values: Mapping[str, object]) -> None:
        width = max(map(len, values), default=0)
        for name, value in values.items():
            self.line(f"{name:{width}}  {_field(value)}")


def visible(text: str) -> str:
    """The text with its control characters written out, line breaks and tabs excepted."""
    if all(character in "\n\t" or unicodedata.category(character) != "Cc" for character in text):
        return text
    return "".join(
        character if character in "\n\t" or unicodedata.category(character) != "Cc" else f"\\x{ord(character):02x}"
        for character in text
    )


def one_line(text: str) -> str:
    """The text without line breaks, for a place where one would begin a new row."""
    return " ".join(text.split())


def size(count: float) -> str:
    """Bytes for people, in powers of ten as disks and hubs count them."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.{0 if count >= 100 else 1}f} {unit}"
        count /= 1000
    raise AssertionError


def _field(value: object) -> str:
    """One cell: a line break in it would begin a new row."""
    return one_line(str(value)) if value is not None else "-"


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in visible(text))


def _json(value: Any, stream: TextIO) -> str:
    """JSON in one line, with \\u escapes where the stream's encoding has no other way to say something."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    try:
        text.encode(stream.encoding or "ascii")
    except UnicodeEncodeError:
        return json.dumps(value, default=str)
    return text


def _tell(text: str) -> None:
    """A line on standard error. Where that cannot be written nobody can be told so, and the work goes on."""
    with suppress(OSError):
        _write(sys.stderr, f"{text}\n")


def _write(stream: TextIO, text: str) -> None:
    if stream.isatty():
        text = visible(text)
    try:
        try:
            stream.write(text)
        except UnicodeEncodeError:
            encoding = stream.encoding or "ascii"
            stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
        stream.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OSError(error.errno, error.strerror, "standard output") from error

"""What comes through standard input, as text, or an error that says what is wrong with it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from ..exceptions import RequestError


def read_all() -> str:
    """Everything until its end.

    Raises:
        RequestError: it is no text in the encoding of standard input.
    """
    with _decoded():
        return sys.stdin.read()


def read_line() -> str | None:
    """The next line without the spaces around it, None at the end.

    Raises:
        RequestError: it is no text in the encoding of standard input.
    """
    with _decoded():
        line = sys.stdin.readline()
    return line.strip() if line else None


@contextmanager
def _decoded() -> Iterator[None]:
    try:
        yield
    except UnicodeDecodeError as error:
        raise RequestError(
            f"Standard input is not text in {error.encoding}. Convert it first, for instance with iconv."
        ) from None

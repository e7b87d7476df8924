"""A document loader for plain text, without a process of its own. For tests of what stands on one.

A form feed begins a new page, and a line that begins with ``#`` is a heading.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable

from ..document.document import DocumentItem, LoadedDocument
from ..exceptions import DocumentEncodingError

_PARAGRAPH = re.compile(r"[^\n\f](?:[^\n\f]|\n(?!\n))*")


class TextLoader:
    """Reads UTF-8.

    Args:
        before_load: called with the file's name before each document, on the reading thread; a test may block here.

    Attributes:
        loaded: names of the documents that were read, in order.
    """

    def __init__(self, *, before_load: Callable[[str], None] | None = None) -> None:
        self.loaded: list[str] = []
        self._before_load = before_load

    def load_bytes(self, data: bytes, filename: str) -> LoadedDocument:
        """The document.

        Raises:
            DocumentEncodingError: it is not UTF-8.
        """
        if self._before_load is not None:
            self._before_load(filename)
        try:
            text = data.decode()
        except UnicodeDecodeError:
            text = None
        if text is None:
            raise DocumentEncodingError(f"{filename!r} is not UTF-8.", filename=filename)
        self.loaded.append(filename)
        pages = text.count("\f") + 1 if "\f" in text else None
        return LoadedDocument(
            filename=filename,
            file_type="txt",
            text=text,
            items=tuple(_item(text, found, pages) for found in _PARAGRAPH.finditer(text)),
            page_count=pages,
            sha256=hashlib.sha256(data).hexdigest(),
        )

    def close(self) -> None:
        """There is nothing to free."""


def _item(text: str, found: re.Match[str], pages: int | None) -> DocumentItem:
    page = None if pages is None else text.count("\f", 0, found.start()) + 1
    heading = found[0].startswith("#")
    return DocumentItem("heading" if heading else "paragraph", found.start(), found.end(), page, level=int(heading))

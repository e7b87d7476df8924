"""What a loaded document is: its whole text, and where in it which kind of thing stands.

Invariant: items are in reading order, do not overlap, and `text[item.start:item.end]` is the item's text.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

ItemKind = Literal["title", "heading", "paragraph", "list_item", "table", "code", "caption", "note"]


@dataclass(frozen=True, slots=True)
class DocumentItem:
    """A heading, a paragraph, a table ... of a document.

    Attributes:
        kind: what it is; a `note` is a speaker's note, a comment or a footnote.
        start, end: where it stands in the document's text, in characters.
        page: page, slide or sheet, from 1; None where the format has none.
        part: name of the sheet or slide, where it has one.
        level: depth of a heading, from 1; 0 for everything else.
    """

    kind: ItemKind
    start: int
    end: int
    page: int | None = None
    part: str | None = None
    level: int = 0


@dataclass(frozen=True, slots=True)
class LoadedDocument:
    """A document as text.

    Attributes:
        filename: as it was given, without folders; data, never a path to open.
        file_type: "pdf", "docx", "pptx", "xlsx", "html", "md", "csv", "txt" or "image".
        text: the whole text, each item followed by a blank line.
        items: what stands where in it.
        page_count: pages, slides or sheets; None where the format has none.
        sha256: of the file's bytes, in hexadecimal.
        complete: False when something of the document is missing, which `warnings` then names.
        warnings: what a reader should know, such as pages without text; never text of the document.
    """

    filename: str
    file_type: str
    text: str = field(repr=False)
    items: tuple[DocumentItem, ...] = field(repr=False)
    page_count: int | None
    sha256: str
    complete: bool = True
    warnings: tuple[str, ...] = ()

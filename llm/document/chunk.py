"""Large and small pieces of a document: the small ones are searched, the large ones are returned."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class RetrievalChunk:
    """A small piece; `start` and `end` are characters of the document's text."""

    text: str = field(repr=False)
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class ContextChunk:
    """A large piece and the small ones in it.

    Attributes:
        text: what a model gets to read; equals the document's text from `start` to `end`.
        start, end: characters of the document's text.
        page: page, slide or sheet on which it begins; None where the format has none.
        last_page: the one on which it ends.
        part: name of the sheet or slide, where it has one.
        headings: the headings above it, outermost first.
        retrieval: the small pieces; together they cover every character that is not white space.
    """

    text: str = field(repr=False)
    start: int
    end: int
    page: int | None
    last_page: int | None
    part: str | None
    headings: tuple[str, ...] = field(repr=False)
    retrieval: tuple[RetrievalChunk, ...] = field(repr=False)

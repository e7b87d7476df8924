"""What a store hands out: a passage with all that it takes to cite it, and what it knows of a document."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypedDict

SearchMode = Literal["hybrid", "dense", "text"]

SEARCH_MODES: tuple[SearchMode, ...] = ("hybrid", "dense", "text")


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """A context chunk, found by a search or asked for by its id.

    Attributes:
        id: of the context chunk; valid until the document is replaced or deleted.
        document_id: whose text it is.
        filename: of the document.
        file_type: of the document, such as "pdf".
        text: equals the document's text from `start` to `end`.
        start, end: characters of the document's text.
        page: page, slide or sheet on which it begins; None where the format has none.
        last_page: the one on which it ends.
        part: name of the sheet or slide, where it has one.
        headings: the headings above it, outermost first.
        score: higher is better; comparable within one search only. For "dense" the mean of the cosine similarities of
            its best piece and of the whole, for "text" BM25, for "hybrid" 1.0 for what all rankings put first.
        match_start, match_end: the small piece that matched best, in characters of the document's text; None where only
            words matched.
    """

    id: str
    document_id: str
    filename: str
    file_type: str
    text: str = field(repr=False)
    start: int
    end: int
    page: int | None = None
    last_page: int | None = None
    part: str | None = field(default=None, repr=False)
    headings: tuple[str, ...] = field(default=(), repr=False)
    score: float = 0.0
    match_start: int | None = None
    match_end: int | None = None

    @property
    def source(self) -> str:
        """Filename and place, as a reader would name them: ``report.pdf, page 3``."""
        return ", ".join((self.filename, *self._place()))

    def citation(self) -> dict[str, Any]:
        """Everything but the text, as JSON can say it."""
        return {
            "chunk_id": self.id,
            "document_id": self.document_id,
            "filename": self.filename,
            "file_type": self.file_type,
            "page": self.page,
            "last_page": self.last_page,
            "part": self.part,
            "headings": list(self.headings),
            "start": self.start,
            "end": self.end,
            "score": self.score,
            "source": self.source,
        }

    def _place(self) -> tuple[str, ...]:
        if self.file_type == "xlsx" and self.part:
            return (f"sheet {self.part}",)
        if self.page is None:
            return ()
        kind = {"pptx": "slide", "xlsx": "sheet"}.get(self.file_type, "page")
        if self.last_page is None or self.last_page == self.page:
            return (f"{kind} {self.page}",)
        return (f"{kind}s {self.page}-{self.last_page}",)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrievalPassage:
    """A retrieval chunk: the small piece that is searched.

    Attributes:
        id: of the retrieval chunk.
        context_id: of the context chunk that it is in.
        document_id: whose text it is.
        text: equals the document's text from `start` to `end`.
        start, end: characters of the document's text.
    """

    id: str
    context_id: str
    document_id: str
    text: str = field(repr=False)
    start: int
    end: int


class DocumentInfo(TypedDict):
    """What a store knows of a document.

    Attributes:
        id: stays the same while the document's file changes.
        filename: without folders.
        file_type: "pdf", "docx", "pptx", "xlsx", "html", "md", "csv", "txt" or "image".
        content_length: characters of its text.
        context_chunks: number of its large pieces.
        retrieval_chunks: number of its small pieces.
        page_count: pages, slides or sheets; None where the format has none.
        sha256: of the file's bytes.
        complete: False when something of it is missing, which `warnings` then names.
        warnings: what a reader should know, such as pages without text.
        created_at: when it was first added, in UTC, as ISO 8601 writes it.
        updated_at: when this version of it was added.
    """

    id: str
    filename: str
    file_type: str
    content_length: int
    context_chunks: int
    retrieval_chunks: int
    page_count: int | None
    sha256: str
    complete: bool
    warnings: list[str]
    created_at: str
    updated_at: str


class AddedDocument(DocumentInfo):
    """What adding a document has come to.

    Attributes:
        already_there: nothing was written, because the store had this content already.
        replaced: an earlier version of the document has left.
    """

    already_there: bool
    replaced: bool


class StoredDocument(DocumentInfo):
    """A document with its whole text."""

    text: str


class Counts(TypedDict):
    """How many there are."""

    documents: int
    context_chunks: int
    retrieval_chunks: int


class Stats(Counts):
    """Counts, and what they take.

    Attributes:
        characters: of all documents' texts.
        disk_bytes: of all files of the store; None where a server keeps part of them.
        embedder: what the vectors were made with.
        dimension: of the vectors.
        pending: versions of documents that are being written or removed.
    """

    characters: int
    disk_bytes: int | None
    embedder: str
    dimension: int
    pending: int


def numbered(passages: Sequence[Passage]) -> list[dict[str, Any]]:
    """Passages as plain data, with the numbers under which they are listed."""
    return [
        {"number": number, "text": passage.text, **passage.citation()} for number, passage in enumerate(passages, 1)
    ]

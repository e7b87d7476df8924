"""Cuts a loaded document into context chunks, and those into retrieval chunks.

Invariants: sizes and overlaps are upper bounds, in characters, for every document; `text[start:end]` is a chunk's text;
every character that is not white space stands in a context chunk and in one of its retrieval chunks; a context chunk
belongs to one sheet or slide, and no retrieval chunk leaves its context chunk. The time is in proportion to the text.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from ..exceptions import ConfigError
from ..knowledge.chroma_knowledge_config import ChromaKnowledgeConfig
from .boundaries import Boundaries, skip_space, strip_space
from .chunk import ContextChunk, RetrievalChunk
from .document import DocumentItem, LoadedDocument
from .packing import pack

CONTEXT_FILL = 0.5
RETRIEVAL_FILL = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkSizes:
    """How large chunks may be and how much neighbours may share, in characters.

    Raises:
        ConfigError: a chunk of no size, or an overlap of more than half a chunk.
    """

    context: int = 1024
    context_overlap: int = 100
    retrieval: int = 128
    retrieval_overlap: int = 20

    def __post_init__(self) -> None:
        for name in ("context", "retrieval"):
            size, overlap = getattr(self, name), getattr(self, f"{name}_overlap")
            if size < 2:
                raise ConfigError(name, size, "at least 2 characters")
            if not 0 <= overlap <= size // 2:
                raise ConfigError(f"{name}_overlap", overlap, f"from 0 to {size // 2} characters, half of a chunk")

    @classmethod
    def of(cls, config: ChromaKnowledgeConfig) -> ChunkSizes:
        """The sizes that a store's settings name."""
        return cls(
            context=config.context_chunk_size,
            context_overlap=config.context_chunk_overlap,
            retrieval=config.retrieval_chunk_size,
            retrieval_overlap=config.retrieval_chunk_overlap,
        )


@dataclass(frozen=True, slots=True)
class _Block:
    """An item without the white space around it, and the headings above it; `item` is None for text in no item."""

    start: int
    end: int
    item: DocumentItem | None
    headings: tuple[str, ...]
    page: int | None
    part: str | None


def chunk_document(document: LoadedDocument, sizes: ChunkSizes) -> list[ContextChunk]:
    """The document's context chunks, in reading order, each with its retrieval chunks."""
    blocks = list(_blocks(document))
    starts = [block.start for block in blocks]
    # A heading stays with what it is above, so its end is no good place to cut.
    block_ends = [block.end for block in blocks if not _is_heading(block.item)]
    tables = [(block.start, block.end) for block in blocks if block.item is not None and block.item.kind == "table"]
    boundaries = Boundaries(document.text, block_ends, tables)
    chunks = []
    for first, last in _stretches(blocks):
        for start, end in pack(
            boundaries,
            blocks[first].start,
            blocks[last].end,
            size=sizes.context,
            overlap=sizes.context_overlap,
            fill=CONTEXT_FILL,
        ):
            begins = blocks[bisect_right(starts, start) - 1]
            ends = blocks[bisect_right(starts, end - 1) - 1]
            chunks.append(_chunk(boundaries, start, end, begins, ends, sizes))
    return chunks


def _chunk(
    boundaries: Boundaries, start: int, end: int, begins: _Block, ends: _Block, sizes: ChunkSizes
) -> ContextChunk:
    text = boundaries.text
    retrieval = tuple(
        RetrievalChunk(text[low:high], low, high)
        for low, high in pack(
            boundaries,
            start,
            end,
            size=sizes.retrieval,
            overlap=sizes.retrieval_overlap,
            fill=RETRIEVAL_FILL,
        )
    )
    return ContextChunk(
        text=text[start:end],
        start=start,
        end=end,
        page=begins.page,
        last_page=ends.page,
        part=begins.part,
        headings=begins.headings,
        retrieval=retrieval,
    )


def _blocks(document: LoadedDocument) -> Iterator[_Block]:
    """Everything in the text that is not white space, whether an item names it or not."""
    text = document.text
    position = 0
    page: int | None = None
    part: str | None = None
    above: list[tuple[int, str]] = []
    for item in document.items:
        headings = tuple(heading for _, heading in above)
        yield from _trimmed(text, position, item.start, None, headings, page, part)
        if item.part != part:
            above.clear()
        page, part = item.page, item.part
        start, end = max(position, item.start), min(len(text), item.end)
        if _is_heading(item):
            level = 0 if item.kind == "title" else max(1, item.level)
            while above and above[-1][0] >= level:
                above.pop()
            above.append((level, " ".join(text[start:end].split())))
        headings = tuple(heading for _, heading in above)
        yield from _trimmed(text, start, end, item, headings, page, part)
        position = max(position, end)
    yield from _trimmed(text, position, len(text), None, tuple(heading for _, heading in above), page, part)


def _trimmed(
    text: str,
    start: int,
    end: int,
    item: DocumentItem | None,
    headings: tuple[str, ...],
    page: int | None,
    part: str | None,
) -> Iterator[_Block]:
    start = skip_space(text, start, end)
    if start < end:
        yield _Block(start, strip_space(text, start, end), item, headings, page, part)


def _is_heading(item: DocumentItem | None) -> bool:
    return item is not None and item.kind in ("title", "heading")


def _stretches(blocks: list[_Block]) -> Iterator[tuple[int, int]]:
    """First and last block of each sheet or slide."""
    first = 0
    for index, block in enumerate(blocks):
        if index and block.part != blocks[index - 1].part:
            yield first, index - 1
            first = index
    if blocks:
        yield first, len(blocks) - 1

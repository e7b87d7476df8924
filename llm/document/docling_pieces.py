"""From Docling's tree of a document to our pieces, in reading order.

Layers that Docling keeps apart are told apart here too: speaker notes and comments become notes, and hidden sheets
and slides are read like others. Of what stands at the edge of pages, only what repeats itself is left out.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from docling_core.types.doc import (
    CodeItem,
    ContentLayer,
    DocItem,
    DocItemLabel,
    DoclingDocument,
    FormulaItem,
    GroupItem,
    GroupLabel,
    ListItem,
    NodeItem,
    PictureItem,
    RichTableCell,
    SectionHeaderItem,
    TableCell,
    TableData,
    TableItem,
    TextItem,
    TitleItem,
)

from .document import ItemKind
from .pieces import Piece
from .tables import table_blocks

_KINDS: dict[DocItemLabel, ItemKind] = {
    DocItemLabel.LIST_ITEM: "list_item",
    DocItemLabel.CODE: "code",
    DocItemLabel.CAPTION: "caption",
    DocItemLabel.FOOTNOTE: "note",
}
_EDGES = {DocItemLabel.PAGE_HEADER, DocItemLabel.PAGE_FOOTER}
_BULLETS = re.compile(r"[•◦▪▫●○■□‣⁃∙·–—*∞\uf0b7\uf0a7-]\s+")
_NUMBERS = re.compile(r"\d+|\b[ivxlc]+\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Place:
    page: int | None = None
    part: str | None = None
    repeated: frozenset[str] = field(default=frozenset(), repr=False)  # what stands at the edge of several pages


def docling_pieces(document: DoclingDocument, *, numbered: bool = False) -> Iterator[Piece]:
    """The document's pieces.

    Args:
        document: as Docling converted it.
        numbered: its groups at the top are slides or sheets, counted from 1.
    """
    yield from _document_title(document)
    part = 0
    anywhere = _Place(repeated=_repeated(document))
    for node in _children(document, document.body):
        place = anywhere
        if numbered and isinstance(node, GroupItem) and node.label in (GroupLabel.CHAPTER, GroupLabel.SHEET):
            part += 1
            sheet = node.name if node.label == GroupLabel.SHEET else _slide_title(document, node)
            place = _Place(page=part, part=sheet)
            if node.label == GroupLabel.SHEET:
                yield Piece("heading", node.name, part, node.name, level=1)
        yield from _pieces(document, node, place)


def _document_title(document: DoclingDocument) -> Iterator[Piece]:
    """What an HTML file has in its head; Docling keeps it in a layer of its own."""
    first = next(_children(document, document.body), None)
    if isinstance(first, TitleItem) and first.content_layer == ContentLayer.FURNITURE:
        yield Piece("title", first.text)


def _pieces(document: DoclingDocument, node: NodeItem, place: _Place) -> Iterator[Piece]:
    place = _at(node, place)
    if isinstance(node, TableItem):
        yield from _captions(document, node, place)
        for block in table_blocks(_rows(document, node.data)):
            yield Piece("table", block, place.page, place.part)
        return  # its children are the texts of its cells
    if isinstance(node, PictureItem):
        yield from _chart(document, node, place)
    elif isinstance(node, GroupItem) and node.label == GroupLabel.INLINE:
        yield _piece(node, _inline_text(document, node), "paragraph", place)
        return
    elif isinstance(node, ListItem):
        yield from _list_item(document, node, place)
        return
    elif isinstance(node, TextItem):
        if node.label in _EDGES:
            if _without_numbers(node.text) in place.repeated:
                return
        elif node.content_layer == ContentLayer.FURNITURE and node.label != DocItemLabel.FOOTNOTE:
            return
        yield from _by_pages(node, _text(node, place))
    for child in _children(document, node):
        yield from _pieces(document, child, place)


def _text(node: TextItem, place: _Place) -> Piece:
    if isinstance(node, TitleItem):
        # Every slide has a title; of a document it is the one heading above all.
        if place.part is not None:
            return Piece("heading", node.text, place.page, place.part, level=1)
        return Piece("title", node.text, place.page, place.part)
    if isinstance(node, SectionHeaderItem):
        return Piece("heading", node.text, place.page, place.part, level=max(1, node.level))
    if isinstance(node, CodeItem):
        return Piece("code", node.text, place.page, place.part)
    text = node.text or (node.orig if isinstance(node, FormulaItem) else "")
    return _piece(node, text, _KINDS.get(node.label, "paragraph"), place)


def _piece(node: NodeItem, text: str, kind: ItemKind, place: _Place) -> Piece:
    return Piece("note" if node.content_layer == ContentLayer.NOTES else kind, text, place.page, place.part)


def _list_item(document: DoclingDocument, node: ListItem, place: _Place) -> Iterator[Piece]:
    """Its own text with its marker, then the lists inside of it."""
    children = list(_children(document, node))
    text = node.text
    if not text and children and isinstance(children[0], GroupItem) and children[0].label == GroupLabel.INLINE:
        text = _inline_text(document, children.pop(0))
    marker = node.marker if node.enumerated and node.marker else "-"
    text = _BULLETS.sub("", text, count=1) if _BULLETS.match(text) else text
    if text:
        yield _piece(node, f"{marker} {text}", "list_item", place)
    for child in children:
        yield from _pieces(document, child, place)


def _inline_text(document: DoclingDocument, group: NodeItem) -> str:
    """Parts of one line of text, such as words in bold, with one blank between them where they have none."""
    text = ""
    for child in _children(document, group):
        part = child.text if isinstance(child, TextItem) else ""
        if isinstance(child, FormulaItem):
            part = part or child.orig
        if not part and isinstance(child, GroupItem):
            part = _inline_text(document, child)
        if text and part and not text[-1].isspace() and not part[0].isspace() and part[0] not in ".,;:!?)]}»”’":
            text += " "
        text += part
    return text


def _chart(document: DoclingDocument, node: PictureItem, place: _Place) -> Iterator[Piece]:
    """The numbers behind a chart, where the file has them."""
    chart = node.meta.tabular_chart if node.meta is not None else None
    if chart is not None:
        for block in table_blocks(_rows(document, chart.chart_data)):
            yield Piece("table", block, place.page, place.part)


def _captions(document: DoclingDocument, node: TableItem, place: _Place) -> Iterator[Piece]:
    """Those that are not found elsewhere in the tree, where they would be read anyway."""
    inside = {child.cref for child in node.children}
    for reference in node.captions:
        if reference.cref in inside:
            yield Piece("caption", reference.resolve(document).text, place.page, place.part)


def _rows(document: DoclingDocument, data: TableData) -> Iterator[Sequence[str]]:
    """Rows of texts. A cell that spans several stands in the first of them, so that nothing is said twice."""
    rows: list[list[str]] = [[""] * data.num_cols for _ in range(data.num_rows)]
    for cell in data.table_cells:
        row, column = cell.start_row_offset_idx, cell.start_col_offset_idx
        if row < data.num_rows and column < data.num_cols:
            rows[row][column] = _cell_text(document, cell)
    yield from rows


def _cell_text(document: DoclingDocument, cell: TableCell) -> str:
    """What stands in a cell, on one line; a table in it has commas and semicolons instead of lines of its own."""
    if not isinstance(cell, RichTableCell):
        return cell.text
    parts = (
        piece.text.replace("\n", "; ").replace(" | ", ", ") if piece.kind == "table" else piece.text
        for piece in _pieces(document, cell.ref.resolve(document), _Place())
    )
    return " ".join(parts)


def _repeated(document: DoclingDocument) -> frozenset[str]:
    """Headers and footers, without their numbers, that stand on more than one page; and those that are only numbers."""
    edges = Counter(_without_numbers(text.text) for text in document.texts if text.label in _EDGES)
    return frozenset(text for text, times in edges.items() if times > 1 or not any(map(str.isalpha, text)))


def _without_numbers(text: str) -> str:
    return " ".join(_NUMBERS.sub("#", text).split())


def _slide_title(document: DoclingDocument, slide: NodeItem) -> str | None:
    for child in _children(document, slide):
        if isinstance(child, TitleItem) and child.text.strip():
            return " ".join(child.text.split())
    return None


def _by_pages(node: TextItem, piece: Piece) -> Iterator[Piece]:
    """Docling joins a paragraph that goes on over the page; a piece has one page, so it is cut there again."""
    spans = [(place.page_no, *place.charspan) for place in node.prov]
    if len({page for page, _, _ in spans}) < 2 or piece.text != node.text or piece.part is not None:
        yield piece
        return
    begins = [(page, start) for page, start, _ in spans]
    if begins[0][1] != 0 or begins != sorted(begins, key=lambda begin: begin[1]):
        yield piece
        return
    ends = [start for _, start in begins[1:]] + [len(piece.text)]
    for (page, start), end in zip(begins, ends, strict=True):
        yield replace(piece, text=piece.text[start:end], page=page)


def _at(node: NodeItem, place: _Place) -> _Place:
    if place.part is None and isinstance(node, DocItem) and node.prov:
        return replace(place, page=node.prov[0].page_no)
    return place


def _children(document: DoclingDocument, node: NodeItem) -> Iterator[NodeItem]:
    for reference in node.children:
        yield reference.resolve(document)

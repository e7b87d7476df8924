"""Every kind of document becomes text whose items say what stands where."""

from __future__ import annotations

from types import ModuleType

import pytest

from llm.document import DocumentLoader, LoadedDocument


def items(document: LoadedDocument) -> list[tuple[str, str]]:
    return [(item.kind, document.text[item.start : item.end]) for item in document.items]


def test_word(loader: DocumentLoader, samples: ModuleType) -> None:
    """Headings with their levels, paragraphs, list items and table rows, in the order of the document."""
    document = loader.load_bytes(samples.docx(), "report.docx")
    assert items(document) == [
        ("title", "Yearly report"),
        ("heading", "Findings"),
        ("paragraph", "The harbour was dredged in spring."),
        ("list_item", "- Silt was removed"),
        ("list_item", "- Buoys were moved"),
        ("table", "Berth | Depth\nNorth | 7 m"),
        ("heading", "Recommendations"),
        ("paragraph", "Dredge again in four years."),
    ]
    assert [item.level for item in document.items if item.kind == "heading"] == [1, 2]
    assert (document.file_type, document.page_count, document.complete) == ("docx", None, True)


def test_footnotes(loader: DocumentLoader, samples: ModuleType) -> None:
    """Word keeps them apart from the text; here they stand at its end."""
    document = loader.load_bytes(samples.docx_with_footnote(), "notes.docx")
    assert items(document) == [("paragraph", "The harbour was dredged"), ("note", "Twice, to be exact.")]


def test_slides(loader: DocumentLoader, samples: ModuleType) -> None:
    """A slide is a page with a name, and its speaker notes are read."""
    document = loader.load_bytes(samples.pptx(), "plan.pptx")
    assert [(item.kind, item.page, item.part) for item in document.items] == [
        ("heading", 1, "Harbour plan"),
        ("list_item", 1, "Harbour plan"),
        ("note", 1, "Harbour plan"),
        ("heading", 2, "Costs"),
        ("list_item", 2, "Costs"),
    ]
    assert "Mention the tide tables." in document.text
    assert document.page_count == 2


def test_sheets(loader: DocumentLoader, samples: ModuleType) -> None:
    """A sheet is a page with a name, which stands in the text too."""
    document = loader.load_bytes(samples.xlsx(), "berths.xlsx")
    assert items(document) == [
        ("heading", "Berths"),
        ("table", "Berth | Depth | Ships\nBerth 1 | 0.5 | 3\nBerth 2 | 1 | 6\nBerth 3 | 1.5 | 9"),
        ("heading", "Tides"),
        ("table", "Day | High\nMonday | 4.2"),
    ]
    assert [(item.page, item.part) for item in document.items] == [(1, "Berths")] * 2 + [(2, "Tides")] * 2


def test_html(loader: DocumentLoader, samples: ModuleType) -> None:
    """What stands before the first heading is read, and words in bold stay in their sentence."""
    document = loader.load_bytes(samples.HTML, "berths.html")
    assert items(document) == [
        ("title", "Harbour"),
        ("paragraph", "Before any heading."),
        ("title", "Berths"),
        ("paragraph", "The north berth is deep."),
        ("list_item", "- one"),
        ("list_item", "- two"),
        ("table", "Berth | Depth\nNorth | 7 m"),
    ]


def test_a_table_in_a_cell(loader: DocumentLoader) -> None:
    """It is told apart by commas, and of links only the words are read."""
    page = (
        b"<table><tr><td>Berth"
        b"<table><tr><td>North</td><td>7 m</td></tr><tr><td>South</td><td>5 m</td></tr></table></td>"
        b"<td><a href='/tides'>Tides</a> <b>today</b></td></tr></table>"
    )
    document = loader.load_bytes(page, "berths.html")
    assert items(document) == [("table", "Berth North, 7 m; South, 5 m | Tides today")]


def test_markdown(loader: DocumentLoader, samples: ModuleType) -> None:
    """Its markup becomes structure."""
    document = loader.load_bytes(samples.MARKDOWN, "berths.md")
    assert items(document) == [
        ("title", "Berths"),
        ("paragraph", "The north berth is deep."),
        ("list_item", "- one"),
        ("list_item", "- two"),
        ("table", "Berth | Depth\nNorth | 7 m"),
    ]


def test_plain_text_has_no_markup(loader: DocumentLoader, samples: ModuleType) -> None:
    """A line of plain text that begins with # is a paragraph with a #."""
    document = loader.load_bytes(samples.TEXT, "notes.txt")
    assert items(document) == [
        ("paragraph", "# not a heading"),
        ("paragraph", "* not a list"),
        ("paragraph", "A paragraph\nof two lines."),
    ]


def test_comma_separated_values(loader: DocumentLoader, samples: ModuleType) -> None:
    """Rows are lines, whatever separates the columns."""
    document = loader.load_bytes(samples.CSV, "berths.csv")
    assert items(document) == [("table", "Berth | Depth\nNorth | 7 m\nSouth; old | 5 m")]


def test_pdf(loader: DocumentLoader, samples: ModuleType) -> None:
    """Pages are counted, and each piece of text knows its own."""
    document = loader.load_bytes(samples.pdf(), "report.pdf")
    assert document.page_count == 2
    assert {item.page for item in document.items} == {1, 2}
    for item in document.items:
        assert ("page 2" in document.text[item.start : item.end]) <= (item.page == 2)


def test_a_long_table_names_its_columns_in_every_block(loader: DocumentLoader) -> None:
    """A passage from the middle of a table of a hundred kilobytes says what its columns are."""
    rows = b"".join(b"2026-01-%02d,North %d,%d m\n" % (n % 28 + 1, n, n) for n in range(5000))
    document = loader.load_bytes(b"day,berth,depth\n" + rows, "berths.csv")
    texts = [text for _, text in items(document)]
    assert len(texts) > 50
    assert all(text.startswith("day | berth | depth\n") and len(text) <= 900 for text in texts)
    assert sum(text.count("\n") for text in texts) == 5000


@pytest.mark.parametrize("make", ["docx", "pptx", "xlsx", "pdf"])
def test_items_are_in_order_and_do_not_overlap(loader: DocumentLoader, samples: ModuleType, make: str) -> None:
    """Every character that is not white space belongs to exactly one item."""
    document = loader.load_bytes(getattr(samples, make)(), f"file.{make}")
    end = 0
    for item in document.items:
        assert document.text[end : item.start].strip() == ""
        assert end <= item.start < item.end <= len(document.text)
        end = item.end
    assert document.text[end:].strip() == ""

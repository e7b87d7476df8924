"""PDF pages become headings, paragraphs, lists and tables in reading order, and what could not be read is named."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm import exceptions
from llm.document import DocumentLimits, DocumentLoader, LoadedDocument
from llm.document.ocr import Tesseract, find_engine, lines_of_table
from llm.document.page_layout import MOST_LINES, blocks_of
from llm.document.page_lines import Line, rows_of

needs_engine = pytest.mark.skipif(find_engine() is None, reason="needs rapidocr or tesseract")

COORDINATE = st.floats(0, 800, allow_nan=False)
LINES = st.lists(
    st.builds(
        lambda text, left, top, width, height, bold, back: Line(
            text, left, top, left + width, top + height, "F1" if bold else "F2", bold, back
        ),
        st.sampled_from(["word", "A heading", "1. one", "• mark", "•", "3.1 Part", "12", "a sentence.", " ", "語句"]),
        COORDINATE,
        COORDINATE,
        st.floats(0, 500, allow_nan=False),
        st.floats(0, 40, allow_nan=False),
        st.booleans(),
        st.booleans(),
    ),
    max_size=60,
)


def found(document: LoadedDocument) -> list[tuple[str, int | None, str]]:
    return [(item.kind, item.page, document.text[item.start : item.end]) for item in document.items]


def line(text: str, left: float, top: float, *, size: float = 10.0, bold: bool = False, font: str = "F") -> Line:
    return Line(text, left, top, left + len(text) * size / 2, top + size, font, bold)


def kinds(lines: list[Line]) -> list[tuple[str, str]]:
    return [(block.kind, " ".join(lines[n].text for n in block.lines)) for block in blocks_of(lines, page_height=800)]


@settings(max_examples=300, deadline=None)
@given(LINES)
def test_every_line_is_in_exactly_one_block(lines: list[Line]) -> None:
    """Whatever stands where on a page, nothing of it is lost and nothing is said twice."""
    written = sorted(n for n, line in enumerate(lines) if line.text.strip())
    assert sorted(n for row in rows_of(lines) for n in row.lines) == written
    blocks = blocks_of(lines, page_height=842)
    assert sorted(n for block in blocks for n in block.lines) == written
    for block in blocks:
        if block.grid:
            assert sorted(n for row in block.grid for cell in row for n in cell) == sorted(block.lines)
            assert len({len(row) for row in block.grid}) == 1


def test_a_page_with_absurdly_many_lines() -> None:
    """They are not laid out, because that takes long, and they are all there."""
    lines = [Line("x", 1, n / 100, 2, n / 100 + 1) for n in range(MOST_LINES + 1)]
    assert len(blocks_of(lines, page_height=800)) == MOST_LINES + 1


def test_paragraphs_headings_and_lists() -> None:
    """A larger line is a heading; a gap or an indented line begins a paragraph; marks begin list items."""
    lines = [
        line("The harbour", 50, 100, size=16),
        line("The harbour was dredged in spring, and the silt was", 50, 130),
        line("taken away by barges to the north of the bay.", 50, 142),
        line("In autumn the buoys were moved to the other side", 65, 154),
        line("of the channel, which took four days.", 50, 166),
        line("• Silt, which is heavy and has to be taken", 60, 184),
        line("away by barges", 70, 196),
        line("• Buoys", 60, 208),
        line("Recommendations", 50, 240, bold=True, font="Fb"),
        line("Dredge again in four years, and not before that time.", 50, 256),
    ]
    assert kinds(lines) == [
        ("heading", "The harbour"),
        (
            "paragraph",
            "The harbour was dredged in spring, and the silt was taken away by barges to the north of the bay.",
        ),
        ("paragraph", "In autumn the buoys were moved to the other side of the channel, which took four days."),
        ("list_item", "• Silt, which is heavy and has to be taken away by barges"),
        ("list_item", "• Buoys"),
        ("heading", "Recommendations"),
        ("paragraph", "Dredge again in four years, and not before that time."),
    ]


def test_what_only_looks_like_a_heading() -> None:
    """Captions, formulas and cells of tables are none, however large they are."""
    body = [line("This is a sentence of the page, and it is quite long.", 50, 200 + 12 * n) for n in range(5)]
    lines = [line("Table 3. Depths of all berths", 50, 100, bold=True), line("a2 + 8 = 12", 50, 150, size=14), *body]
    assert [kind for kind, _ in kinds(lines)] == ["paragraph", "paragraph", "paragraph"]


def test_right_to_left() -> None:
    """Words of one row are joined from the right where the text runs that way."""
    lines = [
        Line("Python", 100, 100, 140, 110, "F", False, False),
        Line("لغة", 145, 100, 165, 110, "F", False, True),
        Line("تعتبر البرمجة", 170, 100, 260, 110, "F", False, True),
    ]
    (row,) = rows_of(lines)
    assert row.text == "تعتبر البرمجة لغة Python"


def test_columns_and_tables(loader: DocumentLoader, samples: ModuleType) -> None:
    """Columns are read one after the other, tables by rows; what repeats at the edge of pages is left out."""
    document = loader.load_bytes(samples.pdf_of_layouts(), "layouts.pdf")
    left, right = (
        " ".join(f"This is row {row} of the {side} column, and it is long." for row in range(12))
        for side in ("left", "right")
    )
    assert found(document) == [
        ("heading", 1, "The harbour in two columns"),
        ("paragraph", 1, left),
        ("paragraph", 1, right),
        ("paragraph", 2, "Before the table stands this sentence, which is quite ordinary."),
        ("table", 2, "Berth | Depth | Ships\nNorth | 7 m | 12\nSouth | 5 m | 31"),
        ("paragraph", 2, "After the table stands another sentence of the same kind."),
    ]


@pytest.mark.parametrize("turned", [0, 1, 2, 3])
def test_a_page_that_lies_on_its_side(loader: DocumentLoader, samples: ModuleType, turned: int) -> None:
    """It is read as it was written, line after line, in whichever direction it is seen."""
    document = loader.load_bytes(samples.pdf_turned(turned), "turned.pdf")
    lines = " ".join(f"This is row {row}, which goes on for a while." for row in range(10))
    assert found(document) == [("paragraph", 1, lines)]


def test_a_blank_page_is_nothing_missing(loader: DocumentLoader, samples: ModuleType) -> None:
    """The third page is white, so the document is complete without a word about it."""
    document = loader.load_bytes(samples.pdf_of_layouts(), "layouts.pdf")
    assert (document.page_count, document.complete, document.warnings) == (3, True, ())


def test_headings_and_pages(loader: DocumentLoader, samples: ModuleType) -> None:
    """Headings have levels, and every item the page on which it stands."""
    document = loader.load_bytes(samples.pdf(pages=3), "report.pdf")
    assert [(kind, page) for kind, page, _ in found(document)] == [
        (kind, page) for page in (1, 2, 3) for kind in ("heading", "paragraph", "paragraph")
    ]
    assert [item.level for item in document.items if item.kind == "heading"] == [1, 1, 1]


def test_without_ocr_a_picture_is_named(samples: ModuleType) -> None:
    """Pages that are pictures are not left out in silence."""
    with DocumentLoader(ocr=False) as loader:
        document = loader.load_bytes(samples.pdf_of_pictures(), "scan.pdf")
        assert not document.complete
        (warning,) = document.warnings
        assert "page 2" in warning
        assert "practorflow[ocr]" in warning
        image = loader.load_bytes(samples.picture(), "scan.png")
        assert (image.text, image.items, image.complete) == ("", (), False)
        assert "page 1" in image.warnings[0]


@needs_engine
@pytest.mark.parametrize("form", ["PNG", "JPEG", "TIFF", "BMP", "WEBP", "GIF"])
def test_text_of_images(loader: DocumentLoader, samples: ModuleType, form: str) -> None:
    """Text is read off a picture, and the document says that it was."""
    document = loader.load_bytes(samples.picture(format=form), f"scan.{form.lower()}")
    assert document.text.split() == ["The", "harbour", "was", "dredged", "in", "spring"]
    assert (document.file_type, document.page_count, document.complete) == ("image", 1, True)
    assert "page 1" in document.warnings[0]


@needs_engine
def test_text_of_scanned_pages(loader: DocumentLoader, samples: ModuleType) -> None:
    """Pages with text keep it, and pages without are read off their pictures."""
    document = loader.load_bytes(samples.pdf_of_pictures(), "scan.pdf")
    assert [(page, text) for _, page, text in found(document)] == [
        (1, "This page has text of its own, as pages should."),
        (2, "The harbour was dredged in spring"),
    ]
    assert document.complete
    assert "page 2" in document.warnings[0]


def test_when_the_time_is_over(samples: ModuleType) -> None:
    """Of a document that takes longer than allowed come the pages that are ready, and it is never called complete."""
    with DocumentLoader(limits=DocumentLimits(timeout=3.0)) as loader:
        try:
            document = loader.load_bytes(samples.pdf(pages=600), "long.pdf")
        except exceptions.DocumentTimeoutError:
            return
    if document.page_count != len({item.page for item in document.items}):
        assert not document.complete
        assert "Not read" in document.warnings[0]


def test_parts_for_which_there_is_no_time_are_named(samples: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long file is read in parts; one is not begun when it would take too long by what the one before took."""
    from llm.document import pdf
    from llm.document.conversion_options import ConversionOptions

    clock = itertools.count(0, 30)
    monkeypatch.setattr(pdf, "_PART_PAGES", 2)
    monkeypatch.setattr(pdf, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    converter = pdf.PdfConverter(DocumentLimits(timeout=100), ConversionOptions())
    conversion = converter.convert(samples.pdf(pages=5), "pdf", filename="long.pdf")
    assert {piece.page for piece in conversion.pieces} == {1, 2}
    assert (conversion.page_count, conversion.complete, conversion.busy) == (5, False, True)
    assert "pages 3-5" in conversion.warnings[0]


def test_a_file_in_parts_is_read_as_in_one(samples: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Page numbers count from the file's first page."""
    from llm.document import pdf
    from llm.document.conversion_options import ConversionOptions

    data = samples.pdf(pages=5)
    converter = pdf.PdfConverter(DocumentLimits(), ConversionOptions())
    whole = converter.convert(data, "pdf", filename="long.pdf")
    monkeypatch.setattr(pdf, "_PART_PAGES", 2)
    assert converter.convert(data, "pdf", filename="long.pdf") == whole
    assert {piece.page for piece in whole.pieces} == {1, 2, 3, 4, 5}


def test_an_image_of_too_many_pixels(samples: ModuleType) -> None:
    """It is told by its header, before it is unpacked."""
    with DocumentLoader(limits=DocumentLimits(max_image_pixels=400_000)) as loader:
        with pytest.raises(exceptions.DocumentTooLargeError) as info:
            loader.load_bytes(samples.picture(), "large.png")
        assert info.value.limit == "max_image_pixels"


def test_a_torn_image(loader: DocumentLoader, samples: ModuleType) -> None:
    """Half of an image's header is damage."""
    with pytest.raises(exceptions.DocumentDamagedError):
        loader.load_bytes(samples.picture()[:20], "torn.png")


TABLE = """level\tpage_num\tblock_num\tpar_num\tline_num\tword_num\tleft\ttop\twidth\theight\tconf\ttext
1\t1\t0\t0\t0\t0\t0\t0\t1000\t500\t-1\t
5\t1\t1\t1\t1\t1\t40\t200\t80\t40\t96.1\tThe
5\t1\t1\t1\t1\t2\t130\t205\t200\t35\t95.0\t"harbour"
5\t1\t1\t1\t2\t1\t40\t260\t90\t40\t91.0\tworks
5\t1\t1\t1\t2\t2\t140\t260\t90\t40\t12.0\t~~
"""


def test_words_of_tesseract_become_lines() -> None:
    """Quotation marks are text, and what tesseract doubts is left out."""
    assert [(line.text, line.left, line.top, line.right, line.bottom) for line in lines_of_table(TABLE)] == [
        ('The "harbour"', 40, 200, 330, 240),
        ("works", 40, 260, 130, 300),
    ]


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in is a shell script")
def test_how_tesseract_is_asked(tmp_path: Path, samples: ModuleType) -> None:
    """It gets the picture on its standard input and the languages by name."""
    from io import BytesIO

    from PIL import Image

    program = tmp_path / "tesseract"
    program.write_text(
        f"#!/bin/sh\necho \"$@\" > {tmp_path}/arguments\ncat > {tmp_path}/picture\ncat <<'E'\n{TABLE}E\n"
    )
    program.chmod(0o755)
    with Image.open(BytesIO(samples.picture())) as picture:
        lines = Tesseract(str(program), ("eng", "deu")).read(picture)
    assert [line.text for line in lines] == ['The "harbour"', "works"]
    assert (tmp_path / "arguments").read_text() == "stdin stdout -l eng+deu tsv\n"
    assert (tmp_path / "picture").read_bytes().startswith(b"\x89PNG")

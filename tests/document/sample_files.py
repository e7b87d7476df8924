"""Small documents of every kind, made while the tests run."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable


def docx() -> bytes:
    """A title, a heading with a paragraph and a list, a table, and a second heading."""
    import docx as python_docx

    document = python_docx.Document()
    document.add_heading("Yearly report", 0)
    document.add_heading("Findings", 1)
    document.add_paragraph("The harbour was dredged in spring.")
    document.add_paragraph("Silt was removed", style="List Bullet")
    document.add_paragraph("Buoys were moved", style="List Bullet")
    table = document.add_table(rows=2, cols=2)
    for cell, text in zip(
        (cell for row in table.rows for cell in row.cells), ("Berth", "Depth", "North", "7 m"), strict=True
    ):
        cell.text = text
    document.add_heading("Recommendations", 2)
    document.add_paragraph("Dredge again in four years.")
    return _saved(document.save)


def docx_with_footnote() -> bytes:
    """A paragraph with a note, as Word keeps it: in a file of its own."""
    import docx as python_docx

    document = python_docx.Document()
    document.add_paragraph("The harbour was dredged")
    data = _saved(document.save)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        text, types, relations = (
            archive.read(name).decode()
            for name in ("word/document.xml", "[Content_Types].xml", "word/_rels/document.xml.rels")
        )
    kind = "application/vnd.openxmlformats-officedocument.wordprocessingml.footnotes+xml"
    relation = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/footnotes"
    note = "<w:footnote w:id='2'><w:p><w:r><w:t>Twice, to be exact.</w:t></w:r></w:p></w:footnote>"
    space = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    reference = "<w:r><w:footnoteReference w:id='2'/></w:r>"
    override = f"<Override PartName='/word/footnotes.xml' ContentType='{kind}'/>"
    relationship = f"<Relationship Id='rId99' Type='{relation}' Target='footnotes.xml'/>"
    for name, content in (
        ("word/document.xml", text.replace("dredged</w:t></w:r>", f"dredged</w:t></w:r>{reference}")),
        ("[Content_Types].xml", types.replace("</Types>", f"{override}</Types>")),
        ("word/_rels/document.xml.rels", relations.replace("</Relationships>", f"{relationship}</Relationships>")),
        ("word/footnotes.xml", f"<w:footnotes xmlns:w='{space}'>{note}</w:footnotes>"),
    ):
        data = with_member(data, name, content.encode())
    return data


def pptx() -> bytes:
    """Two slides, the first with speaker notes."""
    import pptx as python_pptx

    presentation = python_pptx.Presentation()
    for title, body in (("Harbour plan", "Dredging comes first"), ("Costs", "Two million")):
        slide = presentation.slides.add_slide(presentation.slide_layouts[1])
        slide.shapes.title.text = title
        slide.placeholders[1].text = body
    presentation.slides[0].notes_slide.notes_text_frame.text = "Mention the tide tables."
    return _saved(presentation.save)


def xlsx(rows: int = 3) -> bytes:
    """Two sheets, Berths and Tides."""
    import openpyxl

    workbook = openpyxl.Workbook()
    sheet = workbook.active
    sheet.title = "Berths"
    sheet.append(["Berth", "Depth", "Ships"])
    for number in range(1, rows + 1):
        sheet.append([f"Berth {number}", number / 2, number * 3])
    tides = workbook.create_sheet("Tides")
    tides.append(["Day", "High"])
    tides.append(["Monday", 4.2])
    return _saved(workbook.save)


def xlsx_with_a_far_cell() -> bytes:
    """A sheet of two cells, in opposite corners."""
    import openpyxl

    workbook = openpyxl.Workbook()
    workbook.active["A1"] = "near"
    workbook.active["XFD1048576"] = "far"
    return _saved(workbook.save)


def pptx_without_slides() -> bytes:
    """A presentation that was never begun."""
    import pptx as python_pptx

    return _saved(python_pptx.Presentation().save)


def pdf(pages: int = 2, *, password: str | None = None, owner_password: str | None = None) -> bytes:
    """Pages with a heading and two paragraphs each."""
    from reportlab.lib.pagesizes import A4
    from reportlab.lib.pdfencrypt import StandardEncryption
    from reportlab.lib.styles import getSampleStyleSheet
    from reportlab.platypus import PageBreak, Paragraph, SimpleDocTemplate

    encryption = None
    if password is not None or owner_password is not None:
        encryption = StandardEncryption(password or "", ownerPassword=owner_password or password, strength=128)
    styles = getSampleStyleSheet()
    story = []
    for page in range(1, pages + 1):
        story += [
            Paragraph(f"Chapter {page}", styles["Heading1"]),
            Paragraph(f"The harbour of page {page} was dredged in spring. " * 6, styles["BodyText"]),
            Paragraph(f"A second paragraph follows on page {page}. " * 6, styles["BodyText"]),
            PageBreak(),
        ]
    return _saved(lambda file: SimpleDocTemplate(file, pagesize=A4, encrypt=encryption).build(story))


def pdf_of_layouts() -> bytes:
    """A page of two columns with a heading across, and a page with a table between two paragraphs."""
    from reportlab.lib.pagesizes import A4
    from reportlab.pdfgen.canvas import Canvas

    def draw(file: io.BytesIO) -> None:
        canvas = Canvas(file, pagesize=A4)
        canvas.setFont("Helvetica-Bold", 18)
        canvas.drawString(60, 770, "The harbour in two columns")
        canvas.setFont("Helvetica", 10)
        for column, words in ((60, "left"), (310, "right")):
            for row in range(12):
                canvas.drawString(column, 730 - 12 * row, f"This is row {row} of the {words} column, and it is long.")
        canvas.drawString(60, 30, "Harbour office, page 1")
        canvas.showPage()
        canvas.setFont("Helvetica", 10)
        canvas.drawString(60, 730, "Before the table stands this sentence, which is quite ordinary.")
        for row, cells in enumerate((("Berth", "Depth", "Ships"), ("North", "7 m", "12"), ("South", "5 m", "31"))):
            for column, cell in zip((60, 200, 340), cells, strict=True):
                canvas.drawString(column, 690 - 16 * row, cell)
        canvas.drawString(60, 610, "After the table stands another sentence of the same kind.")
        canvas.drawString(60, 30, "Harbour office, page 2")
        canvas.showPage()
        canvas.showPage()
        canvas.save()

    return _saved(draw)


def pdf_turned(turned: int) -> bytes:
    """A page of ten lines, seen turned by that many quarters to the right."""
    from reportlab.pdfgen.canvas import Canvas

    def draw(file: io.BytesIO) -> None:
        canvas = Canvas(file, pagesize=(600, 600))
        canvas.setPageRotation(90 * turned)
        for row in range(10):
            canvas.drawString(60, 500 - 14 * row, f"This is row {row}, which goes on for a while.")
        canvas.showPage()
        canvas.save()

    return _saved(draw)


def pdf_of_pictures(text: str = "The harbour was dredged in spring") -> bytes:
    """One page with text, and one that is a picture of text, as scanners make them."""
    from reportlab.lib.pagesizes import A4
    from reportlab.lib.utils import ImageReader
    from reportlab.pdfgen.canvas import Canvas

    def draw(file: io.BytesIO) -> None:
        canvas = Canvas(file, pagesize=A4)
        canvas.drawString(60, 730, "This page has text of its own, as pages should.")
        canvas.showPage()
        canvas.drawImage(ImageReader(io.BytesIO(picture(text))), 40, 500, 500, 250)
        canvas.showPage()
        canvas.save()

    return _saved(draw)


def picture(text: str = "The harbour was dredged in spring", format: str = "PNG") -> bytes:
    """A picture of a line of text."""
    from PIL import Image, ImageDraw, ImageFont

    image = Image.new("RGB", (1000, 500), "white")
    ImageDraw.Draw(image).text((40, 200), text, fill="black", font=ImageFont.load_default(48))
    return _saved(lambda file: image.save(file, format))


HTML = b"""<html><head><title>Harbour</title></head><body><p>Before any heading.</p>
<h1>Berths</h1><p>The <b>north</b> berth is deep.</p><ul><li>one</li><li>two</li></ul>
<table><tr><th>Berth</th><th>Depth</th></tr><tr><td>North</td><td>7 m</td></tr></table></body></html>"""

MARKDOWN = b"""# Berths

The *north* berth is deep.

- one
- two

| Berth | Depth |
|-------|-------|
| North | 7 m   |
"""

CSV = b'Berth;Depth\nNorth;7 m\n"South; old";5 m\n'

TEXT = b"# not a heading\n\n* not a list\n\nA paragraph\nof two lines.\n"


def zipped(members: dict[str, bytes]) -> bytes:
    """An archive."""
    return _saved(lambda file: _write_archive(file, members))


def with_member(data: bytes, name: str, content: bytes) -> bytes:
    """The same office document with one member changed or added."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {member: archive.read(member) for member in archive.namelist()}
    return zipped({**members, name: content})


def _write_archive(file: io.BytesIO, members: dict[str, bytes]) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def _saved(save: Callable[[io.BytesIO], object]) -> bytes:
    file = io.BytesIO()
    save(file)
    return file.getvalue()

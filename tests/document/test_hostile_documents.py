"""Documents that lie, burst or are broken cost themselves and nothing else, and each is refused by its own error."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

from llm import exceptions
from llm.document import DocumentLimits, DocumentLoader
from llm.document.archive import check_archive
from llm.document.file_type import EXTENSIONS, recognise

LAUGHS = b"""<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>
<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main">&b;</w:document>"""


def refused(loader: DocumentLoader, data: bytes, filename: str) -> exceptions.DocumentError:
    with pytest.raises(exceptions.DocumentError) as info:
        loader.load_bytes(data, filename)
    assert repr(filename) in str(info.value)
    assert info.value.filename == filename
    return info.value


@pytest.mark.parametrize("filename", ["a.docx", "a.pdf", "a.txt", "a.csv", "a.png", "a"])
def test_an_empty_file(loader: DocumentLoader, filename: str) -> None:
    """Nothing is not a document, whatever its name says."""
    for data in (b"", b"\0\0\0", b" \r\n"):
        assert type(refused(loader, data, filename)) is exceptions.DocumentEmptyError


def test_a_presentation_without_slides(loader: DocumentLoader, samples: ModuleType) -> None:
    """It is empty, which is no damage."""
    error = refused(loader, samples.pptx_without_slides(), "begun.pptx")
    assert isinstance(error, exceptions.DocumentEmptyError)
    assert "no slides" in str(error)


def test_cells_far_apart(loader: DocumentLoader, samples: ModuleType) -> None:
    """Two cells in opposite corners of a sheet have 17,000,000,000 places between them; it is said what to do."""
    error = refused(loader, samples.xlsx_with_a_far_cell(), "sparse.xlsx")
    assert isinstance(error, exceptions.DocumentTooLargeError)
    assert "Delete the cells that stand far" in str(error)


@pytest.mark.parametrize("kind", ["docx", "pptx", "xlsx", "pdf"])
def test_a_torn_file(loader: DocumentLoader, samples: ModuleType, kind: str) -> None:
    """Half of a file is damaged, not of another kind."""
    data = getattr(samples, kind)()
    assert type(refused(loader, data[: len(data) // 2], f"a.{kind}")) is exceptions.DocumentDamagedError


@pytest.mark.parametrize("kind", ["docx", "pptx", "xlsx"])
def test_a_file_whose_middle_is_overwritten(loader: DocumentLoader, samples: ModuleType, kind: str) -> None:
    """What its directory still names but cannot be unpacked is damage."""
    data = bytearray(getattr(samples, kind)())
    middle = len(data) // 3
    data[middle : middle + 2000] = os.urandom(2000)
    assert type(refused(loader, bytes(data), f"a.{kind}")) is exceptions.DocumentDamagedError


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("docx", "a.pdf"),
        ("pdf", "a.docx"),
        ("docx", "a.xlsx"),
        ("xlsx", "a.pptx"),
        ("pptx", "a.docx"),
        ("pdf", "a.txt"),
        ("docx", "a.html"),
        ("pdf", "a.png"),
    ],
)
def test_a_name_that_says_something_else(loader: DocumentLoader, samples: ModuleType, kind: str, name: str) -> None:
    """Name and content have to agree."""
    assert type(refused(loader, getattr(samples, kind)(), name)) is exceptions.DocumentTypeError


@pytest.mark.parametrize(
    ("data", "name", "said"),
    [(b"%PDF-1.7\n", "a.txt", "a PDF"), (bytes(range(8)), "a.pdf", "nothing that is known here")],
    ids=["renamed", "damaged"],
)
def test_what_a_file_is_instead_is_said_with_a_cure(data: bytes, name: str, said: str) -> None:
    """Renaming helps the one, a new copy the other."""
    with pytest.raises(exceptions.DocumentTypeError) as info:
        recognise(data, name)
    assert str(info.value) == (
        f"{name!r} holds something else than its name says: {said}. Rename it, or save or copy it again."
    )


def test_text_under_a_name_of_an_office_document(loader: DocumentLoader) -> None:
    """A renamed text file is no office document, and an archive of something else neither."""
    for name in ("a.docx", "a.pdf", "a.png"):
        assert type(refused(loader, b"just text, and a lot of it", name)) is exceptions.DocumentTypeError


def test_an_archive_of_something_else(loader: DocumentLoader, samples: ModuleType) -> None:
    """A ZIP file of notes is no Word document."""
    data = samples.zipped({"notes.txt": b"hello"})
    assert type(refused(loader, data, "a.docx")) is exceptions.DocumentTypeError


@pytest.mark.parametrize("name", ["a.zip", "a.exe", "a.doc", "a.py", "a.eml"])
def test_a_kind_that_is_not_read(loader: DocumentLoader, name: str) -> None:
    """The error lists what is read."""
    error = refused(loader, b"hello", name)
    assert type(error) is exceptions.UnsupportedDocumentError
    assert all(extension in str(error) for extension in EXTENSIONS)


def test_a_password(loader: DocumentLoader, samples: ModuleType) -> None:
    """Office files under a password and PDF files under a password say so."""
    office = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600) + "EncryptedPackage".encode("utf-16-le") + bytes(600)
    for name in ("a.docx", "a.xlsx", "a.pptx"):
        assert type(refused(loader, office, name)) is exceptions.DocumentEncryptedError
    assert type(refused(loader, samples.pdf(password="secret"), "a.pdf")) is exceptions.DocumentEncryptedError


def test_a_pdf_that_only_forbids_printing_is_read(loader: DocumentLoader, samples: ModuleType) -> None:
    """An owner's password keeps nobody from reading."""
    assert "dredged" in loader.load_bytes(samples.pdf(owner_password="secret"), "a.pdf").text


def test_an_old_office_file_with_a_new_name(loader: DocumentLoader) -> None:
    """The error says how to save it."""
    data = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(2000)
    assert type(refused(loader, data, "a.docx")) is exceptions.DocumentTypeError


@pytest.mark.parametrize("name", ["a.txt", "a.csv", "a.md", "a.html"])
def test_text_in_an_unknown_encoding(loader: DocumentLoader, name: str) -> None:
    """It is refused rather than guessed, and the error says what to do."""
    error = refused(loader, "Zürich, Größe".encode("cp1252"), name)
    assert type(error) is exceptions.DocumentEncodingError
    assert "encoding=" in str(error)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32", "utf-8"])
@pytest.mark.parametrize("name", ["a.txt", "a.csv", "a.md", "a.html"])
def test_byte_order_marks(loader: DocumentLoader, name: str, encoding: str) -> None:
    """A mark says what the encoding is, and is no part of the text."""
    document = loader.load_bytes("Zürich, Größe, 東京".encode(encoding), name)
    assert document.text.replace(" | ", ", ").strip() == "Zürich, Größe, 東京"


def test_html_that_names_its_encoding(loader: DocumentLoader) -> None:
    """A page of the last century says in its head how it is written."""
    data = '<html><head><meta charset="windows-1252"></head><body><p>Größe</p></body></html>'.encode("cp1252")
    assert loader.load_bytes(data, "a.html").text.strip() == "Größe"


def test_the_callers_encoding() -> None:
    """What the caller says holds for text that is not UTF-8, and for nothing else."""
    with DocumentLoader(encoding="cp1252") as loader:
        assert loader.load_bytes("Größe".encode("cp1252"), "a.txt").text.strip() == "Größe"
        assert loader.load_bytes("Größe".encode(), "a.txt").text.strip() == "Größe"


def test_what_is_no_text_is_taken_out(loader: DocumentLoader) -> None:
    """Zero bytes, control characters and halves of surrogate pairs do not reach the text."""
    document = loader.load_bytes(b"one\x07 two\x1b[31m three\xef\xbb\xbf four\r\nfive", "a.txt")
    assert document.text.strip() == "one two[31m three four\nfive"
    page = loader.load_bytes(b"<html><body><p>a&#0;b&#xD800;c</p></body></html>", "a.html")
    page.text.encode("utf-8")
    assert "\0" not in page.text


def bomb(samples: ModuleType, kind: str) -> tuple[bytes, DocumentLimits | None]:
    docx = samples.docx()
    blanks = b"<w:p/>" * 5_000_000
    if kind == "one member of blanks":
        return samples.with_member(docx, "word/document.xml", blanks), None
    if kind == "many members":
        return samples.zipped({"[Content_Types].xml": b"", **{f"word/{n}.xml": b"" for n in range(2_100)}}), None
    if kind == "unpacks to too much":
        return samples.with_member(docx, "word/media/a.bin", os.urandom(1_000_000)), DocumentLimits(
            max_unpacked_size=500_000
        )
    return docx, DocumentLimits(max_file_size=1_000)


@pytest.mark.parametrize(
    ("kind", "limit"),
    [
        ("one member of blanks", "max_compression_ratio"),
        ("many members", "max_archive_members"),
        ("unpacks to too much", "max_unpacked_size"),
        ("large file", "max_file_size"),
    ],
)
def test_bombs(loader: DocumentLoader, samples: ModuleType, kind: str, limit: str) -> None:
    """They are told by their directory, before anything is unpacked, and the error names the limit."""
    data, limits = bomb(samples, kind)
    if limits is None:
        error = refused(loader, data, "bomb.docx")
    else:
        with DocumentLoader(limits=limits) as small:
            error = refused(small, data, "bomb.docx")
    assert isinstance(error, exceptions.DocumentTooLargeError)
    assert error.limit == limit
    assert limit in str(error)


def test_a_directory_that_lies_about_sizes(loader: DocumentLoader, samples: ModuleType) -> None:
    """A member that unpacks to more than the directory says is damage."""
    file = io.BytesIO(samples.with_member(samples.docx(), "word/document.xml", b"<w:p/>" * 100_000))
    data = bytearray(file.getvalue())
    size = (600_000).to_bytes(4, "little")
    assert data.count(size) >= 1
    data = data.replace(size, (60).to_bytes(4, "little"))
    assert type(refused(loader, bytes(data), "a.docx")) is exceptions.DocumentDamagedError


def test_a_million_laughs(loader: DocumentLoader, samples: ModuleType) -> None:
    """No office program declares entities, so a document that does is refused."""
    for encoding in ("utf-8", "utf-16"):
        text = LAUGHS.decode().replace('"1.0"', f'"1.0" encoding="{encoding}"').encode(encoding)
        data = samples.with_member(samples.docx(), "word/document.xml", text)
        assert type(refused(loader, data, "a.docx")) is exceptions.DocumentDamagedError


def test_entities_of_other_files(loader: DocumentLoader, samples: ModuleType) -> None:
    """A document that asks for a file of this machine gets nothing."""
    xml = b'<?xml version="1.0"?><!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/passwd">]><d>&x;</d>'
    data = samples.with_member(samples.docx(), "word/document.xml", xml)
    assert type(refused(loader, data, "a.docx")) is exceptions.DocumentDamagedError
    page = loader.load_bytes(b"<html><body><p>see</p><img src='file:///etc/passwd'></body></html>", "a.html")
    assert page.text.strip() == "see"


@pytest.mark.parametrize("name", ["html", "md"])
def test_deep_nesting(loader: DocumentLoader, name: str) -> None:
    """What is nested too deeply is refused at once."""
    data = b"<html><body>" + b"<div>" * 20_000 + b"deep" if name == "html" else b"> " * 20_000 + b"deep"
    assert type(refused(loader, data, f"a.{name}")) is exceptions.DocumentDamagedError
    assert loader.load_bytes(b"next", "b.txt").text.strip() == "next"


def test_an_archive_inside(samples: ModuleType) -> None:
    """Archives in archives are not read."""
    data = samples.with_member(samples.docx(), "word/embeddings/inner.zip", b"PK")
    with pytest.raises(exceptions.DocumentDamagedError):
        check_archive(data, "docx", DocumentLimits(), filename="a.docx")


def test_too_much_text() -> None:
    """The limit counts characters of the text that would be returned."""
    with DocumentLoader(limits=DocumentLimits(max_text_characters=1000)) as loader:
        error = refused(loader, b"word " * 300, "a.txt")
        assert isinstance(error, exceptions.DocumentTooLargeError)
        assert error.limit == "max_text_characters"


def test_too_many_pages(samples: ModuleType) -> None:
    """Pages, slides and sheets are counted before they are read."""
    with DocumentLoader(limits=DocumentLimits(max_pages=1)) as loader:
        for kind in ("pdf", "pptx", "xlsx"):
            error = refused(loader, getattr(samples, kind)(), f"a.{kind}")
            assert isinstance(error, exceptions.DocumentTooLargeError)
            assert error.limit == "max_pages"


def test_members_that_would_be_written_elsewhere(loader: DocumentLoader, samples: ModuleType, tmp_path: Path) -> None:
    """Names in an archive are never paths: nothing is unpacked onto the disk."""
    data = samples.with_member(samples.docx(), f"../../../../{tmp_path}/evil.xml", b"<x/>")
    assert "dredged" in loader.load_bytes(data, "a.docx").text
    assert list(tmp_path.iterdir()) == []


def test_an_encrypted_member(loader: DocumentLoader, samples: ModuleType) -> None:
    """An archive whose members have a password says so."""
    data = bytearray(samples.docx())
    with zipfile.ZipFile(io.BytesIO(bytes(data))) as archive:
        first = archive.infolist()[0]
    central = data.rindex(b"PK\x01\x02", 0, data.rindex(b"PK\x05\x06"))
    data[central + 8] |= 1
    assert first.flag_bits & 1 == 0
    assert type(refused(loader, bytes(data), "a.docx")) is exceptions.DocumentEncryptedError

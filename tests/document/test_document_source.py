"""A name leads to one regular file of this machine, and is otherwise only data."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from llm import exceptions
from llm.document import DocumentLimits, DocumentLoader
from llm.document.document_source import base_name, read_file

HOSTILE_NAMES = [
    "../../etc/passwd.txt", "/etc/cron.d/evil.txt", "..\\..\\evil.txt", "C:\\Windows\\evil.txt", "CON.txt", "nul.txt",
    "a\0b.txt", "a\nb.txt", "a\r\nINFO forged.txt", "\x1b[31mred.txt", "\u202etxt.exe.txt", "-rf.txt", "=cmd().txt",
    "$(id).txt", "`id`.txt", "; rm -rf ~.txt", "'quote.txt", '"double".txt', "a" * 300 + ".txt", ".txt.txt", "...txt",
    "%2e%2e%2f.txt", "é.txt", "e\u0301.txt", "\ud800.txt", "\ufeff.txt", "😀.txt", "{}.txt", "%s.txt", "<b>.txt",
    "a b .txt", "~.txt", "file:///etc/passwd.txt", "\\\\server\\share\\a.txt", "a:b.txt", "*.txt", "?.txt",
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_hostile_names_are_data(loader: DocumentLoader, name: str, caplog: pytest.LogCaptureFixture) -> None:
    """The text is read, the name keeps its last part, and nothing is opened or written by it."""
    caplog.set_level(logging.INFO)
    document = loader.load_bytes(b"hello", name)
    assert document.text.strip() == "hello"
    assert document.filename == base_name(name)
    assert "/" not in document.filename
    assert "\\" not in document.filename
    assert len(document.filename) <= 255
    assert document.filename.endswith(".txt")


@pytest.mark.parametrize(
    "address",
    ["http://example.org/a.pdf", "https://example.org/a.pdf", "file:///etc/hosts", "ftp://a/b.txt", "data:text/plain,x",
     "s3://bucket/a.pdf", "FILE://a.txt", "smb://server/share"],
)  # fmt: skip
def test_addresses_are_refused(loader: DocumentLoader, address: str) -> None:
    """Nothing is fetched: an address is no path."""
    with pytest.raises(exceptions.DocumentSourceError, match="address"):
        loader.load_file(address)


def test_a_file(loader: DocumentLoader, tmp_path: Path) -> None:
    """A path as text or as a Path; the document's name has no folder."""
    path = tmp_path / "notes.txt"
    path.write_bytes(b"hello")
    for given in (path, str(path)):
        document = loader.load_file(given)
        assert (document.filename, document.text) == ("notes.txt", "hello\n\n")
    assert document.sha256 == "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"


def test_what_is_no_regular_file(loader: DocumentLoader, tmp_path: Path) -> None:
    """Missing files, folders, links, pipes and devices are refused at once, each with its reason."""
    real = tmp_path / "real.txt"
    real.write_bytes(b"hello")
    link = tmp_path / "link.txt"
    link.symlink_to(real)
    pipe = tmp_path / "pipe.txt"
    os.mkfifo(pipe)
    for path, reason in (
        (tmp_path / "missing.txt", "No such file"),
        (tmp_path, "no regular file"),
        (link, "it is a link"),
        (pipe, "no regular file"),
        ("/dev/zero", "no regular file"),
        ("a\0.txt", "no file can have this name"),
    ):
        with pytest.raises(exceptions.DocumentSourceError, match=reason):
            loader.load_file(path)


def test_a_large_file_is_refused_by_its_size(tmp_path: Path) -> None:
    """It is not read first; a hole of ten gigabytes costs nothing."""
    path = tmp_path / "large.txt"
    with path.open("wb") as file:
        file.truncate(10_000_000_000)
    with pytest.raises(exceptions.DocumentTooLargeError) as info:
        read_file(path, max_size=DocumentLimits().max_file_size)
    assert info.value.limit == "max_file_size"

"""Files that nobody here made, where they stand beside the checkout: read, or refused by an error of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from llm.document import DocumentLoader
from llm.document.file_type import EXTENSIONS

FOLDER = Path(__file__).parents[3] / "shared" / "documents"
FILES = sorted(path for path in FOLDER.glob("*") if path.suffix[1:] in EXTENSIONS) if FOLDER.is_dir() else []
# Four pages that are pictures: half a minute and more to read off.
SLOW = {"nemotron_multipage.pdf"}


@pytest.mark.skipif(not FILES, reason="no documents beside the checkout")
@pytest.mark.parametrize("path", [path for path in FILES if path.name not in SLOW], ids=lambda path: path.name)
def test_it_is_read(loader: DocumentLoader, path: Path) -> None:
    """Items are in order and hold all of the text; pages are numbers that exist."""
    document = loader.load_file(path)
    assert document.filename == path.name
    if document.complete:
        assert document.items
    end = 0
    for item in document.items:
        assert document.text[end : item.start].strip() == ""
        assert end <= item.start < item.end
        assert document.text[item.start : item.end].strip() == document.text[item.start : item.end]
        assert item.page is None or 1 <= item.page <= (document.page_count or 0)
        assert (item.level > 0) == (item.kind == "heading")
        end = item.end
    assert document.text[end:].strip() == ""
    document.text.encode("utf-8")

"""The page about documents says what is so."""

from __future__ import annotations

import re
from pathlib import Path

from llm.knowledge import DocumentInfo, KnowledgeStore, Passage
from llm.knowledge.passage import SEARCH_MODES, AddedDocument

PAGE = (Path(__file__).parents[2] / "docs" / "knowledge.md").read_text()


def test_the_page_names_what_there_is() -> None:
    """Every way to add, every mode, every key of a result and every attribute of a passage that it promises."""
    adding = re.findall(r"\| `(add_\w+)\(", PAGE)
    assert set(adding) == {name for name in dir(KnowledgeStore) if name.startswith("add_")}
    assert set(re.findall(r"^\| `(\w+)`(?: \(default\))? \| ", PAGE, re.MULTILINE)) == set(SEARCH_MODES)
    keys = re.search(r"Each returns a dictionary: (.*?)\.\n", PAGE, re.DOTALL)
    assert keys is not None
    assert set(re.findall(r"`(\w+)`", keys[1])) == {*DocumentInfo.__annotations__, *AddedDocument.__annotations__}
    attributes = re.search(r"A `Passage` has (.*?) for people", PAGE, re.DOTALL)
    assert attributes is not None
    assert all(hasattr(Passage, name) for name in re.findall(r"`(\w+)`", attributes[1]))
    for call in re.findall(r"`(\w+)\(", PAGE):
        if call in ("delete_document", "purge", "clear", "search", "search_scoped"):
            assert hasattr(KnowledgeStore, call)

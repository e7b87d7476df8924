"""One loader for all tests that only read: starting a process and its parsers takes seconds."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from llm.document import DocumentLoader


@pytest.fixture(scope="session")
def loader() -> Iterator[DocumentLoader]:
    with DocumentLoader() as loader:
        yield loader

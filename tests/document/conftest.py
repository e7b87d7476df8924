"""One loader for all tests that only read: starting a process and its parsers takes seconds."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from llm.document import DocumentLoader


@pytest.fixture(scope="session")
def loader() -> Iterator[DocumentLoader]:
    with DocumentLoader() as loader:
        yield loader


@pytest.fixture(scope="session")
def samples() -> ModuleType:
    """The functions and values of sample_files.py."""
    specification = importlib.util.spec_from_file_location("sample_files", Path(__file__).with_name("sample_files.py"))
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module

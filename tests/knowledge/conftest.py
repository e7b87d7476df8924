"""Stores for tests of what stands on one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from llm.knowledge import ChromaKnowledgeConfig, ChromaKnowledgeStore
from llm.testing.hash_embedder import HashEmbedder
from llm.testing.text_loader import TextLoader

OpenStore = Callable[..., ChromaKnowledgeStore]


@pytest.fixture
def open_store(tmp_path: Path) -> Iterator[OpenStore]:
    """Opens stores, in one folder unless told otherwise; closes them at the end."""
    with ExitStack() as stores:

        def open_(
            folder: Path = tmp_path / "chroma_db",
            *,
            loader: Any = None,
            embedder: Any = None,
            **settings: Any,
        ) -> ChromaKnowledgeStore:
            store = ChromaKnowledgeStore(
                ChromaKnowledgeConfig(persist_directory=str(folder), **settings),
                loader=loader or TextLoader(),
                embedder=embedder or HashEmbedder(),
            )
            stores.callback(store.close)
            return store

        yield open_


@pytest.fixture
def store(open_store: OpenStore) -> ChromaKnowledgeStore:
    """An empty store of text files."""
    return open_store()

"""The contract of knowledge stores, kept by Chroma and SQLite together."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from llm.knowledge import ChromaKnowledgeConfig, ChromaKnowledgeStore, KnowledgeStore
from llm.testing.hash_embedder import HashEmbedder
from llm.testing.knowledge_store_contract import KnowledgeStoreContract
from llm.testing.text_loader import TextLoader


class TestChromaKnowledgeStore(KnowledgeStoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[KnowledgeStore]:
        config = ChromaKnowledgeConfig(persist_directory=str(tmp_path / "chroma_db"))
        with ChromaKnowledgeStore(config, loader=TextLoader(), embedder=HashEmbedder()) as store:
            yield store

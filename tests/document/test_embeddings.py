"""An embedder gives one vector of length 1 for each text, whoever asks and in whatever company the text is."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from llm.document.embeddings import open_embedder
from llm.document.token_batches import token_batches
from llm.exceptions import EngineClosedError
from llm.knowledge.chroma_knowledge_config import ChromaKnowledgeConfig
from llm.testing.small_embedding_model import write_embedding_model

TEXTS = [
    "the river bank",
    "money in the bank",
    "x",
    "a much longer text about the river, the money, and nothing else " * 3,
    "日本語",
    "half a pair \ud83d",
    "",
]


def test_batches_hold_every_text_once_by_length() -> None:
    """Batches are as large as asked, longest texts first, and together hold each position once."""
    lengths = [5, 1, 9, 9, 2, 7, 3]
    batches = token_batches(lengths, size=3)
    assert [[lengths[position] for position in batch] for batch in batches] == [[9, 9, 7], [5, 3, 2], [1]]
    assert sorted(position for batch in batches for position in batch) == list(range(7))
    assert token_batches([]) == []


class TestSentenceTransformers:
    """The engine on torch."""

    @pytest.fixture(autouse=True)
    def _torch(self) -> None:
        pytest.importorskip("sentence_transformers")

    def test_vectors_are_those_of_the_library(self, tmp_path: Path) -> None:
        """Rows equal what sentence-transformers gives for each text alone, and have length 1."""
        from sentence_transformers import SentenceTransformer

        folder = write_embedding_model(tmp_path / "m")
        embedder = open_embedder(ChromaKnowledgeConfig(embedding_model=str(folder)))
        vectors = embedder.embed(TEXTS)
        alone = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
        expected = np.stack(
            [alone.encode(text.encode("utf-8", "replace").decode(), normalize_embeddings=True) for text in TEXTS]
        )
        assert vectors.dtype == np.float32
        assert vectors.shape == (len(TEXTS), embedder.dimension)
        np.testing.assert_allclose(vectors, expected, atol=1e-5)
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
        np.testing.assert_allclose(embedder.embed_query(TEXTS[0]), expected[0], atol=1e-5)
        assert embedder.embed([]).shape == (0, embedder.dimension)

    def test_a_closed_embedder_says_so(self, tmp_path: Path) -> None:
        """After close, which may be called twice, an embedder refuses."""
        embedder = open_embedder(ChromaKnowledgeConfig(embedding_model=str(write_embedding_model(tmp_path / "m"))))
        embedder.close()
        embedder.close()
        with pytest.raises(EngineClosedError):
            embedder.embed(["x"])

    def test_threads_share_an_embedder(self, tmp_path: Path) -> None:
        """Eight threads at once get the vectors that each would get alone."""
        embedder = open_embedder(ChromaKnowledgeConfig(embedding_model=str(write_embedding_model(tmp_path / "m"))))
        expected = embedder.embed(TEXTS)
        results: dict[int, np.ndarray] = {}

        def ask(number: int) -> None:
            results[number] = embedder.embed(TEXTS * 4)

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(results) == 8
        for result in results.values():
            np.testing.assert_allclose(result, np.tile(expected, (4, 1)), atol=1e-5)

"""An embedder gives one vector of length 1 for each text, whoever asks and in whatever company the text is."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from llm.document import embeddings
from llm.document.embeddings import Embedder, open_embedder
from llm.document.token_batches import token_batches
from llm.exceptions import EngineClosedError, ModelLoadError
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


def torch_embedder(folder: Path) -> Embedder:
    path = write_embedding_model(folder / "m")
    return open_embedder(ChromaKnowledgeConfig(embedding_model=str(path), embedding_engine="sentence_transformers"))


def test_batches_hold_every_text_once_by_length() -> None:
    """Batches are as large as asked, longest texts first, and together hold each position once."""
    lengths = [5, 1, 9, 9, 2, 7, 3]
    batches = token_batches(lengths, size=3)
    assert [[lengths[position] for position in batch] for batch in batches] == [[9, 9, 7], [5, 3, 2], [1]]
    assert sorted(position for batch in batches for position in batch) == list(range(7))
    assert token_batches([]) == []


def test_a_missing_library_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without sentence-transformers, asking for it names what to install and which setting does without."""
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    monkeypatch.delitem(sys.modules, "llm.document.sentence_transformer_embedder", raising=False)
    monkeypatch.delattr("llm.document.sentence_transformer_embedder", raising=False)
    folder = write_embedding_model(tmp_path / "m")
    config = ChromaKnowledgeConfig(embedding_model=str(folder), embedding_engine="sentence_transformers")
    with pytest.raises(ModelLoadError, match=r"practorflow\[transformers\].*KB_CHROMA_EMBEDDING_ENGINE=onnx"):
        open_embedder(config)


def test_auto_takes_what_can_run_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a GPU, a model of the BERT family runs on onnxruntime, and another pooling on torch."""
    pytest.importorskip("sentence_transformers")
    monkeypatch.setattr(embeddings, "_DRIVER", tmp_path / "no driver")
    engines = []
    for pooling in ("cls", "max"):
        folder = write_embedding_model(tmp_path / pooling, pooling=pooling)
        engines.append(open_embedder(ChromaKnowledgeConfig(embedding_model=str(folder))).identity.split("/")[1])
    assert engines == ["onnx-int8", "torch-fp32"]


class TestSentenceTransformers:
    """The engine on torch."""

    @pytest.fixture(autouse=True)
    def _torch(self) -> None:
        pytest.importorskip("sentence_transformers")

    def test_vectors_are_those_of_the_library(self, tmp_path: Path) -> None:
        """Rows equal what sentence-transformers gives for each text alone, and have length 1."""
        from sentence_transformers import SentenceTransformer

        folder = write_embedding_model(tmp_path / "m")
        embedder = open_embedder(
            ChromaKnowledgeConfig(embedding_model=str(folder), embedding_engine="sentence_transformers")
        )
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
        embedder = torch_embedder(tmp_path)
        embedder.close()
        embedder.close()
        with pytest.raises(EngineClosedError):
            embedder.embed(["x"])

    def test_threads_share_an_embedder(self, tmp_path: Path) -> None:
        """Eight threads at once get the vectors that each would get alone."""
        embedder = torch_embedder(tmp_path)
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

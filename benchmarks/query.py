"""What a question costs in a large store, beside Chroma alone with the same vectors.

    python benchmarks/query.py [--chunks 50000] [--queries 200] [--scope 5000]

Vectors of the documents are drawn in clusters, which takes no time; a question is embedded by the configured model,
whose time counts on both sides, and then moved to a cluster. `chroma` embeds the question and asks a collection of the
same vectors, with texts and metadata, for 20; `search` and `scoped` are the store's, hybrid as it is by default, `one`
is a scope of a single document. Targets at 50,000 chunks: p95 of `search` 1.5 times, of `scoped` 3 times that of
`chroma`.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import chromadb
import numpy as np
import numpy.typing as npt
from chromadb.config import Settings
from figures import finish

from llm.document.embeddings import Embedder, open_embedder
from llm.knowledge import ChromaKnowledgeConfig, ChromaKnowledgeStore
from llm.testing.text_loader import TextLoader

# A neighbour of this script is called like the package that embeds.
sys.path = [folder for folder in sys.path if Path(folder or ".").resolve() != Path(__file__).parent.resolve()]

CLUSTERS = 200
PIECES = 10  # retrieval chunks in a document of about 1,000 characters
BEGINNINGS = ("ka", "lo", "mi", "ne", "pu", "ra", "so", "ti")
MIDDLES = ("be", "cu", "di", "fo", "ga", "hi", "ju", "ko", "ly", "ma")
ENDINGS = ("bar", "den", "fil", "gor", "han", "jes", "kul", "lam", "mer", "nor", "pil", "ros", "sat", "tun", "vel")
# So many that a third of all passages have a word of a question, as with those of chunking-evaluation.
WORDS = [f"{first}{second}{third}" for first in BEGINNINGS for second in MIDDLES for third in ENDINGS]


class ClusteredEmbedder:
    """Vectors of documents are drawn; a question costs what the real model costs."""

    def __init__(self, model: Embedder) -> None:
        self._model = model
        self._random = np.random.default_rng(1)
        self._centres = self._random.normal(size=(CLUSTERS, model.dimension))
        self.dimension = model.dimension
        self.identity = "clustered"

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        return self._drawn(len(texts))

    def embed_query(self, text: str) -> npt.NDArray[np.float32]:
        self._model.embed_query(text)
        vector: npt.NDArray[np.float32] = self._drawn(1)[0]
        return vector

    def close(self) -> None:
        self._model.close()

    def _drawn(self, count: int) -> npt.NDArray[np.float32]:
        centres = self._centres[self._random.integers(0, CLUSTERS, count)]
        vectors = centres + 0.7 * self._random.normal(size=centres.shape)
        drawn: npt.NDArray[np.float32] = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
        return drawn


def bare_collection(folder: str, store: ChromaKnowledgeStore) -> chromadb.Collection:
    """A collection as one would fill it by hand."""
    client = chromadb.PersistentClient(path=folder, settings=Settings(anonymized_telemetry=False))
    collection = client.create_collection("bare", embedding_function=None, configuration={"hnsw": {"space": "cosine"}})
    for key, uid, document_id, pieces in store._index.versions():
        vectors = store._index.vectors_of(key)
        assert vectors is not None
        ids = [f"{uid}:{piece}" for piece in range(sum(pieces))]
        collection.add(
            ids=ids,
            embeddings=vectors.astype(np.float32),
            documents=[f"piece {number} of a document " * 4 for number in range(len(ids))],
            metadatas=[{"document_id": document_id, "number": number} for number in range(len(ids))],
        )
    return collection


def measured(sides: dict[str, Callable[[str], object]], queries: Sequence[str]) -> dict[str, dict[str, float]]:
    """Milliseconds at the median and the 95th percentile of each side, asked in turn."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for query in queries:
        for name, ask in sides.items():
            begun = time.perf_counter()
            ask(query)
            seconds[name].append(time.perf_counter() - begun)
    return {
        name: {"p50": 1000 * statistics.median(times), "p95": 1000 * statistics.quantiles(times, n=20)[-1]}
        for name, times in seconds.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chunks", type=int, default=50_000)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--scope", type=int, default=5_000)
    options = parser.parse_args()
    chance = random.Random(3)
    embedder = ClusteredEmbedder(open_embedder(ChromaKnowledgeConfig()))
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder) / "files"
        files.mkdir()
        documents = options.chunks // PIECES
        for number in range(documents):
            (files / f"{number}.txt").write_text(" ".join(chance.choices(WORDS, k=180)) + f" {number}.")
        with ChromaKnowledgeStore(
            ChromaKnowledgeConfig(persist_directory=f"{folder}/store"), loader=TextLoader(), embedder=embedder
        ) as store:
            begun = time.perf_counter()
            store.add_documents(files, progress=None)
            print(f"{store.counts()} in {time.perf_counter() - begun:.1f} s", flush=True)
            collection = bare_collection(f"{folder}/bare", store)
            ids = [document["id"] for document in store.list_documents()]
            scope = frozenset(chance.sample(ids, min(options.scope, len(ids))))
            one = ids[:1]
            sides: dict[str, Callable[[str], object]] = {
                "chroma": lambda query: collection.query(
                    query_embeddings=embedder.embed_query(query).reshape(1, -1), n_results=20
                ),
                "search": lambda query: store.search(query),
                "dense": lambda query: store.search(query, mode="dense"),
                "text": lambda query: store.search(query, mode="text"),
                "scoped": lambda query: store.search_scoped(query, scope),
                "one": lambda query: store.search_scoped(query, one),
            }
            queries = [" ".join(chance.choices(WORDS, k=6)) for _ in range(options.queries + 5)]
            measured(sides, queries[:5])
            table = measured(sides, queries[5:])
            for name, row in table.items():
                ratio = row["p95"] / table["chroma"]["p95"]
                print(f"{name:8} p50 {row['p50']:8.2f} ms   p95 {row['p95']:8.2f} ms   {ratio:6.2f} of chroma")
            finish(
                "asking a large store",
                counts=store.counts(),
                scope=len(scope),
                milliseconds=table,
                search_of_chroma_p95=round(table["search"]["p95"] / table["chroma"]["p95"], 2),
                scoped_of_chroma_p95=round(table["scoped"]["p95"] / table["chroma"]["p95"], 2),
                targets={"search_of_chroma_p95": 1.5, "scoped_of_chroma_p95": 3.0},
            )


if __name__ == "__main__":
    main()

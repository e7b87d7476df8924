"""Many small documents share their writes, and a write that fails takes nothing half way with it."""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from llm.exceptions import KnowledgeStoreError
from llm.knowledge import IngestProgress
from llm.knowledge.vector_index import WRITE_BATCH
from llm.knowledge.vector_upkeep import SLICE
from llm.testing.small_documents import add, text_about


def written_files(folder: Path, texts: list[str]) -> list[Path]:
    folder.mkdir()
    paths = [folder / f"{number:03}.txt" for number in range(len(texts))]
    for path, text in zip(paths, texts, strict=True):
        path.write_text(text)
    return paths


def counted(monkeypatch: pytest.MonkeyPatch, store: Any) -> Counter[str]:
    """Counts what is written from now on: calls of Chroma by collection and kind, and transactions."""
    calls: Counter[str] = Counter()

    def count(owner: Any, name: str, label: str) -> None:
        call = getattr(owner, name)

        def counting(*arguments: Any, **named: Any) -> Any:
            calls[label] += 1
            return call(*arguments, **named)

        monkeypatch.setattr(owner, name, counting)

    for kind, collection in store._vectors._collections.items():
        count(collection, "upsert", f"add {kind}")
        count(collection, "delete", f"remove {kind}")
    count(store._index.database, "writing", "transaction")
    return calls


class TestSharedWrites:
    def test_small_documents_are_written_together(
        self, tmp_path: Path, open_store: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A slice costs a call for each batch of a collection and two transactions, however many documents it has."""
        store = open_store()
        paths = written_files(tmp_path / "files", [f"{text_about('zebras', seed=seed)}" for seed in range(60)])
        calls = counted(monkeypatch, store)
        results = store.add_documents(paths, progress=False)
        assert all(result.success for result in results)
        chunks = store.counts()["retrieval_chunks"]
        slices = -(-chunks // SLICE)
        assert calls["add retrieval"] <= slices * -(-SLICE // WRITE_BATCH)
        assert calls["add document"] <= slices * -(-60 // WRITE_BATCH)
        assert calls["transaction"] <= 2 * slices + 1
        assert store.stats()["pending"] == 0

    def test_a_batch_is_no_larger_than_configured(self, open_store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        """Each call of Chroma writes or removes at most `batch_size` vectors, and all of them are written."""
        store = open_store(batch_size=7)
        sizes: dict[str, list[int]] = {"upsert": [], "delete": []}
        collection = store._vectors._collections["retrieval"]
        for name, seen in sizes.items():
            call = getattr(collection, name)

            def counting(*, ids: list[str], call: Any = call, seen: list[int] = seen, **named: Any) -> Any:
                seen.append(len(ids))
                return call(ids=ids, **named)

            monkeypatch.setattr(collection, name, counting)
        add(store, text_about("zebras"))
        chunks = store.counts()["retrieval_chunks"]
        store.clear()
        for seen in sizes.values():
            assert (max(seen), sum(seen)) == (7, chunks)

    def test_deleting_everything_is_one_removal(self, open_store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        """The vectors of several documents leave in the same calls."""
        store = open_store()
        for number in range(5):
            add(store, f"Number {number} is about lamps.", f"{number}.txt")
        calls = counted(monkeypatch, store)
        store.clear()
        assert calls == {"remove retrieval": 1, "remove context": 1, "remove document": 1, "transaction": 2}
        assert [store._vectors.count(kind) for kind in ("retrieval", "context", "document")] == [0, 0, 0]

    def test_the_same_content_twice_in_a_slice(self, tmp_path: Path, open_store: Any) -> None:
        """It is one document, and the vectors of the second are gone again."""
        store = open_store()
        texts = [text_about("zebras"), text_about("tides"), text_about("zebras")]
        results = store.add_documents(written_files(tmp_path / "files", texts), progress=False)
        documents = [result.document for result in results]
        assert documents[0]["id"] == documents[2]["id"] != documents[1]["id"]
        counts = store.counts()
        assert counts["documents"] == 2
        assert store._vectors.count("retrieval") == counts["retrieval_chunks"]
        assert store.stats()["pending"] == 0


def test_what_follows_a_failed_write_of_the_same_document_is_not_written(
    tmp_path: Path, open_store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A document of two slices whose first one fails is not committed with the second; it is added by the next call."""
    store = open_store()
    (path,) = written_files(tmp_path / "files", [text_about("zebras", paragraphs=100)])
    embedded = threading.Event()
    failures = [1]
    write = store._vectors.add

    def add_(kind: str, *arguments: Any, **named: Any) -> None:
        assert embedded.wait(60)
        if failures[0]:
            failures[0] -= 1
            raise KnowledgeStoreError("Chroma failed.")
        write(kind, *arguments, **named)

    slices = 0

    def told(_: IngestProgress) -> None:
        nonlocal slices
        slices += 1
        if slices == 2:
            embedded.set()
            store._writing.submit(int).result()  # the writer has been through both

    monkeypatch.setattr(store._vectors, "add", add_)
    with pytest.raises(KnowledgeStoreError, match=r"Chroma failed\."):
        store.add_documents(path, progress=told)
    assert store.counts()["documents"] == 0
    (result,) = store.add_documents(path, progress=False)
    assert result.success
    assert SLICE < store._vectors.count("retrieval") == store.counts()["retrieval_chunks"] <= 2 * SLICE
    assert store.stats()["pending"] == 0

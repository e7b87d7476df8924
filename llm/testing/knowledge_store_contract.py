"""What every knowledge store promises, as tests to inherit.

    class TestMyStore(KnowledgeStoreContract):
        @pytest.fixture
        def store(self, tmp_path) -> Iterator[KnowledgeStore]:
            with MyStore(tmp_path, loader=TextLoader(), embedder=HashEmbedder()) as store:
                yield store

The store reads text files and is empty for each test.
"""

from __future__ import annotations

import base64
import io
import random
import threading
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from ..exceptions import (
    DocumentEncodingError,
    DocumentNotFoundError,
    DocumentSourceError,
    KnowledgeStoreError,
    LLMError,
    RequestError,
)
from ..knowledge.document_scope import DocumentScope
from ..knowledge.knowledge_store import KnowledgeStore
from ..knowledge.passage import SEARCH_MODES, SearchMode
from .small_documents import WORDS, add, documents_of, text_about

HOSTILE_IDS: tuple[str, ...] = (
    "",
    "x",
    "../../etc/passwd",
    "' OR ''='",
    '"; DROP TABLE documents; --',
    "\0",
    "\ud800",
    "%",
    "a" * 10_000,
    "{'$ne': ''}",
)
HOSTILE_QUERIES = (
    "' OR 1=1 --",
    '" OR * NEAR(a b) AND NOT',
    "body: * ^ {} [] () -",
    "\0 NUL",
    "half a pair \ud83d",
    "Zürich, 日本 and 👩‍🚀",
    "the of and",
    "?!…",
    "long " * 20_000,
)


class KnowledgeStoreContract:
    """Inherit and give a fixture `store`, empty for each test."""

    def test_a_document_comes_in_by_every_door(self, store: KnowledgeStore, tmp_path: Path) -> None:
        """File, bytes, base64 and stream: a dictionary with id, name, type, length, chunk counts and time."""
        before = datetime.now(timezone.utc)
        texts = [text_about(topic, paragraphs=3) for topic in ("zebras", "quasars", "walnuts", "tides")]
        file = tmp_path / "zebras.txt"
        file.write_text(texts[0])
        added = [
            store.add_document_from_file(file),
            store.add_document_from_bytes(texts[1].encode(), "quasars.txt"),
            store.add_document_from_base64(base64.encodebytes(texts[2].encode()).decode(), "walnuts.txt"),
            store.add_document_from_stream(io.BytesIO(texts[3].encode()), "tides.txt"),
        ]
        assert len({document["id"] for document in added}) == 4
        for document, text, name in zip(added, texts, ("zebras", "quasars", "walnuts", "tides"), strict=True):
            assert (document["filename"], document["file_type"]) == (f"{name}.txt", "txt")
            assert document["content_length"] == len(text)
            assert document["retrieval_chunks"] > document["context_chunks"] >= 1
            assert before <= datetime.fromisoformat(document["created_at"]) <= datetime.now(timezone.utc)
            assert (document["complete"], document["warnings"]) == (True, [])
            assert (document["already_there"], document["replaced"]) == (False, False)
            assert store.search(f"about {name}")[0].document_id == document["id"]
            assert store.get_document(document["id"])["text"] == text
        counts = store.counts()
        assert counts["documents"] == 4
        assert counts["context_chunks"] == sum(document["context_chunks"] for document in added)
        assert counts["retrieval_chunks"] == sum(document["retrieval_chunks"] for document in added)
        uri = "data:text/plain;base64," + base64.b64encode(texts[2].encode()).decode()
        assert store.add_document_from_base64(uri, "again.txt")["id"] == added[2]["id"]

    @pytest.mark.parametrize("mode", SEARCH_MODES)
    def test_what_is_found_can_be_cited(self, store: KnowledgeStore, mode: SearchMode) -> None:
        """Text, document, name, page, headings and exact offsets; best first, each passage once, at most top_k."""
        pages = [f"# Chapter {number}\n\n{text_about(topic)}" for number, topic in enumerate(("zebras", "tides"), 1)]
        text = "\f".join(pages)
        id_ = add(store, text, "book.txt")
        found = store.search("What is said about tides?", 4, mode=mode)
        assert 1 <= len(found) <= 4
        assert [passage.score for passage in found] == sorted((passage.score for passage in found), reverse=True)
        assert len({passage.id for passage in found}) == len(found)
        best = found[0]
        assert "tides" in best.text
        assert (best.document_id, best.filename, best.file_type) == (id_, "book.txt", "txt")
        assert best.source == "book.txt, page 2"
        assert best.headings == ("# Chapter 2",)
        for passage in found:
            assert text[passage.start : passage.end] == passage.text
            assert store.get_context_chunk(passage.id).text == passage.text
            small = store.get_chunk(f"{passage.id}:0")
            assert text[small.start : small.end] == small.text
            assert small.context_id == passage.id
            assert passage.start <= small.start < small.end <= passage.end
            assert store.get_context_chunk(small.id).id == passage.id
            assert passage.text[:20] not in repr(passage) + repr(small)
        if mode != "text":
            assert best.match_start is not None
            assert best.start <= best.match_start < best.match_end <= best.end  # type: ignore[operator]

    def test_what_is_not_there_is_an_error_of_its_own(self, store: KnowledgeStore) -> None:
        """Unknown and hostile ids have no document and no chunk; deleting one says False."""
        add(store, text_about("zebras"))
        for id_ in (*HOSTILE_IDS, "0" * 24, "0" * 24 + ":0", "0" * 24 + ":0:0", 5, None):
            for get in (store.get_document, store.get_chunk, store.get_context_chunk):
                with pytest.raises(DocumentNotFoundError):
                    get(id_)  # type: ignore[arg-type]
            assert store.delete_document(id_) is False  # type: ignore[arg-type]
        best = store.search("zebras")[0]
        with pytest.raises(DocumentNotFoundError):
            store.get_chunk(f"{best.id}:9999")
        assert store.counts()["documents"] == 1

    @pytest.mark.parametrize("mode", SEARCH_MODES)
    def test_a_scope_is_exactly_these_documents(self, store: KnowledgeStore, mode: SearchMode) -> None:
        """An empty one finds nothing, None is refused, unknown ids add nothing, any number of them is fine."""
        ids = [add(store, text_about("zebras", seed=seed), f"{seed}.txt") for seed in range(6)]
        for scope in ({ids[0]}, {ids[1], ids[4]}, set(ids), {ids[2], "0" * 24}):
            found = store.search_scoped("zebras", scope, 100, mode=mode)
            assert documents_of(found) == scope & set(ids)
            assert found == store.search_scoped("zebras", DocumentScope.only(scope), 100, mode=mode)
        many = [f"{number:024x}" for number in range(100_000)]
        assert documents_of(store.search_scoped("zebras", [*many, ids[3]], mode=mode)) == {ids[3]}
        nothing: tuple[Collection[str], ...] = ((), set(), [], HOSTILE_IDS, many)
        for empty in nothing:
            assert store.search_scoped("zebras", empty, mode=mode) == []
        for wrong in (None, "abc", b"abc", {"$ne": ""}, 5, [None], [{"$ne": ""}], [ids]):
            with pytest.raises(RequestError, match="scope"):
                store.search_scoped("zebras", wrong, mode=mode)  # type: ignore[arg-type]

    def test_1000_random_scopes_leak_nothing(self, store: KnowledgeStore) -> None:
        """Three tenants with like documents: whatever is asked and how, nothing outside the scope comes back."""
        chance = random.Random(11)
        topics = ("zebras", "tides", "walnuts")
        owners: dict[str, list[str]] = {
            owner: [add(store, text_about(topic, paragraphs=4) + owner, f"{owner}.txt") for topic in topics]
            for owner in ("ada", "bob", "cy")
        }
        for _ in range(1000):
            mine = owners[chance.choice(list(owners))]
            scope = set(chance.sample(mine, chance.randrange(len(mine) + 1)))
            found = store.search_scoped(
                " ".join(chance.choices((*WORDS, *topics), k=3)),
                scope,
                chance.randrange(1, 30),
                mode=chance.choice(SEARCH_MODES),
            )
            assert documents_of(found) <= scope

    @pytest.mark.parametrize("query", HOSTILE_QUERIES, ids=range(len(HOSTILE_QUERIES)))
    def test_a_question_is_only_words(self, store: KnowledgeStore, query: str) -> None:
        """No query language can be reached through it, and nothing makes it fail."""
        id_ = add(store, text_about("zebras"))
        for mode in SEARCH_MODES:
            assert documents_of(store.search(query, mode=mode)) <= {id_}

    def test_bad_arguments_are_refused_by_name(self, store: KnowledgeStore) -> None:
        """Numbers, modes, names and data that are none."""
        for top_k in (0, -1, 2.5, True, "5", 10**9):
            with pytest.raises(RequestError, match="top_k"):
                store.search("x", top_k)  # type: ignore[arg-type]
        with pytest.raises(RequestError, match="mode"):
            store.search("x", mode="fuzzy")  # type: ignore[arg-type]
        with pytest.raises(RequestError, match="query"):
            store.search(5)  # type: ignore[arg-type]
        with pytest.raises(RequestError, match="base64"):
            store.add_document_from_base64("not base64!", "a.txt")
        with pytest.raises(RequestError, match="bytes"):
            store.add_document_from_bytes("text", "a.txt")  # type: ignore[arg-type]
        with pytest.raises(RequestError, match="filename"):
            store.add_document_from_bytes(b"text", "")
        with pytest.raises(RequestError, match="source"):
            store.add_document_from_bytes(b"text", "a.txt", source="")
        assert store.search("  ") == []

    def test_a_document_that_cannot_be_read_leaves_nothing(self, store: KnowledgeStore, tmp_path: Path) -> None:
        """Its own error, and no row, no word and no vector of it."""
        with pytest.raises(DocumentEncodingError):
            store.add_document_from_bytes(b"zebras \xff\xfe", "bad.txt")
        with pytest.raises(DocumentSourceError):
            store.add_document_from_file(tmp_path / "absent.txt")
        for address in ("https://example.org/a.txt", "file:///etc/passwd"):
            with pytest.raises(DocumentSourceError):
                store.add_document_from_file(address)
        assert store.stats()["pending"] == store.counts()["documents"] == 0
        assert store.search("zebras") == []

    def test_the_same_content_is_recognized(self, store: KnowledgeStore, tmp_path: Path) -> None:
        """Under whatever name and by whatever door it comes again: one document, and nothing is written."""
        text = text_about("zebras")
        first, second = tmp_path / "a.txt", tmp_path / "b.txt"
        first.write_text(text)
        second.write_text(text)
        original = store.add_document_from_file(first)
        for again in (
            store.add_document_from_file(first),
            store.add_document_from_file(second),
            store.add_document_from_bytes(text.encode(), "c.txt"),
        ):
            assert again["already_there"]
            assert {**again, "already_there": False} == original
        assert store.counts()["documents"] == 1

    def test_a_changed_file_replaces_its_earlier_version(self, store: KnowledgeStore, tmp_path: Path) -> None:
        """Under the same id; only the new text is found, and nothing of the old one is left."""
        file = tmp_path / "report.txt"
        file.write_text(text_about("zebras"))
        first = store.add_document_from_file(file)
        for number, topic in enumerate(("tides", "walnuts", "quasars")):
            file.write_text(text_about(topic, paragraphs=3 + number))
            changed = store.add_document_from_file(file)
            assert (changed["id"], changed["replaced"], changed["created_at"]) == (
                first["id"],
                True,
                first["created_at"],
            )
            assert changed["updated_at"] > first["updated_at"]
            assert topic in store.search_scoped(topic, {first["id"]})[0].text
            assert all("zebras" not in passage.text for passage in store.search("zebras", 50))
        counts = store.counts()
        assert counts["documents"] == 1
        assert counts["retrieval_chunks"] == changed["retrieval_chunks"]
        assert store.stats()["pending"] == 0
        by_name = [add(store, text_about("tides", seed=seed), source="minutes") for seed in (1, 2)]
        assert by_name[0] == by_name[1]

    def test_of_two_files_that_were_the_same_one_may_change(self, store: KnowledgeStore, tmp_path: Path) -> None:
        """The other one's document stays as it is."""
        first, second = tmp_path / "a.txt", tmp_path / "b.txt"
        for file in (first, second):
            file.write_text(text_about("zebras"))
        shared = store.add_document_from_file(first)["id"]
        assert store.add_document_from_file(second)["id"] == shared
        second.write_text(text_about("tides"))
        other = store.add_document_from_file(second)
        assert other["id"] != shared
        assert not other["replaced"]
        assert store.get_document(shared)["text"] == text_about("zebras")
        first.write_text(text_about("walnuts"))
        assert store.add_document_from_file(first)["id"] == shared

    def test_many_files_at_once(self, store: KnowledgeStore, tmp_path: Path) -> None:
        """Each has a result of its own, in order; progress is told; a second run recognizes everything."""
        folder = tmp_path / "papers"
        (folder / "deep").mkdir(parents=True)
        for number in range(7):
            (folder / f"{number}.txt").write_text(text_about(f"topic{number}", paragraphs=1 + number))
        (folder / "deep" / "bad.txt").write_bytes(b"\xff\xfe\xfd bad")
        (folder / ".hidden.txt").write_text("hidden")
        (folder / "program.exe").write_bytes(b"MZ")
        (folder / "link.txt").symlink_to(folder / "0.txt")
        told: list[tuple[int, int, int]] = []
        paths = [folder, tmp_path / "absent.txt"]
        results = store.add_documents(
            paths, progress=lambda state: told.append((state.done, state.total, state.chunks))
        )
        assert [Path(result.path).name for result in results] == [
            *(f"{n}.txt" for n in range(7)),
            "bad.txt",
            "absent.txt",
        ]
        assert [result.success for result in results] == [True] * 7 + [False] * 2
        assert isinstance(results[7].error, DocumentEncodingError)
        assert isinstance(results[8].error, DocumentSourceError)
        assert told == sorted(told)
        assert told[-1] == (9, 9, store.counts()["retrieval_chunks"])
        for number in range(7):
            assert store.search(f"topic{number}")[0].filename == f"{number}.txt"
        again = store.add_documents(paths, progress=False)
        assert [result.document["already_there"] for result in again if result.document] == [True] * 7
        assert store.counts()["documents"] == 7
        assert store.add_documents([]) == []

    def test_an_ingest_that_was_broken_off_goes_on(self, store: KnowledgeStore, tmp_path: Path) -> None:
        """What was finished is kept and visible, what was not is not there, and calling again does the rest."""
        for number in range(20):
            (tmp_path / f"{number:02}.txt").write_text(text_about(f"topic{number}", paragraphs=30))

        class BrokenOff(Exception):
            pass

        def stop(state: Any) -> None:
            if state.done == 5:
                raise BrokenOff

        with pytest.raises(BrokenOff):
            store.add_documents(tmp_path, progress=stop)
        there = store.counts()["documents"]
        assert 5 <= there < 20
        assert len(store.list_documents()) == there
        results = store.add_documents(tmp_path, progress=False)
        assert sum(result.document["already_there"] for result in results if result.document) == there
        assert store.counts()["documents"] == 20
        assert store.stats()["pending"] == 0

    def test_lists_come_in_pages(self, store: KnowledgeStore) -> None:
        """Oldest first, each document once."""
        ids = [add(store, text_about("zebras", paragraphs=1, seed=seed), f"{seed}.txt") for seed in range(7)]
        assert [document["id"] for document in store.list_documents()] == ids
        listed: list[str] = []
        while page := store.list_documents(limit=3, after=listed[-1] if listed else None):
            listed += [document["id"] for document in page]
        assert listed == ids
        for limit in (0, -1, True, "3"):
            with pytest.raises(RequestError, match="limit"):
                store.list_documents(limit=limit)  # type: ignore[arg-type]
        with pytest.raises(DocumentNotFoundError):
            store.list_documents(after="0" * 24)

    def test_what_is_deleted_is_gone(self, store: KnowledgeStore) -> None:
        """No search, no id, no count; deleting again says False; the others stay."""
        ids = [add(store, text_about("zebras", seed=seed), f"{seed}.txt") for seed in range(4)]
        passage = store.search_scoped("zebras", {ids[1]})[0]
        assert store.delete_document(ids[1])
        for mode in SEARCH_MODES:
            assert documents_of(store.search("zebras", 100, mode=mode)) == {ids[0], ids[2], ids[3]}
            assert store.search_scoped("zebras", {ids[1]}, mode=mode) == []
        for get, id_ in ((store.get_document, ids[1]), (store.get_context_chunk, passage.id)):
            with pytest.raises(DocumentNotFoundError):
                get(id_)
        assert not store.delete_document(ids[1])
        assert store.counts()["documents"] == 3
        assert store.stats()["pending"] == 0
        assert add(store, text_about("zebras", seed=1)) != ids[1]
        store.clear()
        assert store.counts() == {"documents": 0, "context_chunks": 0, "retrieval_chunks": 0}
        assert store.search("zebras") == []
        add(store, text_about("zebras"))
        assert store.search("zebras")

    def test_purging_changes_nothing_that_can_be_seen(self, store: KnowledgeStore) -> None:
        """The documents that are left are found as before, and new ones can be added."""
        ids = [add(store, text_about("zebras", seed=seed), f"{seed}.txt") for seed in range(5)]
        for id_ in ids[::2]:
            store.delete_document(id_)
        before = [store.search("zebras lamp", 50, mode=mode) for mode in SEARCH_MODES]
        store.purge()
        after = [store.search("zebras lamp", 50, mode=mode) for mode in SEARCH_MODES]
        for one, other in zip(before, after, strict=True):
            assert {passage.id for passage in one} == {passage.id for passage in other}
        add(store, text_about("tides"))
        assert "tides" in store.search("tides")[0].text

    def test_threads_add_search_and_delete_at_once(self, store: KnowledgeStore) -> None:
        """Nobody sees an error, a deleted document, or half of one; what is counted is what is found."""
        kept: list[str] = []
        errors: list[BaseException] = []
        stop = threading.Event()

        def work(number: int) -> None:
            chance = random.Random(number)
            mine: list[str] = []
            for round_ in range(5):
                topic = f"topic{number}x{round_}"
                id_ = add(store, text_about(topic, paragraphs=3), f"{topic}.txt")
                assert documents_of(store.search_scoped(topic, {id_}, 50)) == {id_}
                mine.append(id_)
                if chance.random() < 0.5:
                    gone = mine.pop(chance.randrange(len(mine)))
                    assert store.delete_document(gone)
                    assert store.search_scoped("about", {gone}) == []
            kept.extend(mine)

        def look() -> None:
            while not stop.is_set():
                for passage in store.search("this part is about", 20):
                    assert passage.text

        def guarded(function: Any, *arguments: Any) -> None:
            try:
                function(*arguments)
            except BaseException as exc:
                errors.append(exc)

        looking = threading.Thread(target=guarded, args=(look,))
        looking.start()
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda number: guarded(work, number), range(8)))
        stop.set()
        looking.join()
        assert errors == []
        counts = store.counts()
        assert counts["documents"] == len(kept)
        assert documents_of(store.search("this part is about", 1000, mode="dense")) == set(kept)
        assert store.stats()["pending"] == 0

    def test_the_same_content_from_many_threads_is_one_document(self, store: KnowledgeStore) -> None:
        """Whoever is first stores it, the others recognize it."""
        text = text_about("zebras")
        with ThreadPoolExecutor(6) as pool:
            ids = list(pool.map(lambda number: add(store, text, f"{number}.txt"), range(6)))
        assert len(set(ids)) == 1
        assert store.counts()["documents"] == 1
        assert store.stats()["pending"] == 0

    def test_errors_quote_no_document(self, store: KnowledgeStore) -> None:
        """Neither message, nor repr, nor what stands behind an error, holds text of a document or a question."""
        canary = "canary81723"
        add(store, f"{canary} is a bird.")
        for call in (
            lambda: store.add_document_from_bytes(f"{canary}\n".encode() + b"\xff", "bad.txt"),
            lambda: store.add_document_from_base64(f"{canary}!!", "bad.txt"),
            lambda: store.search(canary, 0),
        ):
            with pytest.raises(LLMError) as caught:
                call()
            error: BaseException | None = caught.value
            while error is not None:
                assert canary not in repr(error)
                error = error.__cause__ or error.__context__
        assert canary not in repr(store) + repr(store.search(canary)) + repr(store.search_scoped(canary, {canary}))

    def test_a_closed_store_says_so(self, store: KnowledgeStore) -> None:
        """Every call after the first close raises KnowledgeStoreError; closing again does nothing."""
        id_ = add(store, text_about("zebras"))
        store.close()
        store.close()
        for call in (
            lambda: store.search("zebras"),
            lambda: add(store, "more"),
            lambda: store.add_documents([]),
            lambda: store.get_document(id_),
            lambda: store.delete_document(id_),
            lambda: store.counts(),
            lambda: store.purge(),
        ):
            with pytest.raises(KnowledgeStoreError, match="closed"):
                call()
        assert store.search_scoped("zebras", []) == []

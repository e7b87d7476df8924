"""A store's folder: who may open it, what stays in its bytes, and what becomes of it when the disk is full."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llm.exceptions import EmbedderMismatchError, KnowledgeStoreError, StoreFullError, StoreLockedError
from llm.knowledge import ChromaKnowledgeConfig, ChromaKnowledgeStore, vector_index
from llm.testing.hash_embedder import HashEmbedder
from llm.testing.small_documents import add, documents_of, text_about
from llm.testing.text_loader import TextLoader

ROOT = Path(__file__).parents[2]
HOLDER = """
import sys
from llm.knowledge.folder_lock import FolderLock
from pathlib import Path
lock = FolderLock(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def bytes_of(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def places_of(folder: Path, *needles: bytes) -> list[Path]:
    return [path for path, content in bytes_of(folder).items() if any(needle in content for needle in needles)]


class TestOneProcess:
    """A folder is one process's at a time."""

    def test_a_second_process_is_told_the_way_out(self, tmp_path: Path, open_store: Any) -> None:
        """At once, with the number of the first; when that one dies, however, the folder is free."""
        folder = tmp_path / "store"
        folder.mkdir()
        holder = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(folder)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        with holder:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "held\n"
            begun = time.monotonic()
            with pytest.raises(StoreLockedError, match=f"process {holder.pid}.*KB_CHROMA_HOST"):
                open_store(folder)
            assert time.monotonic() - begun < 1
            holder.send_signal(signal.SIGKILL)
            holder.wait()
            assert open_store(folder).counts()["documents"] == 0

    def test_a_second_store_in_one_process_is_told_to_use_the_first(self, open_store: Any) -> None:
        """A closed or dropped store gives the folder back."""
        first = open_store()
        with pytest.raises(StoreLockedError, match="this process"):
            open_store()
        first.close()
        second = open_store()
        add(second, text_about("zebras"))
        assert second.search("zebras")

    def test_a_store_that_is_dropped_lets_go(self, tmp_path: Path) -> None:
        """Without close, as in a notebook."""
        config = ChromaKnowledgeConfig(persist_directory=str(tmp_path))
        for number in range(3):
            store = ChromaKnowledgeStore(config, loader=TextLoader(), embedder=HashEmbedder())
            add(store, text_about(f"topic{number}"))
            assert store.counts()["documents"] == number + 1
            del store

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
    def test_a_forked_child_is_told_to_open_its_own(self, open_store: Any) -> None:
        """Neither Chroma's threads nor a lock survive a fork."""
        store = open_store()
        store._process = -1  # what a child sees: it has another number
        with pytest.raises(KnowledgeStoreError, match="another process"):
            store.search("zebras")
        store._process = os.getpid()

    def test_closing_waits_for_calls_under_way(self, open_store: Any) -> None:
        """A search of another thread gets its answer, and the next one is refused."""
        entered, release = threading.Event(), threading.Event()

        class Slow(HashEmbedder):
            def embed_query(self, text: str) -> Any:
                if text == "slow":
                    entered.set()
                    assert release.wait(60)
                return super().embed_query(text)

        store = open_store(embedder=Slow())
        add(store, text_about("slow"))
        found: list[Any] = []
        searching = threading.Thread(target=lambda: found.extend(store.search("slow")))
        searching.start()
        assert entered.wait(60)
        closing = threading.Thread(target=store.close)
        closing.start()
        while not store._closed:
            time.sleep(0)
        with pytest.raises(KnowledgeStoreError, match="closed"):
            store.search("zebras")
        release.set()
        searching.join()
        closing.join()
        assert found


class TestWhatIsOnDisk:
    """Bytes."""

    def test_nobody_else_may_read_it(self, tmp_path: Path, open_store: Any) -> None:
        """The folder is its owner's alone, and so is the file with the texts."""
        folder = tmp_path / "deep" / "store"
        add(open_store(folder), text_about("zebras"))
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert stat.S_IMODE((folder / "documents.sqlite3").stat().st_mode) == 0o600

    def test_chroma_is_given_no_text(self, tmp_path: Path, open_store: Any) -> None:
        """Words and names stand in one file of the folder; a vector in Chroma leads to nothing without it."""
        add(open_store(), "The canary3141 sings.", "aviary2718.txt")
        files = {path.name for path in places_of(tmp_path, b"canary3141", b"aviary2718")}
        assert files <= {"documents.sqlite3", "documents.sqlite3-wal"}
        assert files

    def test_a_purge_removes_it_from_the_bytes(self, tmp_path: Path, open_store: Any) -> None:
        """Text, words, names and vectors of what was deleted or replaced are in no file."""
        store = open_store()
        embedder = HashEmbedder()
        kept = add(store, text_about("zebras", paragraphs=40), "kept.txt")
        gone = [
            add(
                store, f"The canary3141 number {number}. {text_about('tides', seed=number)}", f"aviary2718 {number}.txt"
            )
            for number in range(20)
        ]
        replaced = add(store, "The canary3141 is replaced.", "a.txt", source="minutes")
        assert add(store, "A magpie is there instead.", "a.txt", source="minutes") == replaced
        vector = np.asarray(embedder.embed_query("The canary3141 is replaced."), np.float32)
        needles = (b"canary3141", b"aviary2718", vector.tobytes(), vector.astype(np.float16).tobytes())
        for id_ in gone:
            store.delete_document(id_)
        assert places_of(tmp_path, needles[0])  # so that the scan is known to see it
        store.purge()
        assert places_of(tmp_path, *needles) == []
        assert documents_of(store.search("zebras", 100)) >= {kept}
        store.close()
        assert places_of(tmp_path, *needles) == []
        again = open_store()
        assert again.counts()["documents"] == 2
        assert "magpie" in again.search("magpie")[0].text

    def test_vectors_that_are_lost_are_written_anew(self, tmp_path: Path, open_store: Any) -> None:
        """Chroma's files can be made from the documents' database, and are when they are gone; also when a rebuild
        was broken off."""
        store = open_store()
        ids = {add(store, text_about("zebras", seed=seed), f"{seed}.txt") for seed in range(3)}
        before = store.search("zebras", 50, mode="dense")
        store.close()
        folder = tmp_path / "chroma_db"
        for entry in folder.iterdir():
            if entry.is_dir():
                shutil.rmtree(entry)
        (folder / "chroma.sqlite3").unlink()
        again = open_store()
        assert documents_of(again.search("zebras", 50, mode="dense")) == ids
        assert {passage.id for passage in again.search("zebras", 50, mode="dense")} == {p.id for p in before}
        again._vectors.remove([(uid, pieces) for _, uid, _, pieces in again._index.versions()][:1])
        again.close()
        third = open_store()
        assert third._vectors.count("retrieval") == third.counts()["retrieval_chunks"]

    def test_an_index_that_was_half_written_is_made_anew(
        self, tmp_path: Path, open_store: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Chroma writes one in place; where a process has died meanwhile, Chroma refuses it, and the store opens."""
        store = open_store(embedder=HashEmbedder(16))
        ids = {add(store, text_about("zebras", paragraphs=150, seed=seed), f"{seed}.txt") for seed in range(4)}
        before = store.search("zebras", 20, mode="dense")
        assert store._vectors.count("retrieval") > 1000  # from there on Chroma writes its index
        store.close()
        (half,) = (tmp_path / "chroma_db").glob("*/index_metadata.pickle")
        half.write_bytes(half.read_bytes()[: half.stat().st_size // 2])
        again = open_store(embedder=HashEmbedder(16))
        assert "cannot read its index" in caplog.text
        assert again._vectors.count("retrieval") == again.counts()["retrieval_chunks"]
        assert documents_of(again.search("zebras", 1000, mode="dense")) == ids
        assert {passage.id for passage in again.search("zebras", 20, mode="dense")} == {p.id for p in before}

    def test_searches_go_on_while_vectors_are_written_anew(self, open_store: Any) -> None:
        """They see everything at every moment of a purge."""
        store = open_store()
        ids = {add(store, text_about("zebras", paragraphs=3, seed=seed), f"{seed}.txt") for seed in range(4)}
        stop = threading.Event()
        seen: list[set[str]] = []

        def look() -> None:
            while not stop.is_set():
                seen.append(documents_of(store.search("zebras", 100, mode="dense")))

        looking = threading.Thread(target=look)
        looking.start()
        store.purge()
        stop.set()
        looking.join()
        assert seen
        assert all(documents == ids for documents in seen)


def test_what_chroma_cannot_answer_is_compared_without_it(
    open_store: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A question that fails once is asked again; one that goes on failing is answered from our own vectors, with a
    warning that names the failure and not the question."""
    store = open_store()
    id_ = add(store, text_about("zebras"))
    collection = store._vectors._collections["retrieval"]
    ask = collection.query
    failures = [1]

    def query(**arguments: Any) -> Any:
        if failures[0] > 0:
            failures[0] -= 1
            raise ValueError("no such vector: zebras")
        return ask(**arguments)

    monkeypatch.setattr(collection, "query", query)
    assert documents_of(store.search("zebras", mode="dense")) == {id_}
    assert not caplog.records
    failures[0] = 10**9
    assert documents_of(store.search("zebras", mode="dense")) == {id_}
    (record,) = caplog.records
    assert "ValueError" in record.getMessage()
    assert "zebras" not in record.getMessage()


class TestWhatDoesNotFit:
    """Refused by name, and nothing changes."""

    def test_another_embedding_model(self, open_store: Any) -> None:
        """Its identity or its dimension differs from what the vectors were made with."""
        store = open_store()
        add(store, text_about("zebras"))
        store.close()
        for other in (HashEmbedder(32), HashEmbedder(64)):
            if other.dimension == 64:
                other.identity = "another/64"
            with pytest.raises(EmbedderMismatchError, match="KB_CHROMA_EMBEDDING_MODEL"):
                open_store(embedder=other)
        assert open_store().search("zebras")

    def test_another_stores_collections(self, tmp_path: Path, open_store: Any) -> None:
        """Vectors whose documents are gone lead nowhere, and are refused rather than mixed with others."""
        add(store := open_store(), text_about("zebras"))
        store.close()
        for path in (tmp_path / "chroma_db").glob("documents.sqlite3*"):
            path.unlink()
        with pytest.raises(KnowledgeStoreError, match="another knowledge store"):
            open_store()

    def test_a_database_of_a_later_version(self, tmp_path: Path, open_store: Any) -> None:
        """It says which, and what can be done."""
        open_store().close()
        with sqlite3.connect(tmp_path / "chroma_db" / "documents.sqlite3") as connection:
            connection.execute("PRAGMA user_version = 99")
        connection.close()
        with pytest.raises(KnowledgeStoreError, match="version 99"):
            open_store()

    def test_a_folder_that_cannot_be_made(self, tmp_path: Path, open_store: Any) -> None:
        """A file is in its place."""
        (tmp_path / "file").write_text("")
        with pytest.raises(KnowledgeStoreError, match="cannot be made"):
            open_store(tmp_path / "file")

    def test_a_server_that_is_not_there(self, open_store: Any) -> None:
        """KnowledgeStoreError that names it."""
        with pytest.raises(KnowledgeStoreError, match=r"127\.0\.0\.1:1 failed"):
            open_store(host="127.0.0.1", port=1)


class TestFullDisk:
    """R18."""

    def test_room_is_asked_for_before_chroma_writes(self, open_store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        """A typed error, nothing of the document, everything else as before; with room again the same call works."""
        store = open_store()
        id_ = add(store, text_about("zebras"))
        usage = namedtuple("usage", "total used free")
        monkeypatch.setattr(vector_index.shutil, "disk_usage", lambda _: usage(1 << 30, 1 << 30, 1 << 20))
        with pytest.raises(StoreFullError, match="make room"):
            add(store, text_about("tides"), "tides.txt")
        assert store.counts()["documents"] == 1
        assert documents_of(store.search("zebras tides", 50)) == {id_}
        monkeypatch.undo()
        add(store, text_about("tides"), "tides.txt")
        assert "tides" in store.search("tides")[0].text
        assert store.stats()["pending"] == 0

    @pytest.fixture
    def small_disk(self, tmp_path: Path) -> Iterator[Path]:
        """A disk of 16 MB."""
        if sys.platform != "linux" or os.geteuid() != 0:
            pytest.skip("only root of a Linux machine can mount a small disk")
        place = tmp_path / "disk"
        place.mkdir()
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(place)], capture_output=True, check=False
        )
        if mounted.returncode != 0:
            pytest.skip("this machine does not let tests mount a disk")
        yield place
        subprocess.run(["umount", "--lazy", str(place)], check=True)

    def test_a_disk_that_really_is_full(self, small_disk: Path, open_store: Any) -> None:
        """Adding until it is: a typed error, and what was committed is still found; so it is when not a byte is left;
        with room again, adding goes on in the same store."""
        store = open_store(small_disk / "store", embedder=HashEmbedder(384))
        ids: list[str] = []

        def add_until_full() -> None:
            for number in range(10_000):
                ids.append(add(store, text_about(f"topic{number}", paragraphs=40), f"{number}.txt"))

        with pytest.raises(StoreFullError):
            add_until_full()
        assert ids
        filler = small_disk / "filler"
        with pytest.raises(OSError, match="space"):
            filler.write_bytes(bytes(1 << 25))
        begun = time.monotonic()
        assert documents_of(store.search("this part is about", 1000)) <= set(ids)
        assert store.search_scoped("topic0", {ids[0]})[0].document_id == ids[0]
        assert store.counts()["documents"] == len(ids)
        with pytest.raises(StoreFullError):
            add(store, text_about("nothing more"), "more.txt")
        filler.unlink()
        for id_ in ids[: len(ids) // 2]:
            assert store.delete_document(id_)
        store.purge()
        more = add(store, text_about("walnuts"), "more.txt")
        assert documents_of(store.search("walnuts", 1)) == {more}
        assert time.monotonic() - begun < 60


@pytest.fixture
def _chroma_leaves_sockets_open() -> Iterator[None]:
    """Chroma's client for servers closes none of its connections; they go here, and in no other test."""
    yield
    gc.collect()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore:unclosed:ResourceWarning")
@pytest.mark.usefixtures("_chroma_leaves_sockets_open")
def test_processes_share_a_store_through_a_chroma_server(tmp_path: Path, open_store: Any) -> None:
    """With a host set, two stores are open on one folder and see each other's documents; what a living one is writing
    is left alone, and what a dead one has left is removed."""
    program = shutil.which("chroma", path=str(Path(sys.executable).parent))
    if program is None:
        pytest.skip("chroma's command is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [program, "run", "--path", str(tmp_path / "server"), "--host", "127.0.0.1", "--port", str(port)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    with server:
        try:
            wait_for(port)
            first = open_store(host="127.0.0.1", port=port)
            second = open_store(host="127.0.0.1", port=port)
            ids = {add(first, text_about("zebras"), "a.txt"), add(second, text_about("zebras", seed=1), "b.txt")}
            for one in (first, second):
                assert documents_of(one.search("zebras", 50)) == ids
                assert documents_of(one.search("zebras", 50, mode="dense")) == ids
            with first._index.database.writing() as connection:
                connection.execute("INSERT INTO debts VALUES ('00', '[1]', ?)", (first._index._writer,))
            third = open_store(host="127.0.0.1", port=port)
            assert third.stats()["pending"] == 1
            third.close()
            first.close()
            fourth = open_store(host="127.0.0.1", port=port)
            assert fourth.stats()["pending"] == 0
            assert fourth.delete_document(next(iter(ids)))
            assert len(documents_of(second.search("zebras", 50, mode="dense"))) == 1
            large = open_store(host="127.0.0.1", port=port, batch_size=100_000)
            pieces = large._vectors._client.get_max_batch_size() + 1  # one more than a call of the server may bring
            vectors = np.eye(pieces, large.stats()["dimension"], dtype=np.float32)
            large._vectors.add("document", [str(id_) for id_ in range(pieces)], vectors, document_ids=["x"] * pieces)
            assert large._vectors._sizes()["document"] > pieces
        finally:
            server.terminate()


def wait_for(port: int) -> None:
    """Until somebody listens."""
    deadline = time.monotonic() + 60
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1):
                return
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.05)

"""What a process that is killed while adding, replacing or deleting documents leaves behind."""

from __future__ import annotations

import os
import random
import runpy
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from llm.knowledge import ChromaKnowledgeConfig, ChromaKnowledgeStore
from llm.testing.hash_embedder import HashEmbedder
from llm.testing.text_loader import TextLoader

NURSERY = Path(__file__).with_name("ingest_nursery.py")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """In memory where there is such a place: a killed process does not take the disk's cache with it."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path / "store"
        return
    with tempfile.TemporaryDirectory(dir=memory) as name:
        yield Path(name) / "store"


def test_kill_9_at_20_instants_tears_and_loses_no_document(folder: Path) -> None:
    """After each kill every acknowledged document is there, whole, in its newest version and in all collections, and
    what was under way is there as a whole or not at all."""
    kill_and_look(folder, 20)


@pytest.mark.soak
def test_kill_9_at_200_instants_tears_and_loses_no_document(folder: Path) -> None:
    """The same ten times as often, in a store that grows meanwhile."""
    kill_and_look(folder, 200)


def kill_and_look(folder: Path, kills: int) -> None:
    instants = random.Random(16)
    text_of = runpy.run_path(str(NURSERY))["text_of"]
    nursery = subprocess.Popen(
        [sys.executable, str(NURSERY), str(folder)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
        env={**os.environ, "PYTHONPATH": str(NURSERY.parents[2]), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert nursery.stdin is not None
    assert nursery.stdout is not None
    acknowledged: dict[str, tuple[str, int]] = {}
    with nursery:
        for kill in range(kills):
            nursery.stdin.write(f"{kill}\n")
            word, pid = nursery.stdout.readline().split()
            assert word == "process"
            uncertain: set[str] = set()
            wanted = instants.randrange(6)
            lines = iter(nursery.stdout.readline, "ended\n")
            heard = 0
            if wanted:
                for line in lines:
                    note(line, acknowledged)
                    heard += 1
                    if heard >= wanted:
                        break
            time.sleep(instants.uniform(0.0, 0.03))  # the instant is to be anywhere between two reports
            os.kill(int(pid), signal.SIGKILL)
            for line in lines:
                note(line, acknowledged)
            with ChromaKnowledgeStore(
                ChromaKnowledgeConfig(persist_directory=str(folder), retrieval_chunk_size=256),
                loader=TextLoader(),
                embedder=HashEmbedder(16),
            ) as store:
                uncertain = check(store, acknowledged, text_of)
            assert len(uncertain) <= 1
        nursery.stdin.close()
        assert nursery.wait() == 0


def note(line: str, acknowledged: dict[str, tuple[str, int]]) -> None:
    """What the store has promised: which documents there are, and their newest versions."""
    word, *rest = line.split()
    if word == "added":
        number, id_, version = rest
        acknowledged[number] = (id_, int(version))
    elif word == "deleted":
        del acknowledged[rest[0]]
    else:
        assert word == "opened"


def check(store: ChromaKnowledgeStore, acknowledged: dict[str, tuple[str, int]], text_of: object) -> set[str]:
    """Every document is whole; what differs from the promises is the one call that was under way."""
    found: dict[str, tuple[str, int]] = {}
    contexts = retrieval = 0
    for info in store.list_documents():
        number = info["filename"].removesuffix(".txt")
        document = store.get_document(info["id"])
        version = int(document["text"].split()[1].removeprefix("version"))
        assert document["text"] == text_of(int(number), version)  # type: ignore[operator]
        found[number] = (info["id"], version)
        for mode in ("dense", "text"):
            passages = store.search_scoped(f"Document{number} part0", {info["id"]}, 100, mode=mode)  # type: ignore[arg-type]
            assert {f"version{version}" in passage.text for passage in passages if passage.start == 0} == {True}
        contexts += info["context_chunks"]
        retrieval += info["retrieval_chunks"]
    vectors = store._vectors
    assert (vectors.count("document"), vectors.count("context"), vectors.count("retrieval")) == (
        len(found), contexts, retrieval,
    )  # fmt: skip
    assert store.stats()["pending"] == 0
    different = {
        number for number in acknowledged.keys() | found.keys() if acknowledged.get(number) != found.get(number)
    }
    acknowledged.clear()
    acknowledged.update(found)
    return different

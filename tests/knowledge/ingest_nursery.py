"""Starts processes that add and delete documents until they are killed. A program: `ingest_nursery.py FOLDER`.

For each line on standard input it forks one, which needs no second start of Python, and reports on standard output, a
line each: `process PID`, then `added NUMBER ID`, `replaced NUMBER ID` or `deleted NUMBER ID` for each call that the
store has acknowledged, then `ended`. A process never ends by itself.
"""

from __future__ import annotations

import os
import random
import sys

# Imported before the fork, and not used before it: what starts threads belongs to the child.
from llm.knowledge import ChromaKnowledgeConfig, ChromaKnowledgeStore
from llm.testing.hash_embedder import HashEmbedder
from llm.testing.text_loader import TextLoader


def report(line: str) -> None:
    os.write(1, f"{line}\n".encode())


def text_of(number: int, version: int) -> str:
    """Version `version` of document `number`: several context chunks, each of which says what it is of."""
    size = random.Random(number).randrange(2, 9)
    return "\n\n".join(f"Document{number} version{version} part{part}. " + "soil " * 150 for part in range(size))


def work(folder: str, seed: int) -> None:
    chance = random.Random(seed)
    config = ChromaKnowledgeConfig(persist_directory=folder, retrieval_chunk_size=256)
    store = ChromaKnowledgeStore(config, loader=TextLoader(), embedder=HashEmbedder(16))
    there = {document["filename"]: document["id"] for document in store.list_documents()}
    report(f"opened {len(there)}")
    while True:
        number = chance.randrange(1000)
        name = f"{number}.txt"
        if there and chance.random() < 0.3:
            name = chance.choice(sorted(there))
            store.delete_document(there[name])
            report(f"deleted {name.removesuffix('.txt')} {there.pop(name)}")
            continue
        version = chance.randrange(1_000_000)
        added = store.add_document_from_bytes(text_of(number, version).encode(), name, source=name)
        there[name] = added["id"]
        report(f"added {number} {added['id']} {version}")


def main() -> None:
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            report(f"process {os.getpid()}")
            work(sys.argv[1], int(line))
        os.waitpid(child, 0)
        report("ended")


if __name__ == "__main__":
    main()

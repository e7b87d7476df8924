"""What adding documents costs: beside the embedding model alone, and beside LangChain's ParentDocumentRetriever.

    python benchmarks/ingest.py [--rounds 3] [--characters 400000] [--documents 20] [--text FILE ...]

Three sides add the same texts, in turn: `embedding` only cuts them and embeds the retrieval chunks, which nobody can
beat with this model; `store` adds them to a ChromaKnowledgeStore; `langchain` adds them to a ParentDocumentRetriever on
Chroma with HuggingFaceEmbeddings, the same model on torch and the same chunk sizes (left out where the packages of the
extra `bench` are not installed). Files are not parsed: all sides are given text.

Then 100 documents are added through asyncio.to_thread while a ticker on the event loop notes by how much it is late.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from figures import compare, finish

from llm.document.chunker import ChunkSizes, chunk_document
from llm.document.document import DocumentItem, LoadedDocument
from llm.document.embedding_location import locate_embedding_model
from llm.document.embeddings import Embedder, open_embedder
from llm.knowledge import ChromaKnowledgeConfig, ChromaKnowledgeStore
from llm.testing.text_loader import TextLoader

ROOT = Path(__file__).parents[1]
# A neighbour of this script is called like the package that embeds.
sys.path = [folder for folder in sys.path if Path(folder or ".").resolve() != Path(__file__).parent.resolve()]
TARGETS = {"store_of_embedding": 1 / 0.85, "langchain_of_store": 2.5, "stall_seconds": 0.1}


def texts_of(files: Sequence[Path], characters: int, documents: int) -> list[str]:
    """Different texts of about the same length, from the beginning of the files on, over and over."""
    whole = "\n\n".join(file.read_text(encoding="utf-8", errors="replace") for file in files)
    whole *= 1 + characters // max(1, len(whole))
    each = characters // documents
    return [f"Document {number}\n\n{whole[number * each : (number + 1) * each]}" for number in range(documents)]


def document_of(text: str) -> LoadedDocument:
    digest = hashlib.sha256(text.encode()).hexdigest()
    return LoadedDocument("text.txt", "txt", text, (DocumentItem("paragraph", 0, len(text)),), None, digest)


def embed_alone(texts: Sequence[str], config: ChromaKnowledgeConfig, embedder: Embedder) -> int:
    sizes = ChunkSizes.of(config)
    chunks = [chunk for text in texts for chunk in chunk_document(document_of(text), sizes)]
    pieces = [piece.text for chunk in chunks for piece in chunk.retrieval]
    embedder.embed(pieces)
    return len(pieces)


def add_to_store(texts: Sequence[str], config: ChromaKnowledgeConfig, embedder: Embedder) -> int:
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for number, text in enumerate(texts):
            paths.append(Path(folder) / f"{number}.txt")
            paths[-1].write_text(text)
        with ChromaKnowledgeStore(
            ChromaKnowledgeConfig(**{**vars(config), "persist_directory": f"{folder}/store"}),
            loader=TextLoader(),
            embedder=embedder,
        ) as store:
            results = store.add_documents(paths, progress=False)
            assert all(result.success for result in results)
            return store.counts()["retrieval_chunks"]


def langchain_side(config: ChromaKnowledgeConfig) -> Callable[[Sequence[str]], int] | None:
    """None where its packages are not installed."""
    try:
        from langchain_chroma import Chroma
        from langchain_classic.retrievers import ParentDocumentRetriever
        from langchain_core.documents import Document
        from langchain_core.stores import InMemoryStore
        from langchain_huggingface import HuggingFaceEmbeddings
        from langchain_text_splitters import RecursiveCharacterTextSplitter
    except ImportError as exc:
        print(f"langchain is left out: {exc.name} is not installed (pip install 'practorflow[bench]')")
        return None
    embeddings = HuggingFaceEmbeddings(model_name=str(locate_embedding_model(config)))

    def add(texts: Sequence[str]) -> int:
        with tempfile.TemporaryDirectory() as folder:
            chroma = Chroma("children", embeddings, persist_directory=folder)
            retriever = ParentDocumentRetriever(
                vectorstore=chroma,
                docstore=InMemoryStore(),
                parent_splitter=RecursiveCharacterTextSplitter(
                    chunk_size=config.context_chunk_size, chunk_overlap=config.context_chunk_overlap
                ),
                child_splitter=RecursiveCharacterTextSplitter(
                    chunk_size=config.retrieval_chunk_size, chunk_overlap=config.retrieval_chunk_overlap
                ),
            )
            for text in texts:  # one by one: Chroma refuses more than 5461 chunks at once
                retriever.add_documents([Document(text)])
            return int(chroma._collection.count())

    return add


def longest_stall(texts: Sequence[str], config: ChromaKnowledgeConfig, embedder: Embedder) -> float:
    """Seconds by which a ticker of 5 ms was late at worst, while texts were added in a worker thread."""

    async def work(folder: str) -> float:
        late, done = 0.0, asyncio.Event()

        async def tick() -> None:
            nonlocal late
            loop = asyncio.get_running_loop()
            while not done.is_set():
                begun = loop.time()
                await asyncio.sleep(0.005)
                late = max(late, loop.time() - begun - 0.005)

        with ChromaKnowledgeStore(
            ChromaKnowledgeConfig(**{**vars(config), "persist_directory": folder}),
            loader=TextLoader(),
            embedder=embedder,
        ) as store:
            ticker = asyncio.create_task(tick())
            for number, text in enumerate(texts):
                await asyncio.to_thread(store.add_document_from_bytes, text.encode(), f"{number}.txt")
            done.set()
            await ticker
        return late

    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(work(folder))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--characters", type=int, default=400_000)
    parser.add_argument("--documents", type=int, default=20)
    parser.add_argument("--text", type=Path, nargs="*", help="files to take the text from; our own pages by default")
    options = parser.parse_args()
    files = options.text or sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
    texts = texts_of(files, options.characters, options.documents)
    config = ChromaKnowledgeConfig()
    embedder = open_embedder(config)
    embedder.embed(["warm"] * 64)
    sides: dict[str, Callable[[Sequence[str]], int]] = {
        "embedding": lambda texts: embed_alone(texts, config, embedder),
        "store": lambda texts: add_to_store(texts, config, embedder),
    }
    langchain = langchain_side(config)
    if langchain is not None:
        sides["langchain"] = langchain
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    chunks: dict[str, int] = {}
    for round_ in range(options.rounds):
        for name, side in sides.items():
            begun = time.perf_counter()
            chunks[name] = side(texts)
            seconds[name].append(time.perf_counter() - begun)
            print(f"round {round_ + 1}: {name:10} {seconds[name][-1]:8.2f} s, {chunks[name]} chunks", flush=True)
    table = compare(seconds, base="embedding", unit="s")
    stall = longest_stall([text[:4000] for text in texts_of(files, 400_000, 100)], config, embedder)
    print(f"event loop: longest stall while 100 documents were added {1000 * stall:.1f} ms")
    store = table["store"]["median"]
    finish(
        "adding documents",
        characters=sum(map(len, texts)),
        documents=len(texts),
        chunks=chunks,
        seconds=table,
        store_of_embedding_throughput=round(table["embedding"]["median"] / store, 3),
        store_over_langchain=round(table["langchain"]["median"] / store, 2) if "langchain" in table else None,
        stall_seconds=round(stall, 4),
        embedder=embedder.identity.rpartition("/")[0][-40:],
        cores=os.cpu_count(),
        targets=TARGETS,
    )


if __name__ == "__main__":
    main()

"""Where a Chroma knowledge store keeps its data and how it cuts documents: one frozen value, validated once."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from ..exceptions import ConfigError
from ..field_checks import check_choice, check_integer, check_text

StoreType = Literal["chromadb"]
EmbeddingEngine = Literal["auto", "sentence_transformers", "onnx"]

STORE_TYPES: tuple[str, ...] = ("chromadb",)
EMBEDDING_ENGINES: tuple[str, ...] = ("auto", "sentence_transformers", "onnx")
_COLLECTION_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,510}[A-Za-z0-9]")


@dataclass(frozen=True, kw_only=True)
class ChromaKnowledgeConfig:
    """A knowledge store on this machine.

    Documents are cut into context chunks, and those into retrieval chunks: the small ones are searched, the large
    ones are returned. Sizes are the most characters that a chunk may have.

    Args:
        store_type: kind of store.
        persist_directory: folder of the database.
        retrieve_collection: collection of the retrieval chunks.
        context_collection: collection of the context chunks.
        document_collection: collection of the documents.
        batch_size: the most vectors that one call of Chroma writes or removes. Without a server more than 50 is 50,
            because Chroma then holds up all of Python while it writes; with one, its own limit counts too.
        embedding_model: name of a SentenceTransformer model, or the path of its folder.
        embedding_model_dir: folder in which the embedding model is looked for.
        embedding_engine: what computes the embeddings: "onnx" on the CPU with 8-bit weights and without torch,
            "sentence_transformers" with torch, or "auto", which takes torch on a GPU and for models that "onnx" cannot
            run. A store keeps the engine that it was begun with.
        retrieval_chunk_size: characters of a retrieval chunk.
        retrieval_chunk_overlap: characters that neighbouring retrieval chunks share.
        context_chunk_size: characters of a context chunk.
        context_chunk_overlap: characters that neighbouring context chunks share.
        host: of a Chroma server that keeps the vectors, so that several processes can share the store; None keeps them
            in `persist_directory`, for one process at a time.
        port: of the server.
        artifacts_path: folder of Docling's layout models for PDF files; None reads them without a model.
        text_encoding: of text files that are not UTF-8 and do not say what they are; None refuses them.

    Raises:
        ConfigError: names the field, its value and what is allowed.
    """

    store_type: StoreType = "chromadb"
    persist_directory: str = "./chroma_db"
    retrieve_collection: str = "knowledge_retrieval"
    context_collection: str = "knowledge_context"
    document_collection: str = "knowledge_documents"
    batch_size: int = 100
    embedding_model: str = "all-MiniLM-L6-v2"
    embedding_model_dir: str = "./models"
    embedding_engine: EmbeddingEngine = "auto"
    retrieval_chunk_size: int = 128
    retrieval_chunk_overlap: int = 20
    context_chunk_size: int = 1024
    context_chunk_overlap: int = 100
    host: str | None = None
    port: int = 8000
    artifacts_path: str | None = None
    text_encoding: str | None = None

    def __post_init__(self) -> None:
        check_choice("store_type", self.store_type, STORE_TYPES)
        check_choice("embedding_engine", self.embedding_engine, EMBEDDING_ENGINES)
        for field in ("persist_directory", "embedding_model", "embedding_model_dir"):
            check_text(field, getattr(self, field))
        if self.host is not None:
            check_text("host", self.host)
        check_integer("port", self.port, 1, 65535)
        self._check_collections()
        check_integer("batch_size", self.batch_size, 1, 100_000)
        check_integer("retrieval_chunk_size", self.retrieval_chunk_size, 16, 1 << 20)
        check_integer("context_chunk_size", self.context_chunk_size, 16, 1 << 20)
        if self.context_chunk_size < self.retrieval_chunk_size:
            raise ConfigError(
                "context_chunk_size",
                self.context_chunk_size,
                f"at least the retrieval chunks' {self.retrieval_chunk_size} characters",
            )
        # An overlap of half a chunk or more would repeat most of the document again and again.
        check_integer("retrieval_chunk_overlap", self.retrieval_chunk_overlap, 0, self.retrieval_chunk_size // 2)
        check_integer("context_chunk_overlap", self.context_chunk_overlap, 0, self.context_chunk_size // 2)

    def _check_collections(self) -> None:
        seen: set[str] = set()
        for field in ("retrieve_collection", "context_collection", "document_collection"):
            name = getattr(self, field)
            if not isinstance(name, str) or not _COLLECTION_NAME.fullmatch(name):
                raise ConfigError(
                    field, name, "3 to 512 letters, digits, '.', '_' or '-', with a letter or digit at both ends"
                )
            if name in seen:
                raise ConfigError(field, name, "a name that no other collection has")
            seen.add(name)

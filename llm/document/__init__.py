"""From a file to text that can be searched and cited: loading, cutting, embedding.

    from llm.document import DocumentLoader

The parsers are loaded in a process of their own, with the first document that needs them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..names_on_demand import names_on_demand

if TYPE_CHECKING:
    from .chunker import ChunkSizes, chunk_document
    from .document import DocumentItem, LoadedDocument
    from .document_loader import DocumentLoader
    from .embeddings import Embedder, open_embedder
    from .limits import DocumentLimits

__all__ = [
    "ChunkSizes",
    "DocumentItem",
    "DocumentLimits",
    "DocumentLoader",
    "Embedder",
    "LoadedDocument",
    "chunk_document",
    "open_embedder",
]

_ON_DEMAND = {
    "ChunkSizes": ".chunker",
    "DocumentItem": ".document",
    "DocumentLimits": ".limits",
    "DocumentLoader": ".document_loader",
    "Embedder": ".embeddings",
    "LoadedDocument": ".document",
    "chunk_document": ".chunker",
    "open_embedder": ".embeddings",
}

__getattr__, __dir__ = names_on_demand(globals(), _ON_DEMAND)

"""What the organization's documents say: storing them and finding passages in them.

    from llm.knowledge import ChromaKnowledgeStore

Names are loaded when they are first used; the database comes with the store that needs it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..names_on_demand import names_on_demand

if TYPE_CHECKING:
    from .chroma_knowledge_config import ChromaKnowledgeConfig
    from .chroma_knowledge_store import ChromaKnowledgeStore
    from .document_scope import DocumentScope
    from .ingest import IngestProgress, IngestResult
    from .knowledge_store import KnowledgeStore
    from .passage import AddedDocument, DocumentInfo, Passage, StoredDocument

__all__ = [
    "AddedDocument",
    "ChromaKnowledgeConfig",
    "ChromaKnowledgeStore",
    "DocumentInfo",
    "DocumentScope",
    "IngestProgress",
    "IngestResult",
    "KnowledgeStore",
    "Passage",
    "StoredDocument",
]

_ON_DEMAND = {
    "AddedDocument": ".passage",
    "ChromaKnowledgeConfig": ".chroma_knowledge_config",
    "ChromaKnowledgeStore": ".chroma_knowledge_store",
    "DocumentInfo": ".passage",
    "DocumentScope": ".document_scope",
    "IngestProgress": ".ingest",
    "IngestResult": ".ingest",
    "KnowledgeStore": ".knowledge_store",
    "Passage": ".passage",
    "StoredDocument": ".passage",
}

__getattr__, __dir__ = names_on_demand(globals(), _ON_DEMAND)

"""Search in the organization's own documents, as a tool: passages with where they stand."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from pydantic import Field

from ..base.retrieval_prompt import listed
from ..exceptions import KnowledgeError
from ..knowledge.document_scope import DocumentScope
from ..knowledge.knowledge_store import DEFAULT_TOP_K, KnowledgeStore
from ..knowledge.passage import Passage, SearchMode, numbered
from .base import BaseTool, ToolResult

NOTHING_FOUND = "No passage of the documents fits."


class KnowledgeSearchTool(BaseTool):
    """Finds passages within a scope that the program sets and the model cannot change.

    Args:
        store: keeps the documents.
        document_scope: ids of the documents that may be seen; an empty scope means no documents, None means all.
        top_k: the most passages.
        mode: see KnowledgeStore.search.
    """

    def __init__(
        self,
        store: KnowledgeStore,
        document_scope: Iterable[str] | DocumentScope | None = None,
        *,
        top_k: int = DEFAULT_TOP_K,
        mode: SearchMode = "hybrid",
    ) -> None:
        self._store = store
        self._top_k = top_k
        self._mode = mode
        if document_scope is None:
            self._scope = DocumentScope.everything()
        elif isinstance(document_scope, DocumentScope):
            self._scope = document_scope
        else:
            self._scope = DocumentScope.only(document_scope)

    @property
    def name(self) -> str:
        return "search_documents"

    @property
    def description(self) -> str:
        return "Search the documents. Answers with passages, each under a number and its source."

    @property
    def reads_documents(self) -> bool:
        return True

    def execute(self, *, query: Annotated[str, Field(min_length=1, max_length=2000)]) -> ToolResult:
        """Search.

        Args:
            query: What to search for.

        Returns:
            `data` is the passages as text; ``metadata["results"]`` is a list of them as dictionaries with `text`,
            `document_id`, `filename`, `page`, `headings`, `start`, `end`, `score` and `source`. Where nothing was
            found that is a success with an empty list.
        """
        return self.find(query)[0]

    def find(self, query: str, top_k: int | None = None) -> tuple[ToolResult, list[Passage]]:
        """The same, with the passages themselves.

        Raises:
            RequestError: an argument is wrong.
        """
        count = self._top_k if top_k is None else top_k
        try:
            passages = self._store.search_scoped(query, self._scope, count, mode=self._mode)
        except KnowledgeError as exc:
            return ToolResult.of_error(exc), []
        return (
            ToolResult(
                success=True,
                data=listed(passages) if passages else NOTHING_FOUND,
                metadata={"query": query, "results": numbered(passages)},
            ),
            passages,
        )

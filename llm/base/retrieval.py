"""What a runner knows of documents: the store, the scope, and what a search has found for the next reply.

Invariants: what was found under one scope is never shown under another; what a search has found is shown once, to the
generation that begins next; an empty scope asks nobody.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from .retrieval_prompt import last_question, listed

if TYPE_CHECKING:
    from ..knowledge.document_scope import DocumentScope
    from ..knowledge.knowledge_store import KnowledgeStore
    from ..knowledge.passage import Passage
    from ..session.conversation import Conversation
    from ..tools.base import ToolResult
    from .options import Options

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Found:
    """What a search has found.

    Attributes:
        query: what was looked for.
        scope: where.
        passages: best first.
    """

    query: str = field(repr=False)
    scope: DocumentScope
    passages: tuple[Passage, ...] = field(repr=False)

    def shown(self, count: int) -> tuple[str | None, dict[str, Any]]:
        """`context_used` and `search_metadata` of a reply that was given the first `count` passages."""
        passages = self.passages[:count]
        metadata = {
            "query": self.query,
            "results": [{"number": number, **passage.citation()} for number, passage in enumerate(passages, 1)],
            "left_out": len(self.passages) - count,
        }
        return (listed(passages) if passages else None), metadata


class Retrieval:
    """The documents that a runner's replies may use. Safe from any thread.

    Args:
        store: keeps the documents; None where there are none.
        session: its scope, where it has one, is the one that holds.
        top_k: passages that a search brings where it is not told.
    """

    def __init__(self, store: KnowledgeStore | None, session: Conversation | None, *, top_k: int) -> None:
        self._store = store
        self._session = session
        self._top_k = top_k
        self._scope: DocumentScope | None = None
        self._found: Found | None = None
        self._lock = threading.Lock()

    def set_scope(self, ids: Iterable[str] | None) -> None:
        """Say which documents may be seen from now on. What was found before is forgotten."""
        from ..knowledge.document_scope import DocumentScope

        scope = None if ids is None else DocumentScope.only(ids)
        if self._session is not None:
            self._session.set_document_scope(None if scope is None else scope.ids)
        with self._lock:
            self._scope = scope
            self._found = None

    @property
    def scope(self) -> DocumentScope | None:
        """The scope that holds; None where nobody has set one."""
        from ..knowledge.document_scope import DocumentScope

        of_session = None if self._session is None else self._session.document_scope
        return self._scope if of_session is None else DocumentScope.only(of_session)

    @property
    def in_use(self) -> bool:
        """Whether the next reply may see documents."""
        scope = self.scope
        return self._found is not None or (scope is not None and not scope.is_empty)

    def search(self, query: str, top_k: int | None) -> ToolResult:
        """Look for passages, and keep them for the generation that begins next."""
        from ..tools.base import ToolResult
        from ..tools.knowledge_search import KnowledgeSearchTool

        with self._lock:
            self._found = None
        if self._store is None:
            return ToolResult(
                success=False,
                error="There is no knowledge store: give one to create_runner(handle, knowledge_store=...).",
                metadata={"error_type": "no_knowledge_store"},
            )
        scope = self._everything_or(self.scope)
        tool = KnowledgeSearchTool(self._store, scope, top_k=self._top_k)
        result, passages = tool.find(query, top_k)
        if passages:
            with self._lock:
                self._found = Found(query, scope, tuple(passages))
        return result

    def take(self) -> Found | None:
        """What a search has found, once."""
        with self._lock:
            found, self._found = self._found, None
        return found

    def for_reply(self, options: Options, found: Found | None) -> Found | None:
        """The passages that a reply is to be given; blocks while it searches.

        What was searched for is taken, so long as its scope still holds. Otherwise, where a scope was set and there
        are no tools, which might be asked instead, the question itself is looked for.

        Args:
            options: of the generation.
            found: what `take` gave when it was asked for.

        Raises:
            KnowledgeError: the store cannot answer.
        """
        scope = self.scope
        if found is not None and found.scope == self._everything_or(scope):
            return found
        if self._store is None or scope is None or scope.is_empty or options.tools:
            return None
        messages = options.asked()
        place = last_question(messages)
        query = "" if place is None else str(messages[place].get("content") or "")
        if not query.strip():
            return None
        return Found(query, scope, tuple(self._store.search_scoped(query, scope, self._top_k)))

    def _everything_or(self, scope: DocumentScope | None) -> DocumentScope:
        from ..knowledge.document_scope import DocumentScope

        return DocumentScope.everything() if scope is None else scope


def most_that_fit(count: int, attempt: Callable[[int], tuple[T, bool]]) -> tuple[int, T]:
    """The greatest number up to `count` that fits, with its outcome; 0 where none does.

    Where a number does not fit, no greater one does.

    Args:
        count: tried first.
        attempt: gives an outcome for a number, and whether it fits.
    """
    outcome, fits = attempt(count)
    if fits or count == 0:
        return count, outcome
    least, beyond = 0, count
    best: tuple[int, T] | None = None
    while beyond - least > 1:
        middle = (least + beyond) // 2
        outcome, fits = attempt(middle)
        if fits:
            least, best = middle, (middle, outcome)
        else:
            beyond = middle
    return best if best is not None else (0, attempt(0)[0])

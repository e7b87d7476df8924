"""Which documents are meant, and opening the store that has them."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..exceptions import DocumentNotFoundError, KnowledgeStoreError

if TYPE_CHECKING:
    from ..base.llm_runner import LLMRunner
    from ..knowledge.chroma_knowledge_config import ChromaKnowledgeConfig
    from ..knowledge.knowledge_store import KnowledgeStore


def add_document_options(parser: argparse.ArgumentParser) -> None:
    """For commands that answer; without one of these, documents play no part."""
    group = parser.add_argument_group("documents")
    group.add_argument("--documents", action="store_true", help="answer from all documents of the store")
    group.add_argument(
        "--document",
        action="append",
        default=[],
        metavar="NAME",
        help="only from this one, by id or file name; repeatable",
    )
    group.add_argument(
        "--add", action="append", default=[], metavar="FILE", help="add this file first and answer from it; repeatable"
    )


class Documents:
    """What replies may be taken from.

    Args:
        store: keeps them.
        scope: ids; None for all that there are.
    """

    def __init__(self, store: KnowledgeStore, scope: set[str] | None) -> None:
        self.store = store
        self.scope = scope

    def look_for(self, question: str, runner: LLMRunner) -> None:
        """Find what the next reply is about. In a scope the runner does so by itself.

        Raises:
            KnowledgeStoreError: the store cannot answer.
        """
        if self.scope is None:
            result = runner.search(question)
            if not result.success:
                raise KnowledgeStoreError(str(result.error))


@contextmanager
def chosen_documents(
    options: argparse.Namespace, config: ChromaKnowledgeConfig, *, remembered: frozenset[str] | None = None
) -> Iterator[Documents | None]:
    """The documents that the command line means, the store open; None where it means none.

    Args:
        options: of the command; files that are to be added have been added when this returns.
        config: of the store.
        remembered: ids that a stored conversation is about.

    Raises:
        DocumentNotFoundError: a name is no document's.
        DocumentError: a file cannot be read.
    """
    if not (options.documents or options.document or options.add or remembered):
        yield None
        return
    with open_knowledge(config) as store:
        added = {store.add_document_from_file(path)["id"] for path in options.add}
        named = find_documents(store, options.document)
        yield Documents(store, None if options.documents else added | named | (remembered or frozenset()))


def open_knowledge(config: ChromaKnowledgeConfig) -> KnowledgeStore:
    """The configured store. Loads the embedding model, which takes a moment."""
    from ..knowledge.chroma_knowledge_store import ChromaKnowledgeStore

    return ChromaKnowledgeStore(config)


def find_documents(store: KnowledgeStore, names: Iterable[str]) -> set[str]:
    """Ids of documents that are named by id, by the beginning of an id, or by file name.

    Raises:
        DocumentNotFoundError: a name is no document's, or several documents'.
    """
    names = list(names)
    documents = store.list_documents() if names else []
    found = set()
    for name in names:
        exact = [one["id"] for one in documents if name in (one["id"], one["filename"])]
        matches = exact or [one["id"] for one in documents if len(name) >= 6 and one["id"].startswith(name)]
        if not matches:
            raise DocumentNotFoundError(f"The store has no document {name!r}. `practorflow documents list` names them.")
        if len(matches) > 1:
            raise DocumentNotFoundError(f"{len(matches)} documents are called {name!r}; give an id instead.")
        found.add(matches[0])
    return found

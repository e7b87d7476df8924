"""Which documents are meant, and opening the store that has them."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..exceptions import DocumentNotFoundError

if TYPE_CHECKING:
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


def wants_documents(options: argparse.Namespace) -> bool:
    """Whether the store has to be opened at all."""
    return bool(options.documents or options.document or options.add)


def open_knowledge(config: ChromaKnowledgeConfig) -> KnowledgeStore:
    """The configured store. Loads the embedding model, which takes a moment."""
    from ..knowledge.chroma_knowledge_store import ChromaKnowledgeStore

    return ChromaKnowledgeStore(config)


def chosen_documents(store: KnowledgeStore, options: argparse.Namespace) -> set[str] | None:
    """Ids of the documents to answer from; None for all. Files that are to be added have been added then.

    Raises:
        DocumentNotFoundError: a name is no document's.
        DocumentError: a file cannot be read.
    """
    if options.documents and not options.document:
        for path in options.add:
            store.add_document_from_file(path)
        return None
    added = {store.add_document_from_file(path)["id"] for path in options.add}
    return added | find_documents(store, options.document)


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

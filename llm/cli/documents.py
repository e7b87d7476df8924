"""`practorflow documents`: what the knowledge store holds, and taking it out again."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from . import exit_codes
from .command import Command, Context, add_action, add_actions
from .knowledge_options import find_documents, open_knowledge

if TYPE_CHECKING:
    from ..knowledge.knowledge_store import KnowledgeStore

_DESCRIPTION = """\
List and delete documents of the knowledge store.

  practorflow documents list
  practorflow documents delete report.pdf --purge

Deleting makes a document unfindable at once; --purge also removes its text from the bytes of the store's files, which
takes as long as copying them.
"""


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = add_actions(parser)
    add_action(actions, "list", "oldest first", _list)
    delete = add_action(actions, "delete", "remove for good", _delete)
    delete.add_argument("documents", nargs="+", metavar="NAME", help="id or file name")
    delete.add_argument("--purge", action="store_true", help="from the bytes of the files as well")


def _run(options: argparse.Namespace, context: Context) -> int:
    with open_knowledge(context.configuration().KnowledgeChromaConfiguration) as store:
        options.action(store, options, context)
    return exit_codes.OK


def _list(store: KnowledgeStore, options: argparse.Namespace, context: Context) -> None:  # noqa: ARG001
    documents = store.list_documents()
    if context.output.as_json:
        for document in documents:
            context.output.document(document)
    elif documents:
        context.output.table(
            ("ID", "FILE", "CHARACTERS", "PASSAGES", "ADDED (UTC)", ""),
            [
                (
                    one["id"],
                    one["filename"],
                    one["content_length"],
                    one["context_chunks"],
                    one["created_at"][:16],
                    "" if one["complete"] else "incomplete",
                )
                for one in documents
            ],
        )
    else:
        context.output.note("The store has no documents yet. `practorflow ingest` adds some.")


def _delete(store: KnowledgeStore, options: argparse.Namespace, context: Context) -> None:
    ids = sorted(find_documents(store, options.documents))
    for document_id in ids:
        store.delete_document(document_id)
    if options.purge:
        store.purge()
    if context.output.as_json:
        context.output.document({"deleted": ids, "purged": options.purge})
    else:
        context.output.note(f"{len(ids)} deleted.")


COMMAND = Command("documents", "list and delete stored documents", _DESCRIPTION, _add_arguments, _run)

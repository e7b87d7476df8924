"""`practorflow search`: passages of the stored documents, with what it takes to cite them."""

from __future__ import annotations

import argparse
import shutil
import textwrap
from typing import TYPE_CHECKING

from ..exceptions import RequestError
from . import exit_codes
from .command import Command, Context
from .knowledge_options import find_documents, open_knowledge
from .output import one_line

if TYPE_CHECKING:
    from ..knowledge.passage import Passage

_DESCRIPTION = """\
Find passages of the stored documents. No model answers; what the documents say is shown as it is.

  practorflow search "notice period"
  practorflow search --document contract.pdf --json "notice period" | jq -r .text
"""
_LINES_SHOWN = 6
_INDENT = "    "


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("query", metavar="QUERY", help="in words")
    parser.add_argument("--top-k", type=int, metavar="N", help="the most passages (LLM_MAX_SEARCH_RESULTS)")
    parser.add_argument("--mode", choices=("hybrid", "dense", "text"), default="hybrid", help="how to search (hybrid)")
    parser.add_argument(
        "--document",
        action="append",
        default=[],
        metavar="NAME",
        help="only in this one, by id or file name; repeatable",
    )


def _run(options: argparse.Namespace, context: Context) -> int:
    if not options.query.strip():
        raise RequestError("The query is empty. Write what to look for behind `search`.")
    configuration = context.configuration()
    top_k = configuration.ModelConfiguration.max_search_results if options.top_k is None else options.top_k
    with open_knowledge(configuration.KnowledgeChromaConfiguration) as store:
        if options.document:
            scope = find_documents(store, options.document)
            passages = store.search_scoped(options.query, scope, top_k, mode=options.mode)
        else:
            passages = store.search(options.query, top_k, mode=options.mode)
        empty = not passages and not store.counts()["documents"]
    for number, passage in enumerate(passages, start=1):
        _show(number, passage, context)
    if empty:
        context.output.note("The store has no documents yet. `practorflow ingest` adds some.")
    elif not passages:
        context.output.note("Nothing was found.")
    return exit_codes.OK


def _show(number: int, passage: Passage, context: Context) -> None:
    output = context.output
    if output.as_json:
        output.document({**passage.citation(), "text": passage.text})
        return
    if not output.to_person:
        output.table(("", "", ""), [(f"{passage.score:.4f}", passage.source, passage.text)])
        return
    width = max(20, min(100, shutil.get_terminal_size().columns - len(_INDENT)))
    place = one_line(" > ".join((passage.source, *passage.headings)))
    output.line(f"[{number}] {place}  ({passage.score:.3f})")
    lines = textwrap.wrap(one_line(passage.text), width)
    for line in lines[:_LINES_SHOWN]:
        output.line(f"{_INDENT}{line}")
    if len(lines) > _LINES_SHOWN:
        output.line(f"{_INDENT}...")


COMMAND = Command("search", "passages of your documents", _DESCRIPTION, _add_arguments, _run)

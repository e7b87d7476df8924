"""`practorflow ingest`: files and folders into the knowledge store."""

from __future__ import annotations

import argparse
from collections import Counter
from typing import TYPE_CHECKING, Any

from ..exceptions import DocumentNotFoundError, RequestError
from ..terminal_width import bar_columns
from . import exit_codes
from .command import Command, Context
from .knowledge_options import open_knowledge
from .output import Output, one_line

if TYPE_CHECKING:
    from ..knowledge.ingest import IngestProgress, IngestResult

_DESCRIPTION = """\
Add documents (PDF, DOCX, PPTX, XLSX, HTML, Markdown, CSV, text, images) to the knowledge store.

  practorflow ingest report.pdf contracts/

One file that cannot be read does not stop the others; the summary says what failed and why. What is in the store
already costs one read, so an ingest that was broken off is gone on with by giving the same command again. The exit
code is 1 where some files failed.
"""


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("paths", nargs="+", metavar="PATH", help="a file, or a folder with everything below it")


def _run(options: argparse.Namespace, context: Context) -> int:
    output = context.output
    if not all(options.paths):
        raise RequestError("A path is empty. '.' is the current folder.")
    try:
        with open_knowledge(context.configuration().KnowledgeChromaConfiguration) as store, _Bar(output) as bar:

            def show(progress: IngestProgress) -> None:
                bar.show(progress)
                if progress.last is not None and not output.to_person:
                    _report(progress.last, output)

            results = store.add_documents(options.paths, progress=show)
    except KeyboardInterrupt:  # here, where the bar has drawn its last line
        output.note("What has been added stays. Give the same command again to go on.")
        raise
    if not results:
        raise DocumentNotFoundError(
            f"There is no document in {', '.join(map(repr, options.paths))}. "
            "`practorflow ingest --help` says what is read."
        )
    for result in results if output.to_person else ():
        if result.error is not None:
            _report(result, output)
    counts = Counter(map(_outcome, results))
    output.note(", ".join(f"{count} {name}" for name, count in counts.items()) + ".")
    return _code(results)


def _code(results: list[IngestResult]) -> int:
    errors = [result.error for result in results if result.error is not None]
    if not errors:
        return exit_codes.OK
    return exit_codes.exit_code(errors[0]) if len(errors) == len(results) else exit_codes.INCOMPLETE


def _outcome(result: IngestResult) -> str:
    if result.document is None:
        return "failed"
    if result.document["already_there"]:
        return "there already"
    return "replaced" if result.document["replaced"] else "added"


def _report(result: IngestResult, output: Output) -> None:
    outcome = _outcome(result)
    if output.as_json:
        line: dict[str, Any] = {"path": result.path, "outcome": outcome, "document": result.document}
        if result.error is not None:
            line["error"] = {"type": type(result.error).__name__, "message": str(result.error)}
        output.document(line)
        return
    if result.document is None:
        details = str(result.error)
    else:
        details = f"{result.document['context_chunks']} passages, id {result.document['id']}"
    if output.to_person:
        output.line(f"{outcome}: {one_line(result.path)}: {details}")
    else:
        output.table(("", "", ""), [(outcome, result.path, details)])
    for warning in result.document["warnings"] if result.document else ():
        output.note(f"{one_line(result.path)}: {warning}")


class _Bar:
    """A bar on standard error, where somebody watches."""

    def __init__(self, output: Output) -> None:
        self._bar: Any = None
        self._watched = output.watched

    def __enter__(self) -> _Bar:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def show(self, progress: IngestProgress) -> None:
        if not self._watched:
            return
        if self._bar is None:
            from tqdm import tqdm  # type: ignore[import-untyped]

            self._bar = tqdm(total=progress.total, unit="file", desc="Adding", ncols=bar_columns())
        self._bar.set_postfix_str(f"{progress.chunks} chunks", refresh=False)
        self._bar.update(progress.done - self._bar.n)


COMMAND = Command("ingest", "add documents to the knowledge store", _DESCRIPTION, _add_arguments, _run)

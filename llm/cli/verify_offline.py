"""`practorflow verify-offline`: the whole workflow under watch, and a report of what it sent."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..exceptions import RequestError
from . import exit_codes
from .command import Command, Context
from .model_options import add_model_choice, chosen_model

_DESCRIPTION = """\
Run the whole workflow (load, chat, stream, ingest, search, session, delete) where every packet would be seen, and
print a report that can be filed. A positive control has to be caught first, or the report says that it proves nothing.

  practorflow verify-offline > report.txt

It takes a minute and a half, because some libraries wait that long before they send. The watch is a network namespace
with a recorder (root, or a kernel that lets users have namespaces), else seccomp; Linux only. The exit code is 1 where
something left.
"""


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seconds", type=float, default=None, metavar="N", help="how long to watch (90)")
    parser.add_argument(
        "--method",
        choices=("auto", "network namespace", "seccomp"),
        default="auto",
        help="how to watch (auto: the first that this system allows)",
    )
    parser.add_argument(
        "--folder",
        type=Path,
        metavar="FOLDER",
        help="a new folder for what the run writes, kept afterwards (a temporary one)",
    )
    add_model_choice(parser)


def _run(options: argparse.Namespace, context: Context) -> int:
    from ..offline_proof.verification import DEFAULT_SECONDS, verify_offline

    seconds = DEFAULT_SECONDS if options.seconds is None else options.seconds
    if not 0 <= seconds <= 86_400:
        raise RequestError(f"--seconds {seconds:g} is not allowed: from 0 to 86400.")
    configuration = context.configuration()
    model = chosen_model(configuration.ModelConfiguration, options)
    context.output.note(f"Watching the workflow for at least {seconds:g} seconds ...")
    report = verify_offline(
        model,
        knowledge=configuration.KnowledgeChromaConfiguration,
        seconds=seconds,
        method=options.method,
        folder=options.folder,
    )
    context.output.line(report.as_json() if context.output.as_json else report.text())
    return exit_codes.OK if report.passed else exit_codes.INCOMPLETE


COMMAND = Command("verify-offline", "prove that nothing leaves this machine", _DESCRIPTION, _add_arguments, _run)

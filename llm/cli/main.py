"""From a command line to an exit code: parses, runs one command, and tells what went wrong in one line.

A user's mistake never shows a traceback; `--debug` shows it for those who look for one in this program.
"""

from __future__ import annotations

import argparse
import errno
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from . import ask, chat, doctor, documents, estimate, exit_codes, ingest, models, search, sessions, verify_offline
from .command import Command, Configuration, Context, add_shared_options
from .output import Output

COMMANDS: tuple[Command, ...] = (
    chat.COMMAND,
    ask.COMMAND,
    ingest.COMMAND,
    search.COMMAND,
    documents.COMMAND,
    models.COMMAND,
    estimate.COMMAND,
    sessions.COMMAND,
    doctor.COMMAND,
    verify_offline.COMMAND,
)

PROGRAM = "practorflow"
_DESCRIPTION = """\
Private AI on this machine: local models, your own documents, nothing sent anywhere.

Settings come from config/options/options.env and the environment; `practorflow doctor` says which apply here.
Begin with `practorflow chat`, which answers with the small demo model that comes with the package.
"""
_EPILOG = "exit codes:\n" + (exit_codes.__doc__ or "").partition("\n\n")[2]


def run(arguments: Sequence[str], *, configuration: Callable[[], Configuration]) -> int:
    """Run one command.

    Args:
        arguments: the words behind the program's name.
        configuration: reads the settings; called when a command needs them.

    Returns:
        The exit code; see `exit_codes`.
    """
    _open_streams()
    output, debug, code = Output(as_json="--json" in arguments), False, exit_codes.OK
    try:
        options = _parsed(arguments)
        if options is not None:
            output, debug = Output(as_json=options.json, quiet=options.quiet), options.debug
            _choose_logging(options, configuration)
            code = options.run(options, Context(configuration, output))
        sys.stdout.flush()
    except _WrongArguments as wrong:
        output.error(str(wrong), kind="UsageError", code=exit_codes.USAGE)
        return exit_codes.USAGE
    except (Exception, KeyboardInterrupt) as error:
        return _tell(error, output, debug=debug)
    return code


def _open_streams() -> None:
    """A process that was started without one of the three streams gets one that is empty, or that forgets."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115


def _parsed(arguments: Sequence[str]) -> argparse.Namespace | None:
    """The options, None where --help or --version has been answered."""
    try:
        return build_parser().parse_args(arguments)
    except SystemExit:
        return None


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    parser = _Parser(
        prog=PROGRAM,
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_shared_options(parser)
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version")
    parser.set_defaults(json=False, quiet=False, verbose=False, debug=False)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True, parser_class=_Parser)
    for command in COMMANDS:
        described = commands.add_parser(
            command.name,
            help=command.help,
            description=command.description,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        described.set_defaults(run=command.run)
        add_shared_options(described)
        command.add_arguments(described)
    return parser


class _WrongArguments(Exception):
    """The command line is not one."""


class _Parser(argparse.ArgumentParser):
    """Raises instead of ending the process, so that errors take one way out; takes options by their whole name only."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(allow_abbrev=False, **settings)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """What nobody knows is told by the command that it stands behind, not by the program as a whole."""
        options, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return options, unknown

    def error(self, message: str) -> NoReturn:
        raise _WrongArguments(f"{message}. `{self.prog} --help` shows what there is.")

    def print_help(self, file: object = None) -> None:  # noqa: ARG002
        """As every result: where it cannot be written, that is an error."""
        Output().write(self.format_help())


class _Version(argparse.Action):
    """Looks the version up only when it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        from .installation import installed_version

        Output().line(f"{PROGRAM} {installed_version(PROGRAM) or '(not installed)'}")
        parser.exit()


def _choose_logging(options: argparse.Namespace, configuration: Callable[[], Configuration]) -> None:
    from ..logs import LogLevel, LogLevels, configure_logging

    if options.verbose:
        configure_logging(configuration().LoggerConfiguration)
    else:
        # A warning is a note; among JSON it would be a line that nobody can parse.
        level: LogLevel = "ERROR" if options.quiet or options.json else "WARNING"
        # What becomes of a document is what `ingest` prints.
        configure_logging(
            LogLevels(runner=level, document="ERROR", knowledge="ERROR", model_pool=level, tool=level, agent=level)
        )


def _tell(error: BaseException, output: Output, *, debug: bool) -> int:
    code = exit_codes.exit_code(error)
    if debug and code not in (exit_codes.INTERRUPTED, exit_codes.BROKEN_PIPE):
        traceback.print_exception(type(error), error, error.__traceback__)
    if code == exit_codes.BROKEN_PIPE:
        # Python would complain once more when it closes standard output at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    elif code == exit_codes.INTERRUPTED:
        output.note("\nStopped." if output.watched else "Stopped.")
    elif isinstance(error, ModuleNotFoundError):
        message = (
            f"the package {error.name!r} is not installed. `{PROGRAM} doctor` says what is missing and how to get it."
        )
        output.error(message, kind=type(error).__name__, code=code)
    elif isinstance(error, OSError):
        output.error(_refusal(error), kind=type(error).__name__, code=code)
    elif code == exit_codes.FAULT:
        output.error(_fault(error), kind=type(error).__name__, code=code)
    else:
        output.error(str(error), kind=type(error).__name__, code=code)
    return code


def _refusal(error: OSError) -> str:
    """What the system refused, of what, and what helps."""
    what = error.strerror or type(error).__name__
    if isinstance(error, FileNotFoundError) and error.filename is None:  # of no file that could be named
        return "the current folder is not there any more. Change to one that is."
    where = "" if error.filename is None else f" {error.filename!r}"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"writing{where} failed: {what}. Make room there, or name another place."
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"using{where} failed: {what}. Have its permissions changed, or name another place."
    return f"using{where} failed: {what}. `{PROGRAM} doctor` looks at this machine; --debug shows where it happened."


def _fault(error: BaseException) -> str:
    """A fault of ours, without its message: that one may quote anything."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" in {os.path.basename(frames[-1].filename)}, line {frames[-1].lineno}" if frames else ""
    return f"this is a fault in {PROGRAM}: {type(error).__name__}{place}. Run it again with --debug and report it."

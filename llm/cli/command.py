"""What a command is, and what it is given: arguments, the configuration, a place for its output."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

from .output import Output

if TYPE_CHECKING:
    from pathlib import Path

    from ..hub.policy import DownloadPolicy
    from ..knowledge.chroma_knowledge_config import ChromaKnowledgeConfig
    from ..llm_config import LLMConfig
    from ..logs import LogLevels
    from ..session.session_config import SessionConfig
    from ..tools.web_policy import WebAccess


class Configuration(Protocol):
    """The settings of the process, as `settings.app_settings` has them; this package does not import it."""

    @property
    def ModelConfiguration(self) -> LLMConfig: ...
    @property
    def KnowledgeChromaConfiguration(self) -> ChromaKnowledgeConfig: ...
    @property
    def SessionConfiguration(self) -> SessionConfig: ...
    @property
    def LoggerConfiguration(self) -> LogLevels: ...
    @property
    def DownloadConfiguration(self) -> DownloadPolicy: ...
    @property
    def WebConfiguration(self) -> WebAccess: ...
    @property
    def options_file(self) -> Path | None: ...


@dataclass(frozen=True)
class Context:
    """What every command gets.

    Args:
        configuration: reads the settings; called by the commands that need them.
        output: where results and notes go.
    """

    configuration: Callable[[], Configuration]
    output: Output


@dataclass(frozen=True)
class Command:
    """One word after `practorflow`.

    Args:
        name: the word.
        help: one line for the list of commands.
        description: what the command's own help says; examples are welcome.
        add_arguments: declares its arguments.
        run: does it, and returns the exit code. Errors are raised, and told to the user elsewhere.
    """

    name: str
    help: str
    description: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace, Context], int]


def add_shared_options(parser: argparse.ArgumentParser) -> None:
    """The options that every command has, wherever they stand in the line."""
    group = parser.add_argument_group("for every command")
    for names, text in (
        (("--json",), "results as JSON on standard output, errors as JSON on standard error"),
        (("-q", "--quiet"), "no notes on standard error"),
        (("-v", "--verbose"), "log as LOG_*_LEVEL say"),
        (("--debug",), "show where an error came from"),
    ):
        # Suppressed: a parser further down the line must not reset what one further up has read.
        group.add_argument(*names, action="store_true", default=argparse.SUPPRESS, help=text)


Actions: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def add_actions(parser: argparse.ArgumentParser) -> Actions:
    """Make a command one that has words of its own, such as `sessions list`."""
    return parser.add_subparsers(title="what to do", metavar="ACTION", required=True)


def add_action(actions: Actions, name: str, text: str, action: Callable[..., object]) -> argparse.ArgumentParser:
    """One of those words; `action` is what the command finds in its options."""
    parser = actions.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
    add_shared_options(parser)
    parser.set_defaults(action=action)
    return parser

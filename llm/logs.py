"""One logger for each component, so that each can be made as quiet or as talkative as its reader needs.

Importing this configures nothing: the library's root logger has a handler that drops everything, as libraries do, and
a program that wants to see logs says so once with `configure_logging`. Logs carry names, counts and durations, never
a prompt, a document or a reply.
"""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass, fields
from typing import Literal

from .field_checks import check_choice

Component = Literal["runner", "document", "knowledge", "model_pool", "tool", "agent"]
LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]

RUNNER: Component = "runner"
DOCUMENT: Component = "document"
KNOWLEDGE: Component = "knowledge"
MODEL_POOL: Component = "model_pool"
TOOL: Component = "tool"
AGENT: Component = "agent"

COMPONENTS: tuple[Component, ...] = (RUNNER, DOCUMENT, KNOWLEDGE, MODEL_POOL, TOOL, AGENT)
LOG_LEVELS: tuple[LogLevel, ...] = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
ROOT = "practorflow"

logging.getLogger(ROOT).addHandler(logging.NullHandler())


@dataclass(frozen=True, kw_only=True)
class LogLevels:
    """The level of each component's logger.

    Raises:
        ConfigError: names the component, its value and the levels there are.
    """

    runner: LogLevel = "INFO"
    document: LogLevel = "INFO"
    knowledge: LogLevel = "INFO"
    model_pool: LogLevel = "INFO"
    tool: LogLevel = "INFO"
    agent: LogLevel = "INFO"

    def __post_init__(self) -> None:
        for field in fields(self):
            check_choice(field.name, getattr(self, field.name), LOG_LEVELS)

    def apply(self) -> None:
        """Configure the logging of this process accordingly."""
        configure_logging(self)


def get_logger(component: Component) -> logging.Logger:
    """The logger of one component, such as `MODEL_POOL`."""
    check_choice("component", component, COMPONENTS)
    return logging.getLogger(f"{ROOT}.{component}")


def configure_logging(levels: LogLevels | None = None) -> None:
    """Set the components' levels and show what they log. For programs; libraries leave this to their caller.

    Where the program has configured the root logger, its handlers are used; otherwise lines go to standard error.
    A second call changes the levels and adds nothing.
    """
    levels = levels or LogLevels()
    for component in COMPONENTS:
        get_logger(component).setLevel(getattr(levels, component))
    library = logging.getLogger(ROOT)
    ours = any(isinstance(handler, _StandardErrorHandler) for handler in library.handlers)
    if not ours and not logging.getLogger().handlers:
        library.addHandler(_StandardErrorHandler())


class _StandardErrorHandler(logging.StreamHandler):  # type: ignore[type-arg]
    """Writes to what standard error is at that moment, one line for each message."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)
        self.setFormatter(_OneLineFormatter("%(asctime)s %(levelname)-8s %(name)s: %(message)s"))


class _OneLineFormatter(logging.Formatter):
    """Escapes control characters: a file name with a line break in it must not be able to forge a log line."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        line = super().formatMessage(record)
        return line if line.isprintable() else "".join(map(_printable, line))


def _printable(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode("ascii")

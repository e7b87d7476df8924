"""`python -m llm` and the `practorflow` command.

This is a program, like sample.py, and the one module here that knows `settings`: it hands the configuration to the
command line, which hands it on. Everything else in `llm` takes its configuration as an argument.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .cli import exit_codes

if TYPE_CHECKING:
    from .cli.command import Configuration


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code of the process.

    Args:
        arguments: what follows the program's name; None takes them from the process.
    """
    try:
        from .cli.main import run

        return run(sys.argv[1:] if arguments is None else arguments, configuration=_configuration)
    except KeyboardInterrupt:  # before a command has begun, or once more while it stops
        return exit_codes.INTERRUPTED


def _configuration() -> Configuration:
    from settings.app_settings import appConfiguration

    return appConfiguration


if __name__ == "__main__":
    sys.exit(main())

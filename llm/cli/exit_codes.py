"""What a command's exit code says, so that a script can tell a mistake from a machine that is busy.

  0  done
  1  done in part: some documents failed, a check did not pass
  2  the command line, a setting or a given file is wrong
  3  what was asked for is not there: a model, a session, a document
  4  it could not be done: a damaged model, no memory, a database that refuses, a missing package
  5  somebody else is using it, or too many wait; the same command may succeed later
 70  a fault in this program; `--debug` shows where
130  interrupted with Ctrl-C
141  whoever read the output stopped reading
"""

from __future__ import annotations

from .. import exceptions

OK = 0
INCOMPLETE = 1
USAGE = 2
NOT_FOUND = 3
FAILED = 4
BUSY = 5
FAULT = 70
INTERRUPTED = 130
BROKEN_PIPE = 141

# The first class that fits decides, so the more special ones come first.
_BY_CLASS: tuple[tuple[type[BaseException], int], ...] = (
    (exceptions.PoolBusyError, BUSY),
    (exceptions.PoolTimeoutError, BUSY),
    (exceptions.EngineBusyError, BUSY),
    (exceptions.SessionBusyError, BUSY),
    (exceptions.SessionChangedError, BUSY),
    (exceptions.StoreLockedError, BUSY),
    (exceptions.ModelNotFoundError, NOT_FOUND),
    (exceptions.DocumentNotFoundError, NOT_FOUND),
    (exceptions.OfflineError, NOT_FOUND),
    (exceptions.SessionNotFoundError, NOT_FOUND),
    (exceptions.ConfigError, USAGE),
    (exceptions.RequestError, USAGE),
    (exceptions.DocumentSourceError, USAGE),
    (exceptions.LLMError, FAILED),
    (KeyboardInterrupt, INTERRUPTED),
    (BrokenPipeError, BROKEN_PIPE),
    (OSError, FAILED),
    (ModuleNotFoundError, FAILED),
)


def exit_code(error: BaseException) -> int:
    """The code with which a process ends that ends with this error."""
    return next((code for kind, code in _BY_CLASS if isinstance(error, kind)), FAULT)

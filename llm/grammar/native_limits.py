"""What the native grammar engine may spend, and what becomes of it when it breaks.

The limits bound what one hostile request can take from the others: about a second while it is compiled, and some tens
of milliseconds for one token. Invariant: a panic in native code, which Python sees as a BaseException, leaves here as
SchemaError.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from llguidance import LLParserLimits

from ..exceptions import SchemaError

# Verbose messages would quote the text around the place where they arose.
LIMITS = LLParserLimits(verbose_errors=False, initial_lexer_fuel=2_000_000, step_lexer_fuel=500_000)


@contextmanager
def panics_caught() -> Iterator[None]:
    """Turns a panic into SchemaError."""
    try:
        yield
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise SchemaError(
            "The grammar engine broke on this schema; simplify it, or switch the constraint off."
        ) from error

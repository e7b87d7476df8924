"""What configurations check of their fields. A ConfigError names the field, its value and what is allowed."""

from __future__ import annotations

import math
from collections.abc import Sequence

from .exceptions import ConfigError


def check_text(field: str, value: object) -> None:
    """A string that is not blank and has no NUL, which no path and no name can hold."""
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise ConfigError(field, value, "a non-empty string")


def check_choice(field: str, value: object, choices: Sequence[str | None]) -> None:
    """One of a few."""
    if value not in choices:
        raise ConfigError(field, value, "one of " + ", ".join(map(repr, choices)))


def check_flag(field: str, value: object) -> None:
    """True or False, and nothing that only counts as one of them."""
    if not isinstance(value, bool):
        raise ConfigError(field, value, "True or False")


def check_integer(field: str, value: object, low: int, high: int) -> None:
    """A whole number from `low` to `high`."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ConfigError(field, value, f"a whole number from {low} to {high}")


def check_number(field: str, value: object, low: float, high: float) -> None:
    """A number from `low` to `high`."""
    if (
        isinstance(value, bool)
        or not isinstance(value, (int, float))
        or not math.isfinite(value)
        or not low <= value <= high
    ):
        raise ConfigError(field, value, f"a number from {low:g} to {high:g}")

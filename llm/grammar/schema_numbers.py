"""Normal forms of integers and numbers.

Invariant: a bound that leaves here is exact as a 64-bit float and as a 64-bit integer, because the grammar engine
reckons in both; a bound between two such values moves inward. Some number lies between the bounds, and on a multiple.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from .schema_words import refuse
from .string_formats import INTEGER_FORMATS, NUMBER_FORMATS

_LARGEST = 2**63 - 1024
# A divisor becomes that many states of an automaton.
_LARGEST_DIVISOR = 100_000


@dataclass(frozen=True, slots=True)
class _Bound:
    """One end of a range; `opened` where the value itself lies outside."""

    value: Fraction
    opened: bool = False


def number_node(kind: str, words: Mapping[str, Any], path: str) -> Any:
    """Integers or numbers (`kind`) under their keywords."""
    low = _bound(words, "minimum", "exclusiveMinimum", path, sign=1)
    high = _bound(words, "maximum", "exclusiveMaximum", path, sign=-1)
    step = _step(words, path)
    if (low and low.value > _LARGEST) or (high and high.value < -_LARGEST):
        raise refuse("minimum" if low else "maximum", path, f"the grammar engine knows no bounds beyond {_LARGEST}")
    named = words.get("format")
    if named is not None and named not in INTEGER_FORMATS and named not in NUMBER_FORMATS:
        raise refuse("format", path, f"{named!r} is not a format of numbers")
    if kind == "integer":
        return _integers(low, high, step, INTEGER_FORMATS.get(named or "", (-_LARGEST, _LARGEST)))
    return _numbers(low, high, step)


def _integers(low: _Bound | None, high: _Bound | None, step: Fraction | None, widest: tuple[int, int]) -> Any:
    first, last = max(widest[0], -_LARGEST), min(widest[1], _LARGEST)
    if low:
        first = max(first, math.floor(low.value) + 1 if low.opened else math.ceil(low.value))
    if high:
        last = min(last, math.ceil(high.value) - 1 if high.opened else math.floor(high.value))
    first, last = _exact_from(first), -_exact_from(-last)
    # The whole multiples of p/q, in lowest terms, are the multiples of p.
    divisor = 1 if step is None else step.numerator
    if -(-first // divisor) * divisor > last:
        return False
    node: dict[str, Any] = {"type": "integer", "minimum": first, "maximum": last}
    return node if divisor == 1 else node | {"multipleOf": divisor}


def _numbers(low: _Bound | None, high: _Bound | None, step: Fraction | None) -> Any:
    node: dict[str, Any] = {"type": "number"}
    if low or high:
        # With a bound on one side alone, the number of digits on the other side would have no end.
        if low is None or low.value < -_LARGEST:
            low = _Bound(Fraction(-_LARGEST))
        if high is None or high.value > _LARGEST:
            high = _Bound(Fraction(_LARGEST))
        if low.value > high.value or (low.value == high.value and (low.opened or high.opened)):
            return False
        if step is not None:
            count = math.ceil(low.value / step)
            first = step * (count + 1 if low.opened and step * count == low.value else count)
            if first > high.value or (first == high.value and high.opened):
                return False
        node["exclusiveMinimum" if low.opened else "minimum"] = _plain(low.value)
        node["exclusiveMaximum" if high.opened else "maximum"] = _plain(high.value)
    return node if step is None else node | {"multipleOf": _plain(step)}


def _bound(words: Mapping[str, Any], closed: str, opened: str, path: str, *, sign: int) -> _Bound | None:
    """The tighter of an inclusive and an exclusive bound; `sign` is 1 for lower bounds and -1 for upper ones."""
    inclusive = None if words.get(closed) is None else _Bound(_fraction(words[closed], closed, path))
    other = words.get(opened)
    if isinstance(other, bool):  # draft 4: a flag on the inclusive bound
        return _Bound(inclusive.value, other) if inclusive else None
    if other is None:
        return inclusive
    exclusive = _Bound(_fraction(other, opened, path), True)
    return inclusive if inclusive and sign * inclusive.value > sign * exclusive.value else exclusive


def _step(words: Mapping[str, Any], path: str) -> Fraction | None:
    if "multipleOf" not in words:
        return None
    step = _fraction(words["multipleOf"], "multipleOf", path)
    if not 0 < step.numerator <= _LARGEST_DIVISOR or step.denominator > 10**9:
        raise refuse("multipleOf", path, f"it must be above 0, with at most nine decimals, up to {_LARGEST_DIVISOR}")
    return step


def _fraction(value: object, word: str, path: str) -> Fraction:
    """The decimal that stands in the schema: 0.1 means one tenth, not the float next to it."""
    if isinstance(value, int) and not isinstance(value, bool):
        return Fraction(value)
    if not isinstance(value, float) or not math.isfinite(value):
        raise refuse(word, path, "it must be a finite number")
    return Fraction(repr(value))


def _exact_from(value: int) -> int:
    """The least integer from `value` on that is exact as a float."""
    rounded = int(float(value))
    return rounded if rounded >= value else int(math.nextafter(float(value), math.inf))


def _plain(value: Fraction) -> int | float:
    return value.numerator if value.denominator == 1 else float(value)

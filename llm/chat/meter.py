"""What one rendering of a chat template may still use: time, and how much text it may make.

Jinja's sandbox bounds neither. The rules here say, before an operation runs, how large its result can become; Python
cannot be interrupted inside one long operation, so a rule that comes too late is no rule.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from contextvars import ContextVar
from typing import Any

MAX_SIZE = 1 << 24
"""The longest text in characters, or list in items, that a template may make."""
_MAX_WIDTH = 10_000
_MAX_BITS = 4096
_MAX_COMPARED = 100_000
_WEIGHT = 32


class LimitError(Exception):
    """The template needs more time or memory than a chat template can have use for."""


class TimeLimitError(LimitError):
    """The template needs more time, so trying it in another way would take as long again."""


class Meter:
    """The budget of one rendering.

    Time is what this thread has computed: on a busy machine others take most of what the clock says, and no request may
    fail for that. The clock is asked first, because it answers faster.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._began = time.thread_time()
        self._asked_again = time.monotonic() + seconds
        self._written = 0

    def tick(self) -> None:
        """Account for one step of a loop or one call."""
        now = time.monotonic()
        if now > self._asked_again:
            left = self._began + self._seconds - time.thread_time()
            if left <= 0:
                raise TimeLimitError("it did not end within its time limit")
            self._asked_again = now + left  # no sooner can this thread have computed that much

    def size(self, size: int) -> None:
        """Account for one text or list of this length."""
        if size > MAX_SIZE:
            raise LimitError(f"it makes a text or a list longer than {MAX_SIZE}")

    def write(self, size: int) -> None:
        """Account for text that goes into the output, or into a macro's."""
        self._written += size
        self.size(self._written)

    def weigh(self, value: object, limit: int = MAX_SIZE) -> None:
        """Account for a nested value that is about to be walked by Python itself: written out, sorted, compared.

        A list that holds one list twice, which holds one list twice, ... is small in memory and has no end when it is
        written out. So what is met twice counts twice.
        """
        total = steps = 0
        stack = [value]
        while stack:
            item = stack.pop()
            total += len(item) if isinstance(item, (str, bytes)) else _WEIGHT
            if isinstance(item, Mapping):
                stack.extend(item)
                stack.extend(item.values())
            elif isinstance(item, (list, tuple, set, frozenset)):
                stack.extend(item)
            steps += 1
            if steps % 1024 == 0:
                self.tick()
            if total + len(stack) > limit:
                raise LimitError(f"it walks through a value larger than {limit}")


METER: ContextVar[Meter] = ContextVar("template_meter")
"""The meter of the rendering that this thread is in."""


def loop(values: Iterable[Any]) -> Iterator[Any]:
    """The same values, each accounted for when it is taken."""
    meter = METER.get()
    for value in values:
        meter.tick()
        yield value


def text(value: object) -> str:
    """The value as text."""
    if not isinstance(value, str):
        METER.get().weigh(value)
        value = str(value)
    return value


def concat(values: Iterable[object]) -> str:
    """The values as one text."""
    meter = METER.get()
    texts, size = [], 0
    for value in values:
        piece = text(value)
        size += len(piece)
        meter.size(size)
        texts.append(piece)
    return "".join(texts)


def compared(value: object) -> object:
    """The same value, once it is clear that comparing it takes no time to speak of."""
    if isinstance(value, (list, tuple, dict)):
        METER.get().weigh(value, _MAX_COMPARED)
    return value


def sized(value: Any) -> Any:
    """The same value, once its length is accounted for."""
    if isinstance(value, (str, bytes, list, tuple, dict)):
        METER.get().size(len(value))
    return value


def check_operator(operator: str, left: Any, right: Any) -> None:
    """Refuse an operation whose result would be too large."""
    if operator == "%" and isinstance(left, str):
        check_format(left, right if isinstance(right, tuple) else (right,))
    elif operator == "*":
        for repeated, count in ((left, right), (right, left)):
            if isinstance(repeated, (str, bytes, list, tuple)) and isinstance(count, int):
                METER.get().size(len(repeated) * max(count, 0))
        if isinstance(left, int) and isinstance(right, int):
            _check_bits(left.bit_length() + right.bit_length())
    elif operator == "**" and isinstance(left, int) and isinstance(right, int):
        _check_bits(left.bit_length() * abs(right))
    elif operator == "+" and isinstance(left, (str, bytes, list, tuple)) and isinstance(right, type(left)):
        METER.get().size(len(left) + len(right))


def check_format(form: str, arguments: Iterable[Any]) -> None:
    """Refuse to fill in a form whose result would be too large. A width may stand in it or come as an argument."""
    longest = _MAX_WIDTH
    for argument in arguments:
        longest = max(longest, len(text(argument)))
        if re.search(r"\*|:[^}]*\{", form):
            check_widths(argument)
    if re.search(r"\d{5}", form):
        raise LimitError("it pads a text to an unreasonable width")
    METER.get().size(len(form) + (form.count("%") + form.count("{")) * longest)


def check_method(owner: Any, name: str, arguments: Sequence[Any]) -> None:
    """Refuse a call of a text's or number's own method whose result would be too large."""
    if name == "replace" and len(arguments) > 1:
        METER.get().size(len(owner) + owner.count(arguments[0]) * len(arguments[1]))
    elif name == "join" and arguments:
        _check_join(arguments[0], owner)
    elif name == "translate":
        raise LimitError("it calls translate(), whose result cannot be foreseen")
    else:
        check_widths(*arguments)


def _check_join(values: Any, separator: Any) -> None:
    METER.get().weigh(values)
    METER.get().size(len(values) * len(separator) if isinstance(values, Sized) else 0)


def check_widths(*arguments: Any) -> None:
    """Refuse numbers that can only be meant to make a text huge."""
    if any(isinstance(argument, int) and abs(argument) > _MAX_WIDTH for argument in arguments):
        raise LimitError(f"it pads a text to more than {_MAX_WIDTH} characters")


def _check_bits(bits: int) -> None:
    if bits > _MAX_BITS:
        raise LimitError(f"it computes a number of more than {_MAX_BITS} bits")


def _check_growth(count: Callable[[str, Sequence[Any]], int]) -> Callable[[Any, Sequence[Any]], None]:
    """A rule for filters that put one of their options into the text `count` times."""

    def check(value: Any, options: Sequence[Any]) -> None:
        check_widths(*options)
        longest = max((len(option) for option in options if isinstance(option, str)), default=0)
        if isinstance(value, str):
            METER.get().size(len(value) + longest * count(value, options))

    return check


def _check_sum(value: Any, options: Sequence[Any]) -> None:
    METER.get().weigh(value)
    if any(isinstance(option, (list, tuple)) for option in options):
        raise LimitError("it sums up lists, which takes time without bound")


def _check_join_filter(value: Any, options: Sequence[Any]) -> None:
    _check_join(value, options[0] if options and isinstance(options[0], str) else "")


def _check_json(value: Any, options: Sequence[Any]) -> None:
    METER.get().weigh(value)
    check_widths(*options)


def _check_weight(value: Any, _options: Sequence[Any]) -> None:
    METER.get().weigh(value)


def _check_options(_value: Any, options: Sequence[Any]) -> None:
    check_widths(*options)


def _check_form(value: Any, options: Sequence[Any]) -> None:
    check_format(text(value), options)


FILTER_CHECKS: dict[str, Callable[[Any, Sequence[Any]], None]] = {
    "batch": _check_options,
    "center": _check_options,
    "dictsort": _check_weight,
    "e": _check_weight,
    "escape": _check_weight,
    "format": _check_form,
    "groupby": _check_weight,
    "indent": _check_growth(lambda value, _options: value.count("\n") + 1),
    "join": _check_join_filter,
    "max": _check_weight,
    "min": _check_weight,
    "replace": _check_growth(lambda value, options: value.count(options[0]) if options else 0),
    "round": _check_options,
    "slice": _check_options,
    "sort": _check_weight,
    "string": _check_weight,
    "sum": _check_sum,
    "tojson": _check_json,
    "truncate": _check_options,
    "unique": _check_weight,
    "wordwrap": _check_growth(lambda value, _options: len(value)),
}
"""What is asked before a filter runs, given its value and its options."""

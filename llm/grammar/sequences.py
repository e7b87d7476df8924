"""Properties in any order and items in their order, for notations other than JSON, which `json_rule` writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .lark import Grammar, optional
from .schema_words import refuse

MOST_PROPERTIES = 64
"""Each property is one bit of a rule's parameter, and a parameter has 64."""


def any_order(
    grammar: Grammar,
    items: Mapping[str, str],
    required: Sequence[str],
    *,
    separator: str,
    other: str = "",
    least_one: bool = False,
) -> str:
    """An expression for the required `items` and any of the rest, in any order.

    Args:
        grammar: where the rules go.
        items: expressions by property name.
        required: names that must be there.
        separator: expression between two properties.
        other: expression for a property that is not listed; empty if there is none.
        least_one: whether there must be one property at least.

    Raises:
        SchemaError: there are more properties than fit.
    """
    if len(items) > MOST_PROPERTIES:
        raise refuse("properties", "", f"this model's notation has room for {MOST_PROPERTIES} properties of an object")
    if not items:
        return f"({other} ({separator} {other})*)?" if other else '""'
    needed = [name for name in items if name in required]
    ordered = needed + [name for name in items if name not in required]
    end = f'"" %if is_ones([0:{len(needed)}])' if needed else '""'
    first, more = grammar.reserve("first"), grammar.reserve("more")
    for rule, before in ((first, ""), (more, f"{separator} ")):
        ends = [] if least_one and rule == first else [end]
        steps = [
            f"{before}{items[name]} {more}::set_bit({bit}) %if bit_clear({bit})" for bit, name in enumerate(ordered)
        ]
        if other:
            steps.append(f"{before}{other} {more}::_")
        grammar.define(rule, " | ".join(ends + steps), parameter="::_")
    return f"{first}::0x0"


def in_order(prefix: Sequence[str], item: str, *, low: int, high: int | None, separator: str) -> str:
    """An expression for the items of a list: those of `prefix` first, then any number like `item`.

    Args:
        prefix: expressions of the first items.
        item: expression of all further ones; empty if there are none.
        low: the fewest items in all.
        high: the most; None for any number.
        separator: expression between two items.
    """
    if not item:
        high = len(prefix) if high is None else min(high, len(prefix))
    prefix = prefix if high is None else prefix[:high]
    inner = ""
    if high is None or high > len(prefix):
        least, most = max(low - len(prefix), 0), None if high is None else high - len(prefix)
        if prefix:
            inner = f"({separator} {item}){_times(least, most)}"
        else:
            rest = f"({separator} {item}){_times(max(least - 1, 0), None if most is None else most - 1)}"
            inner = f"{item} {rest}" if low else optional(f"{item} {rest}")
    for index in reversed(range(len(prefix))):
        inner = f"{separator if index else ''} {prefix[index]} {inner}".strip()
        inner = inner if index < low else optional(inner)
    return inner or '""'


def _times(least: int, most: int | None) -> str:
    return f"{{{least},{'' if most is None else most}}}"

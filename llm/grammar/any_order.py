"""Properties in any order, each once. JSON has them in the schema's order; other notations leave it to the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .lark import Grammar
from .schema_words import refuse

MOST_PROPERTIES = 64
"""Each property is one bit of a rule's parameter, and a parameter has 64."""


def any_order(
    grammar: Grammar, items: Mapping[str, str], required: Sequence[str], *, separator: str, other: str = ""
) -> str:
    """An expression for the required `items` and any of the rest, in any order.

    Args:
        grammar: where the rules go.
        items: expressions by property name.
        required: names that must be there.
        separator: expression between two properties.
        other: expression for a property that is not listed; empty if there is none.

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
        steps = [
            f"{before}{items[name]} {more}::set_bit({bit}) %if bit_clear({bit})" for bit, name in enumerate(ordered)
        ]
        if other:
            steps.append(f"{before}{other} {more}::_")
        grammar.define(rule, " | ".join([end, *steps]), parameter="::_")
    return f"{first}::0x0"

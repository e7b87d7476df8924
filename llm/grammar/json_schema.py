"""JSON schemas, checked before anything is generated and written for llguidance.

Invariant: `checked_schema` either raises SchemaError, which names a keyword and where it stands, or returns a schema
that llguidance honours to the letter; what it generates is valid under the schema that was given.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from typing import Any

from llguidance import LLMatcher

from ..exceptions import SchemaError
from .finite import finite_schema
from .native_limits import LIMITS, panics_caught
from .normal_form import NormalForm
from .schema_tree import all_parts, depth, most_at_once, with_shared_leaves
from .schema_words import refuse

# A line break with its indentation, or a few blanks, and that once between two parts: never endless white space.
WHITE_SPACE = r"\r?\n[ \t]{0,64}|[ \t]{1,2}"

_ESCAPES_WITHOUT_UNICODE = 'nrbtf\\"'
# llguidance follows references on the C stack, where about a thousand levels fit; more would end the process.
_DEEPEST = 250
# Patterns that one string must match are multiplied with each other, as automata; divisors of one number overflow.
_MOST_AT_ONCE = {"pattern": 8, "multipleOf": 1}

_SIGNS = (
    ("patternProperty", "patternProperties", "its patterns must not match one name in common"),
    ("circular references", "$ref", "a recursive reference must stand alone in its schema"),
    ("intersection stack", "allOf", "its recursive parts cannot be merged"),
    ("empty", "pattern", "its pattern and lengths exclude each other, or are too complex to tell"),
    ("multiple", "multipleOf", "the divisor is not supported"),
    ("Unsatisfiable", "", "no value satisfies the schema"),
)


def checked_schema(schema: object) -> dict[str, Any]:
    """The normal form of a JSON schema, ready for `json_rule`; not to be changed.

    Args:
        schema: a JSON schema (a dict or a bool), a Pydantic model class, or a type that Pydantic can describe.

    Raises:
        SchemaError: names the keyword that cannot be honoured and where it stands.
    """
    if not isinstance(schema, (Mapping, bool)):
        from .pydantic_schema import schema_of_type

        schema = schema_of_type(schema)
    try:
        return _checked_text(json.dumps(schema))
    except (TypeError, ValueError, RecursionError) as error:
        if isinstance(error, SchemaError):
            raise
        raise refuse("", "", f"it is not JSON ({type(error).__name__})") from error


@functools.lru_cache(maxsize=256)
def _checked_text(text: str) -> dict[str, Any]:
    """The same for a schema's text, so that a schema that comes with every request is checked once."""
    form = NormalForm(json.loads(text))
    nodes = list(all_parts([form.root, *form.definitions.values()]))
    for word, most in _MOST_AT_ONCE.items():
        known: dict[str, int] = {}
        if any(most_at_once(word, node, form.definitions, known) > most for node in nodes):
            raise refuse(word, "", f"allOf and references may put {most} of it on one value, not more")
    if depth(form.root, form.definitions) > _DEEPEST:
        raise refuse("$ref", "", f"its definitions lead through each other for more than {_DEEPEST} levels")
    checked = finite_schema(form.root, form.definitions)
    if checked is None:
        raise refuse("", "", "no finite value satisfies it")
    with panics_caught():
        error = LLMatcher.validate_grammar(f"start: {json_rule(checked)}", limits=LIMITS)
    if error:
        keyword, reason = next(((word, why) for sign, word, why in _SIGNS if sign in error), ("", "it is too complex"))
        raise refuse(keyword, "", reason)
    return checked


def json_rule(schema: Mapping[str, Any]) -> str:
    """The body of a Lark rule that matches exactly the JSON texts of a checked schema."""
    nodes = all_parts([schema, *schema.get("$defs", {}).values()])
    objects = [node for node in nodes if node.get("type") == "object"]
    options: dict[str, Any] = {"whitespace_pattern": WHITE_SPACE}
    # Beside named properties an open object could spell one of their names a second time, with an escape.
    if any(node["properties"] and node.get("additionalProperties", True) is not False for node in objects):
        options["json_allowed_escapes"] = _ESCAPES_WITHOUT_UNICODE
    else:
        options["json_allow_general_unicode_escapes"] = True
    return "%json " + json.dumps({**with_shared_leaves(schema), "x-guidance": options}, ensure_ascii=False)

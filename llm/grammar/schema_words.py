"""Which JSON schema keywords are honoured, which say nothing about the value, and how a refusal reads.

Invariant: a keyword in neither table is refused by name. There is no third way, so nothing is dropped silently.
"""

from __future__ import annotations

from ..exceptions import SchemaError

TYPES = ("null", "boolean", "integer", "number", "string", "array", "object")

TYPE_OF_KEYWORD: dict[str, str] = {
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"), "number"),
    **dict.fromkeys(("minLength", "maxLength", "pattern", "format", "contentEncoding"), "string"),
    **dict.fromkeys(("items", "prefixItems", "additionalItems", "minItems", "maxItems", "uniqueItems"), "array"),
    **dict.fromkeys(
        (
            "properties",
            "patternProperties",
            "additionalProperties",
            "propertyNames",
            "required",
            "minProperties",
            "maxProperties",
        ),
        "object",
    ),
}
"""Keywords that speak of values of one type; a value of another type satisfies them."""

APPLICATORS = ("enum", "const", "$ref", "allOf", "anyOf", "oneOf")
"""Keywords that speak of values of any type."""

ANNOTATIONS = frozenset(
    {
        "title",
        "description",
        "default",
        "example",
        "examples",
        "deprecated",
        "readOnly",
        "writeOnly",
        "discriminator",
        "$comment",
        "$schema",
        "$anchor",
        "$defs",
        "definitions",
    }
)
"""Keywords that do not narrow the value. `discriminator` repeats what its `oneOf` says."""

HONOURED = frozenset({"type", "nullable", *TYPE_OF_KEYWORD, *APPLICATORS})

_REASONS = {
    "not": "a grammar cannot exclude values; list what is allowed instead",
    "if": "a grammar cannot look at another value first; use anyOf with one branch per case",
    "then": "a grammar cannot look at another value first; use anyOf with one branch per case",
    "else": "a grammar cannot look at another value first; use anyOf with one branch per case",
    "contains": "a grammar cannot count the items of a kind",
    "uniqueItems": "a grammar cannot compare items; leave it out and remove duplicates after parsing",
    "dependentRequired": "use anyOf with one branch per case",
    "dependentSchemas": "use anyOf with one branch per case",
    "dependencies": "use anyOf with one branch per case",
    "unevaluatedProperties": "use additionalProperties",
    "unevaluatedItems": "use items or maxItems",
    "contentMediaType": "a grammar cannot see into a string",
    "contentSchema": "a grammar cannot see into a string; describe the value itself",
    "$dynamicRef": "use $ref",
    "$recursiveRef": "use $ref",
    "$id": "it changes what a $ref below it means; use $ref to #/$defs",
    "id": "it changes what a $ref below it means; use $ref to #/$defs",
}


def refuse(keyword: str, path: str, reason: str = "") -> SchemaError:
    """The error for `keyword` at the JSON pointer `path`."""
    reason = reason or _REASONS.get(keyword, "it is not a keyword that is known here; check its spelling")
    subject = f"{keyword!r} at '#{path}' in the JSON schema" if keyword else f"The JSON schema at '#{path}'"
    return SchemaError(
        f"{subject} cannot be honoured: {reason}. "
        "Change the schema, or switch the constraint off and validate the reply.",
        keyword=keyword,
        path=path,
    )

"""What Pydantic would accept for a type, said as a JSON schema.

Pydantic's own schema is looser than its validation in a few places: any string counts as a Decimal, and the keys of a
`dict[int, str]` may be any text. Invariant: where a schema can say what validation demands, this one does; what only a
validator function knows is left to validation.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from pydantic import TypeAdapter
from pydantic.errors import PydanticSchemaGenerationError, PydanticUndefinedAnnotation, PydanticUserError
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from .schema_words import refuse
from .string_formats import timestamp_pattern, url_pattern

_NUMBER_KEY = r"^-?(?:0|[1-9][0-9]{0,14})(?:\.[0-9]{1,9})?$"
_KEYS = {
    "int": r"^(?:0|-?[1-9][0-9]{0,17})$",
    "float": _NUMBER_KEY,
    "decimal": _NUMBER_KEY,
    "bool": r"^(?:true|false)$",
}


def schema_of_type(kind: object) -> JsonSchemaValue:
    """The JSON schema of a Pydantic model class, or of a type that `pydantic.TypeAdapter` takes.

    Raises:
        SchemaError: Pydantic cannot describe the type.
    """
    try:
        return TypeAdapter[Any](kind).json_schema(schema_generator=_GenerationSchema)  # type: ignore[arg-type]
    except (PydanticUserError, PydanticSchemaGenerationError, PydanticUndefinedAnnotation) as error:
        name = getattr(kind, "__name__", repr(kind))
        raise refuse("", "", f"Pydantic cannot describe {name} ({type(error).__name__})") from error


class _GenerationSchema(GenerateJsonSchema):
    """Schemas of what may be generated, which is narrower than what may be read."""

    def decimal_schema(self, schema: core_schema.DecimalSchema) -> JsonSchemaValue:
        """Decimals as numbers; a limit of digits becomes a divisor and a bound.

        The bound that all have keeps out exponents, with which a number could be beyond any float.
        """
        numbers: dict[str, Any] = {"type": "number", "minimum": -(10**15)}
        names = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum"}
        for name, word in names.items():
            if isinstance(value := schema.get(name), (Decimal, int, float)):
                numbers[word] = float(value)
        digits, places = schema.get("max_digits"), schema.get("decimal_places")
        if digits is not None:
            bound = 10 ** (digits - (places or 0))
            bounded = {"type": "number", "exclusiveMinimum": -bound, "exclusiveMaximum": bound}
            numbers = {"type": "number", "allOf": [numbers, bounded]}
        if digits is not None or places is not None:
            numbers["multipleOf"] = float(f"1e-{places or 0}")
        if isinstance(value := schema.get("multiple_of"), (Decimal, int, float)):
            numbers["multipleOf"] = float(value)
        return numbers

    def datetime_schema(self, schema: core_schema.DatetimeSchema) -> JsonSchemaValue:
        """Points in time; Pydantic takes them without a zone too, unless the type says otherwise."""
        return {"type": "string", "pattern": timestamp_pattern(date=True, zone=_zone(schema.get("tz_constraint")))}

    def time_schema(self, schema: core_schema.TimeSchema) -> JsonSchemaValue:
        return {"type": "string", "pattern": timestamp_pattern(date=False, zone=_zone(schema.get("tz_constraint")))}

    def str_schema(self, schema: core_schema.StringSchema) -> JsonSchemaValue:
        """Strings; one that is stripped before it is measured starts and ends with something else than a blank."""
        strings = super().str_schema(schema)
        if schema.get("strip_whitespace"):
            return {"allOf": [strings, {"type": "string", "pattern": r"^(?:\S(?:[\s\S]*\S)?)?$"}]}
        return strings

    def set_schema(self, schema: core_schema.SetSchema) -> JsonSchemaValue:
        return _without_needless_uniqueness(super().set_schema(schema))

    def frozenset_schema(self, schema: core_schema.FrozenSetSchema) -> JsonSchemaValue:
        return _without_needless_uniqueness(super().frozenset_schema(schema))

    def dict_schema(self, schema: core_schema.DictSchema) -> JsonSchemaValue:
        """Dictionaries, with the texts that can be read back as their keys."""
        mapping = super().dict_schema(schema)
        kind = schema.get("keys_schema", {"type": "any"})["type"]
        return mapping | {"propertyNames": {"pattern": _KEYS[kind]}} if kind in _KEYS else mapping

    def url_schema(self, schema: core_schema.UrlSchema) -> JsonSchemaValue:
        """URLs, with the schemes that the type allows."""
        urls = super().url_schema(schema)
        schemes = schema.get("allowed_schemes")
        if not schemes or "file" in schemes:
            return urls
        del urls["format"]
        return urls | {"pattern": url_pattern(tuple(schemes))}


def _zone(constraint: object) -> bool | None:
    return {"aware": True, "naive": False}.get(constraint) if isinstance(constraint, str) else None


def _without_needless_uniqueness(array: JsonSchemaValue) -> JsonSchemaValue:
    """Pydantic drops duplicates of a set by itself; they matter only where enough items must be left."""
    if array.get("minItems", 0) <= 1:
        array.pop("uniqueItems", None)
    return array

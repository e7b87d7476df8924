"""What a tool takes: the JSON schema that a model sees, and the values that Pydantic makes of what the model wrote.

Both come from one signature, so they cannot disagree. Invariants: whatever the kind of a Python parameter, the model
names its argument; a name that is not there is an error and never ignored; and the schema holds only words that
constrained decoding honours, so that a tool which could be registered can also be generated.
"""

from __future__ import annotations

import inspect
import typing
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from functools import partial
from types import SimpleNamespace
from typing import Annotated, Any, cast, get_args, get_origin, get_type_hints

import typing_extensions
from pydantic import Field, TypeAdapter, ValidationError
from pydantic.errors import PydanticSchemaGenerationError, PydanticUndefinedAnnotation, PydanticUserError
from pydantic.json_schema import PydanticJsonSchemaWarning
from pydantic_core import PydanticSerializationError, to_json
from typing_extensions import NotRequired, Required, is_typeddict

from ..exceptions import ConfigError, RequestError
from ..grammar.string_formats import FORMAT_PATTERNS, FORMATS_WITHOUT_SYNTAX, INTEGER_FORMATS, NUMBER_FORMATS

Parameter = inspect.Parameter

_ABSENT = object()
_UNPACK = {typing_extensions.Unpack, getattr(typing, "Unpack", typing_extensions.Unpack)}  # two on some Pythons
_FORMATS = {*FORMAT_PATTERNS, *FORMATS_WITHOUT_SYNTAX, *INTEGER_FORMATS, *NUMBER_FORMATS}
_NAMED_SCHEMAS = ("properties", "patternProperties", "$defs")
_SCHEMAS = ("items", "additionalProperties", "prefixItems", "anyOf", "oneOf", "allOf")
_MOST_COMPLAINTS = 8


class ToolArguments:
    """The arguments of one tool.

    Args:
        tool: the tool's name, for messages.
        parameters: what it takes. Annotations are resolved types.
        names: what the model calls a parameter, where that is not its Python name.

    Raises:
        ConfigError: a parameter has a type that Pydantic cannot validate or describe.
    """

    def __init__(self, tool: str, parameters: Sequence[Parameter], *, names: Mapping[str, str] | None = None) -> None:
        self._tool = tool
        self._names = dict(names or {})
        try:
            self._adapter = _adapter(parameters)
            with warnings.catch_warnings():
                # A default that JSON cannot hold stays the function's own affair.
                warnings.simplefilter("ignore", PydanticJsonSchemaWarning)
                schema = self._adapter.json_schema()
        except (PydanticUserError, PydanticSchemaGenerationError, PydanticUndefinedAnnotation) as exc:
            raise ConfigError(
                f"the parameters of tool {tool!r}",
                [f"{parameter.name}: {_type_name(parameter.annotation)}" for parameter in parameters],
                "types that Pydantic can validate and describe as JSON schema "
                f"({type(exc).__name__}: {str(exc).splitlines()[0]})",
            ) from exc
        self.schema: dict[str, Any] = _honourable(schema)

    @classmethod
    def of_function(
        cls, tool: str, function: Callable[..., Any], *, descriptions: Mapping[str, str] | None = None
    ) -> ToolArguments:
        """The arguments that a typed function takes.

        Args:
            tool: the tool's name.
            function: a function or method; each parameter has a type.
            descriptions: what parameters mean, by name; a description in the type itself wins.

        Raises:
            ConfigError: a parameter has no type, or one that cannot be used.
        """
        parameters = [
            _named(parameter, (descriptions or {}).get(parameter.name, ""))
            for parameter in _typed_parameters(tool, function)
        ]
        # A keyword that may be anything has to stand last.
        return cls(tool, sorted(parameters, key=lambda parameter: parameter.kind is Parameter.VAR_KEYWORD))

    def validate(self, arguments: object) -> dict[str, Any]:
        """The values that the tool is called with, by Python name.

        Raises:
            RequestError: says of each argument what is wrong with it, in words for the model.
        """
        if not isinstance(arguments, Mapping):
            raise RequestError(f"The arguments of {self._tool!r} must be an object with a value for each name.")
        try:
            # They came as JSON and are read as JSON: a date is a string, a tuple is an array.
            values = self._adapter.validate_json(to_json(dict(arguments)))
        except PydanticSerializationError as exc:
            raise RequestError(f"The arguments of {self._tool!r} are not values that JSON can hold.") from exc
        except ValidationError as exc:
            raise RequestError(self._complaint(exc)) from exc
        return {self._names.get(name, name): value for name, value in values.items() if value is not _ABSENT}

    def _complaint(self, error: ValidationError) -> str:
        faults = error.errors(include_url=False, include_context=False, include_input=False)
        told = [_fault(fault["type"], fault["loc"], fault["msg"]) for fault in faults[:_MOST_COMPLAINTS]]
        if len(faults) > len(told):
            told.append(f"and {len(faults) - len(told)} more")
        return f"The arguments of {self._tool!r} are wrong: {'; '.join(told)}. Correct them and call it again."


def _typed_parameters(tool: str, function: Callable[..., Any]) -> list[Parameter]:
    """The parameters with resolved types; a TypedDict of keywords is taken apart."""
    inner, settled = _without_partials(function)
    try:
        parameters = [p for p in inspect.signature(function).parameters.values() if p.name not in settled]
        hints = _hints(inner, {parameter.name for parameter in parameters})
    except (NameError, TypeError, ValueError) as exc:
        allowed = f"a function whose parameter types are known at module level ({exc})"
        raise ConfigError(f"tool {tool!r}", getattr(function, "__qualname__", "function"), allowed) from exc
    typed: list[Parameter] = []
    for parameter in parameters:
        if parameter.name not in hints:
            raise ConfigError(f"parameter of tool {tool!r}", parameter.name, "one with a type, like `name: str`")
        hint = hints[parameter.name]
        fields = get_args(hint)[0] if get_origin(hint) in _UNPACK else None
        if fields is not None and is_typeddict(fields):
            typed += _fields(fields)
        else:
            typed.append(parameter.replace(annotation=hint))
    return typed


def _hints(function: Any, names: Set[str]) -> dict[str, Any]:
    """The resolved types of some parameters; those of others need not be known."""
    routine = inspect.unwrap(function if inspect.isroutine(function) else type(function).__call__)
    written = {name: hint for name, hint in getattr(routine, "__annotations__", {}).items() if name in names}
    known = getattr(routine, "__globals__", {})
    return get_type_hints(SimpleNamespace(__annotations__=written), globalns=known, include_extras=True)


def _without_partials(function: Any) -> tuple[Any, set[str]]:
    """The function inside of partials, and the keywords that they settle, which are none of the model's business."""
    settled: set[str] = set()
    while isinstance(function, partial):
        settled.update(function.keywords)
        function = function.func
    return function, settled


def _fields(typed_dict: Any) -> Iterable[Parameter]:
    for name, hint in get_type_hints(typed_dict, include_extras=True).items():
        # Of annotations that are text, `__required_keys__` does not know what stands in them.
        required = name in typed_dict.__required_keys__
        while get_origin(hint) in (Required, NotRequired):
            required = get_origin(hint) is Required
            (hint,) = get_args(hint)
        default = Parameter.empty if required else _ABSENT
        yield Parameter(name, Parameter.KEYWORD_ONLY, annotation=hint, default=default)


def _named(parameter: Parameter, description: str) -> Parameter:
    """The parameter as a model gives it: by name."""
    hint, kind, default = parameter.annotation, parameter.kind, parameter.default
    if kind is Parameter.VAR_POSITIONAL:
        hint, default = list[hint], _ABSENT  # type: ignore[valid-type]
    if kind is Parameter.VAR_KEYWORD:
        return parameter
    if description:
        # The type's own description stands behind this one and wins.
        inner, *metadata = get_args(hint) if get_origin(hint) is Annotated else (hint,)
        hint = Annotated[(inner, Field(description=description), *metadata)]
    return parameter.replace(kind=Parameter.KEYWORD_ONLY, annotation=hint, default=default)


def _adapter(parameters: Sequence[Parameter]) -> TypeAdapter[dict[str, Any]]:
    """Validates by calling a function that has these parameters and returns what it is given."""

    def taken(**values: Any) -> dict[str, Any]:
        return values

    taken.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    taken.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return TypeAdapter(cast(Any, taken))


def _honourable(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema without words that say nothing to a model or that no grammar can keep; validation still keeps them."""
    kept = {word: value for word, value in schema.items() if word not in ("title", "uniqueItems", "contentSchema")}
    promised = [kept.pop(word) for word in ("format", "contentMediaType") if kept.get(word, "date") not in _FORMATS]
    if promised:
        kept["description"] = " ".join([*filter(None, [kept.get("description")]), f"({', '.join(promised)})"])
    for word in _NAMED_SCHEMAS:
        if word in kept:
            kept[word] = {name: _honourable(inner) for name, inner in kept[word].items()}
    for word in _SCHEMAS:
        if isinstance(kept.get(word), dict):
            kept[word] = _honourable(kept[word])
        elif isinstance(kept.get(word), list):
            kept[word] = [_honourable(inner) for inner in kept[word]]
    return kept


def _fault(kind: str, location: tuple[int | str, ...], message: str) -> str:
    name = ".".join(map(str, location))
    if kind.startswith("missing"):
        return f"{name} is missing"
    if kind == "unexpected_keyword_argument":
        return f"there is no argument {name}"
    return f"{name or 'they'}: {message[0].lower()}{message[1:]}"


def _type_name(kind: object) -> str:
    return getattr(kind, "__name__", None) or str(kind)

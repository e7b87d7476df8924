"""What a tool is: a name and a description that a model reads, arguments that are checked, and a result.

A tool implements `execute` or `aexecute`, whichever comes natural; the other one follows from it. What it takes is read
from the types of that method, or declared as `parameters`.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Annotated, Any, Literal, Optional

from pydantic import Field
from pydantic_core import to_json

from ..exceptions import ConfigError
from .arguments import ToolArguments
from .docstring import read_docstring
from .tool_thread import tool_threads

JSON_TYPES: dict[str, type] = {
    "string": str,
    "integer": int,
    "number": float,
    "boolean": bool,
    "array": list,
    "object": dict,
}
_LONGEST_ERROR = 1000


@dataclass(frozen=True)
class ToolParameter:
    """One argument of a tool, declared.

    Args:
        name: what the model calls it; any text.
        type: a Python type, with constraints if you like (``Annotated[int, Field(ge=1)]``), or the name of a JSON type:
            ``string``, ``integer``, ``number``, ``boolean``, ``array``, ``object``.
        description: what it means.
        required: whether it has to be given.
        default: what it is where it is not given.
        enum: the values that are allowed; None for all of the type.

    Raises:
        ConfigError: the type is not known, or a required parameter has a default.
    """

    name: str
    type: Any
    description: str = ""
    required: bool = field(default=True, kw_only=True)
    default: Any = field(default=None, kw_only=True)
    enum: Sequence[str | int | bool] | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if isinstance(self.type, str) and self.type not in JSON_TYPES:
            raise ConfigError(
                f"type of parameter {self.name!r}", self.type, f"a Python type or one of {', '.join(JSON_TYPES)}"
            )
        if self.required and self.default is not None:
            raise ConfigError(f"default of parameter {self.name!r}", self.default, "given only with required=False")

    @property
    def annotation(self) -> Any:
        """The Python type with everything else that is known of the argument."""
        kind: Any = JSON_TYPES[self.type] if isinstance(self.type, str) else self.type
        if self.enum is not None:
            kind = Literal[tuple(self.enum)]
        if not self.required and self.default is None:
            kind = Optional[kind]  # noqa: UP045 - on Python 3.10 a Literal takes no `| None`
        return Annotated[kind, Field(alias=self.name, description=self.description or None)]


@dataclass(frozen=True)
class ToolResult:
    """What came of a tool call.

    Attributes:
        success: whether the tool did what it was asked.
        data: what it found or computed.
        error: what went wrong and what to do about it, in words for the model.
        metadata: what a program may want to know besides, such as ``error_type`` or the records behind a text.
    """

    success: bool
    data: Any = field(default=None, repr=False)
    error: str | None = field(default=None, repr=False)
    metadata: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def of_error(cls, error: BaseException) -> ToolResult:
        """What the model is told of an exception: its class and its words."""
        words = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        if len(words) > _LONGEST_ERROR:
            words = f"{words[:_LONGEST_ERROR]}..."
        return cls(success=False, error=words, metadata={"error_type": "exception", "exception": type(error).__name__})

    @property
    def text(self) -> str:
        """What the model is told: the data as it is or as JSON, or the error."""
        if not self.success:
            return f"Error: {self.error}"
        if self.data is None:
            return "Done."
        if isinstance(self.data, str):
            return self.data
        try:
            return to_json(self.data, serialize_unknown=True).decode()
        except Exception as exc:  # an object may do anything when it is looked at
            return f"Done, but the result cannot be written as text: {type(self.data).__name__} ({type(exc).__name__})."


class BaseTool(ABC):
    """Something that a model can call.

    class Stock(BaseTool):
        name = "stock"
        description = "How many of a product are in stock."

        def execute(self, *, product: str, warehouse: Literal["north", "south"] = "north") -> ToolResult:
            return ToolResult(success=True, data=count(product, warehouse))
    """

    @property
    @abstractmethod
    def name(self) -> str:
        """What the model calls it: letters, digits, ``_`` and ``-``, at most 64."""

    @property
    @abstractmethod
    def description(self) -> str:
        """What it does and when to use it."""

    @property
    def parameters(self) -> Sequence[ToolParameter] | None:
        """What it takes; None reads it from the signature of `execute` or `aexecute`."""
        return None

    @property
    def timeout(self) -> float | None:
        """Seconds that a call may take; None leaves it to the registry."""
        return None

    @property
    def leaves_machine(self) -> bool:
        """Whether what it is asked is sent to somebody else."""
        return False

    @property
    def reads_documents(self) -> bool:
        """Whether its results hold text of the organization's documents."""
        return False

    @property
    def allowed_with_documents(self) -> bool:
        """Whether a tool that leaves the machine may be offered to a model that also sees documents."""
        return False

    def execute(self, /, *_: Any, **arguments: Any) -> ToolResult:
        """Do it, and block until it is done. Overriding methods name and type their keywords.

        This default runs `aexecute` to its end, on an event loop of its own.
        """
        if type(self).aexecute is BaseTool.aexecute:
            raise NotImplementedError(f"{type(self).__name__} implements neither execute nor aexecute.")
        return tool_threads.call_to_end(lambda: self.aexecute(**arguments))

    async def aexecute(self, /, *_: Any, **arguments: Any) -> ToolResult:
        """Do it without blocking the event loop. Overriding methods name and type their keywords.

        This default runs `execute` on a thread of its own. Cancelling it stops the waiting; the thread goes on until
        `execute` returns, and its result is dropped.
        """
        if type(self).execute is BaseTool.execute:
            raise NotImplementedError(f"{type(self).__name__} implements neither execute nor aexecute.")
        return await tool_threads.call(partial(self.execute, **arguments))

    @cached_property
    def arguments(self) -> ToolArguments:
        """The schema of what it takes, and the check of what it is given.

        Raises:
            ConfigError: a parameter has no type, or one that cannot be used.
        """
        if self.parameters is not None:
            return ToolArguments(
                self.name,
                [
                    inspect.Parameter(
                        f"argument_{number}",
                        inspect.Parameter.KEYWORD_ONLY,
                        annotation=parameter.annotation,
                        default=inspect.Parameter.empty if parameter.required else parameter.default,
                    )
                    for number, parameter in enumerate(self.parameters)
                ],
                names={f"argument_{number}": parameter.name for number, parameter in enumerate(self.parameters)},
            )
        method = self.aexecute if type(self).execute is BaseTool.execute else self.execute
        return ToolArguments.of_function(self.name, method, descriptions=read_docstring(method.__doc__).parameters)

    def to_openai(self) -> dict[str, Any]:
        """The tool's definition in OpenAI's form, as `generate` takes it."""
        return {
            "type": "function",
            "function": {"name": self.name, "description": self.description, "parameters": self.arguments.schema},
        }

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"

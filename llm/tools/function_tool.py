"""A typed function as a tool: its name, docstring and types are all that a model needs."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cached_property, partial
from typing import Any

from .arguments import ToolArguments
from .base import BaseTool, ToolResult
from .docstring import read_docstring
from .tool_thread import tool_threads


class FunctionTool(BaseTool):
    """Calls a function, synchronous or asynchronous. What it returns is the result's data; what it raises, its error.

    Args:
        function: each parameter has a type; what it returns can be written as JSON or is a ToolResult.
        name: None takes the function's.
        description: None takes the docstring's, without the part about parameters.
        timeout: seconds that a call may take; None leaves it to the registry.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        name: str | None = None,
        description: str | None = None,
        timeout: float | None = None,
    ) -> None:
        self._function = function
        self._name = name if name is not None else getattr(function, "__name__", type(function).__name__)
        self._docstring = read_docstring(inspect.getdoc(function))
        self._description = self._docstring.description if description is None else description
        self._timeout = timeout
        self._asynchronous = _is_asynchronous(function)

    @property
    def name(self) -> str:
        return self._name

    @property
    def description(self) -> str:
        return self._description

    @property
    def timeout(self) -> float | None:
        return self._timeout

    @cached_property
    def arguments(self) -> ToolArguments:
        return ToolArguments.of_function(self._name, self._function, descriptions=self._docstring.parameters)

    def execute(self, /, *_: Any, **arguments: Any) -> ToolResult:
        """Call the function with these values as they are, and wait for it."""
        if self._asynchronous:
            return tool_threads.call_to_end(lambda: self.aexecute(**arguments))
        try:
            returned = self._call(arguments)
            return _result_of(tool_threads.call_to_end(lambda: returned) if inspect.isawaitable(returned) else returned)
        except Exception as exc:
            return ToolResult.of_error(exc)

    async def aexecute(self, /, *_: Any, **arguments: Any) -> ToolResult:
        """Call the function with these values as they are: on the event loop where it is asynchronous, else on a
        thread of its own, which a cancelled call leaves behind until the function returns."""
        try:
            if self._asynchronous:
                return _result_of(await self._call(arguments))
            returned = await tool_threads.call(partial(self._call, arguments))
            return _result_of(await returned if inspect.isawaitable(returned) else returned)
        except Exception as exc:
            return ToolResult.of_error(exc)

    def _call(self, arguments: dict[str, Any]) -> Any:
        """A model names every argument; what Python takes by position only is put there."""
        named, positional = dict(arguments), []
        parameters = inspect.signature(self._function).parameters.values()
        if any(p.kind in (p.POSITIONAL_ONLY, p.VAR_POSITIONAL) for p in parameters):
            for parameter in parameters:
                if parameter.kind is parameter.VAR_POSITIONAL:
                    positional += named.pop(parameter.name, ())
                if parameter.kind not in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
                    break
                positional.append(named.pop(parameter.name, parameter.default))
        return self._function(*positional, **named)


def _is_asynchronous(function: Callable[..., Any]) -> bool:
    while isinstance(function, partial):
        function = function.func
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004


def _result_of(returned: object) -> ToolResult:
    return returned if isinstance(returned, ToolResult) else ToolResult(success=True, data=returned)

"""The tools that a model may call, by name; a call always ends in a ToolResult.

Invariants: whatever a tool or a model does (a wrong name, wrong arguments, an exception, a call that hangs) becomes a
result with `success=False`; only cancelling the caller raises. Tools that send out what they are asked are kept apart
from documents unless the program allows it by name.
"""

from __future__ import annotations

import asyncio
import dataclasses
import difflib
import math
import re
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, Literal, TypeVar, overload

from ..exceptions import ConfigError, RequestError
from ..logs import TOOL, get_logger
from .base import BaseTool, ToolResult
from .function_tool import FunctionTool
from .tool_thread import tool_threads

DEFAULT_TIMEOUT = 30.0
GRACE = 0.5  # seconds that an asynchronous tool has to clean up after it was cancelled

ErrorType = Literal["unknown_tool", "arguments", "timeout", "exception"]
F = TypeVar("F", bound=Callable[..., Any])

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


class ToolRegistry:
    """Tools by name.

        registry = ToolRegistry()

        @registry.register
        def weather(city: str, unit: Literal["celsius", "fahrenheit"] = "celsius") -> str:
            '''The weather in a city now.

            Args:
                city: Name of the city.
            '''

        registry.register(DuckDuckGoSearchTool())
        result = await runner.run(prompt="Is it warm in Bern?", tools=registry)

    Args:
        tools: tools and typed functions to begin with.
        timeout: seconds that a call may take where its tool sets no limit; None for no limit.

    Raises:
        ConfigError: as `register`, or the timeout is not a number above 0.
    """

    def __init__(
        self, tools: Iterable[BaseTool | Callable[..., Any]] = (), *, timeout: float | None = DEFAULT_TIMEOUT
    ) -> None:
        _check_timeout(timeout)
        self._timeout = timeout
        self._tools: dict[str, BaseTool] = {}
        self._stubborn: set[asyncio.Task[ToolResult]] = set()
        for tool in tools:
            self.register(tool)

    @overload
    def register(self, tool: BaseTool) -> BaseTool: ...
    @overload
    def register(
        self, tool: F, *, name: str | None = None, description: str | None = None, timeout: float | None = None
    ) -> F: ...
    @overload
    def register(
        self, *, name: str | None = None, description: str | None = None, timeout: float | None = None
    ) -> Callable[[F], F]: ...
    def register(self, tool: Any = None, **options: Any) -> Any:
        """Add a tool, or a typed function as one; also a decorator, with or without options.

        Args:
            tool: a BaseTool, or a function, synchronous or asynchronous, whose parameters have types.
            name, description, timeout: of a function, see FunctionTool.

        Returns:
            What it was given, so that a decorated function stays what it was.

        Raises:
            ConfigError: the name is taken or not a name, a parameter cannot be described, or the tool leaves the
                machine while another reads documents.
        """
        if tool is None:
            return lambda function: self.register(function, **options)
        if isinstance(tool, BaseTool):
            if options:
                raise ConfigError("register", sorted(options), "options for functions; a tool has its own")
            made = tool
        elif callable(tool) and not isinstance(tool, type):
            made = FunctionTool(tool, **options)
        else:
            raise ConfigError("tool", type(tool).__name__, "a BaseTool or a function; of a class, give an instance")
        self._check(made)
        self._tools[made.name] = made
        return tool

    def unregister(self, name: str) -> None:
        """Take a tool out.

        Raises:
            RequestError: there is none of this name.
        """
        if self._tools.pop(name, None) is None:
            raise RequestError(self._unknown(name))

    def to_openai(self) -> list[dict[str, Any]]:
        """The definitions in OpenAI's form, as `generate(tools=...)` takes them, in the order of registration."""
        return [tool.to_openai() for tool in self]

    def check_with_documents(self) -> None:
        """Nothing, if what documents say cannot leave the machine through a tool.

        Raises:
            RequestError: a tool leaves the machine and is not allowed where documents are in scope.
        """
        for tool in self:
            if tool.leaves_machine and not tool.allowed_with_documents:
                raise RequestError(_not_with_documents(tool))

    def execute(self, name: str, arguments: Mapping[str, Any], *, timeout: float | None = None) -> ToolResult:
        """As `aexecute`, and block until the result is there."""
        return tool_threads.call_to_end(lambda: self.aexecute(name, arguments, timeout=timeout))

    async def aexecute(self, name: str, arguments: Mapping[str, Any], *, timeout: float | None = None) -> ToolResult:
        """Call a tool with the arguments that a model wrote.

        At its time limit a call is given up: an asynchronous tool is cancelled; a synchronous one goes on, on its own
        thread, until its function returns, and its result is dropped. Only a coroutine that blocks the event loop
        cannot be cut, so what blocks belongs in a synchronous tool.

        Args:
            name: of the tool.
            arguments: as in ``tool_calls[...]["args"]``.
            timeout: seconds; None takes the tool's limit, or the registry's.

        Returns:
            The result. Where it has no success, ``metadata["error_type"]`` is "unknown_tool", "arguments", "timeout",
            "exception", or one of the tool's own.
        """
        tool = self._tools.get(name)
        if tool is None:
            return _failed("unknown_tool", self._unknown(name))
        begun = time.monotonic()
        try:
            values = tool.arguments.validate(arguments)
        except RequestError as exc:
            result = _failed("arguments", str(exc))
        except Exception as exc:  # a validator of the tool's own types may raise whatever it likes
            result = ToolResult.of_error(exc)
        else:
            limit = next((limit for limit in (timeout, tool.timeout, self._timeout) if limit is not None), None)
            result = await self._within(limit, name, partial(tool.aexecute, **values))
        return _logged(tool.name, result, time.monotonic() - begun)

    async def _within(self, limit: float | None, name: str, call: Callable[[], Awaitable[object]]) -> ToolResult:
        task = asyncio.ensure_future(_outcome(call))
        try:
            await asyncio.wait({task}, timeout=limit)
        except asyncio.CancelledError:
            await self._cancel(task)
            raise
        if not task.done():
            await self._cancel(task)
            return _failed(
                "timeout", f"{name!r} was not done within {limit:g} seconds and was given up. Go on without it."
            )
        return _failed("exception", f"{name!r} was cancelled from inside.") if task.cancelled() else task.result()

    async def _cancel(self, task: asyncio.Task[ToolResult]) -> None:
        """Cancel and give it a moment to clean up. What will not end is kept until it does, so that it has an owner."""
        self._stubborn.add(task)
        task.add_done_callback(self._stubborn.discard)
        task.cancel()
        await asyncio.wait({task}, timeout=GRACE)

    def _check(self, tool: BaseTool) -> None:
        if not isinstance(tool.name, str) or not _NAME.fullmatch(tool.name):
            raise ConfigError("name of a tool", tool.name, "1 to 64 of the characters A-Z, a-z, 0-9, '_' and '-'")
        if tool.name in self._tools:
            raise ConfigError("name of a tool", tool.name, "a name that no other tool of the registry has")
        if not isinstance(tool.description, str):
            raise ConfigError(f"description of tool {tool.name!r}", tool.description, "text")
        _check_timeout(tool.timeout)
        _ = tool.arguments
        together = [*self._tools.values(), tool]
        if any(other.reads_documents for other in together):
            for other in together:
                if other.leaves_machine and not other.allowed_with_documents:
                    raise ConfigError("tools", sorted(t.name for t in together), _not_with_documents(other))

    def _unknown(self, name: str) -> str:
        if not self._tools:
            return f"There is no tool {name!r}; the registry is empty."
        (nearest,) = difflib.get_close_matches(str(name), self._tools, n=1, cutoff=0.0)
        return f"There is no tool {name!r}. There are {', '.join(self._tools)}; the nearest name is {nearest}."

    def __getitem__(self, name: str) -> BaseTool:
        if name not in self._tools:
            raise RequestError(self._unknown(name))
        return self._tools[name]

    def __contains__(self, name: object) -> bool:
        return name in self._tools

    def __iter__(self) -> Iterator[BaseTool]:
        return iter(list(self._tools.values()))

    def __len__(self) -> int:
        return len(self._tools)

    def __repr__(self) -> str:
        return f"<ToolRegistry {', '.join(self._tools) or 'empty'}>"


async def _outcome(call: Callable[[], Awaitable[object]]) -> ToolResult:
    """What came of a call. Nothing is raised, so that asyncio has no exception of a tool to write into its log."""
    try:
        result = await call()
    except (Exception, SystemExit) as exc:
        return ToolResult.of_error(exc)
    return result if isinstance(result, ToolResult) else ToolResult(success=True, data=result)


def _failed(error_type: ErrorType, message: str) -> ToolResult:
    return ToolResult(success=False, error=message, metadata={"error_type": error_type})


def _logged(name: str, result: ToolResult, seconds: float) -> ToolResult:
    """The result with its duration. What was asked and answered is nobody's business and not logged."""
    if result.success:
        get_logger(TOOL).info("tool %r was done after %.3f s", name, seconds)
    else:
        kind = result.metadata.get("exception") or result.metadata.get("error_type", "no success")
        get_logger(TOOL).warning("tool %r failed after %.3f s: %s", name, seconds, kind)
    return dataclasses.replace(result, metadata={**result.metadata, "latency_seconds": seconds})


def _not_with_documents(tool: BaseTool) -> str:
    return (
        f"Tool {tool.name!r} sends what it is asked to somebody else, and a model that sees documents could ask what "
        "they say. Leave it out while documents are in scope, or allow it by name: allowed_with_documents=True"
    )


def _check_timeout(timeout: object) -> None:
    valid = isinstance(timeout, (int, float)) and not isinstance(timeout, bool) and math.isfinite(timeout)
    if timeout is not None and not (valid and timeout > 0):  # type: ignore[operator]
        raise ConfigError("timeout", timeout, "seconds above 0, or None for no limit")

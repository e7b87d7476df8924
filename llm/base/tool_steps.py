"""What a run of generations and tool calls stands on, and what it tells: one step, and the whole."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypedDict

from .messages import FinishReason, GenerateResult, StreamChunk, ToolCall, Usage
from .options import GenerateOptions

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ..tools.base import ToolResult


class ReplyStream(Protocol):
    """What `generate_stream` returns."""

    def __aiter__(self) -> AsyncIterator[StreamChunk]: ...
    async def __anext__(self) -> StreamChunk: ...
    async def aclose(self) -> None: ...


class Generator(Protocol):
    """What generates: a runner."""

    def generate_stream(self, **options: Unpack[GenerateOptions]) -> ReplyStream: ...


class Tools(Protocol):
    """What executes: a ToolRegistry."""

    def to_openai(self) -> list[dict[str, Any]]: ...
    async def aexecute(self, name: str, arguments: Mapping[str, Any]) -> ToolResult: ...
    def check_with_documents(self) -> None: ...


@dataclass(frozen=True)
class ToolOutcome:
    """A call and what came of it."""

    call: ToolCall
    result: ToolResult

    def __repr__(self) -> str:
        return f"<ToolOutcome {self.call['tool_name']} {'done' if self.result.success else 'failed'}>"


@dataclass(frozen=True)
class ToolStep:
    """One generation of a run, with the calls that it led to.

    Attributes:
        number: from 1.
        reply: what the model said, besides or instead of calls.
        reasoning: what it thought.
        outcomes: its calls, in its order, each with its result. Empty for an answer.
        usage: tokens of this generation.
        finish_reason: why it ended.
    """

    number: int
    reply: str = field(repr=False)
    reasoning: str = field(repr=False)
    outcomes: tuple[ToolOutcome, ...]
    usage: Usage
    finish_reason: FinishReason


class _RunAlways(TypedDict):
    messages: list[dict[str, Any]]
    steps: list[ToolStep]
    limit_reached: bool


class RunResult(GenerateResult, _RunAlways):
    """What a run returns: the answer as `generate` gives it, with `usage` and `latency_seconds` of the whole run.

    `messages` is the conversation with all calls and results and the answer, to be continued with ``messages=``.
    `limit_reached` says that the model had to answer because it had used up its steps.
    """


StepCallback = Callable[[ToolStep], Awaitable[None] | None]

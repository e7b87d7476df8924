"""The data that travels: messages in, chunks and results out. Plain dictionaries with declared keys."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, TypedDict

FinishReason = Literal["stop", "length", "tool_calls"]

ROLES = ("system", "user", "assistant", "tool")


class ToolCall(TypedDict):
    """A call that the model made. `args` are the parsed arguments; `tool_call_id` is unique in the process."""

    tool_name: str
    args: dict[str, Any]
    tool_call_id: str


class PartialToolCall(TypedDict):
    """A call that was not finished: the reply was cut within it, or what it has as arguments is no JSON object.

    `arguments` is the text that is there.
    """

    tool_name: str
    arguments: str
    tool_call_id: str


class Message(TypedDict, total=False):
    """One turn of a conversation.

    `tool_calls` may be written as this library returns them (ToolCall) or as OpenAI writes them
    (``{"id", "type": "function", "function": {"name", "arguments"}}``, arguments as dict or JSON text).
    A message of role ``tool`` carries a result: `content`, `tool_call_id`, and `name` of the tool.
    """

    role: Literal["system", "user", "assistant", "tool"]
    content: str
    reasoning: str
    tool_calls: list[dict[str, Any]]
    tool_call_id: str
    name: str


class Usage(TypedDict):
    """Counts in tokens. `cached_tokens` of the prompt were not computed again; `reasoning_tokens` of the completion
    were reasoning, with its markers."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    cached_tokens: int
    reasoning_tokens: int


class _ResultAlways(TypedDict):
    reply: str
    latency_seconds: float
    usage: Usage
    finish_reason: FinishReason


class GenerateResult(_ResultAlways, total=False):
    """What `generate` returns. The optional keys are there only when they hold something."""

    tool_calls: list[ToolCall]
    partial_tool_calls: list[PartialToolCall]
    reasoning: str
    context_used: str
    search_metadata: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """A piece of a call while the model writes it. The first one of a call has no arguments.

    Attributes:
        index: number of the call in the reply, from 0.
        tool_name: of the tool.
        tool_call_id: the same for all pieces. The complete call has it too, unless the model writes an id of its own
            behind the arguments.
        arguments: new JSON text of the arguments.
        withdrawn: what began as this call is none; it follows as text, and the next call takes its number.
    """

    index: int
    tool_name: str
    tool_call_id: str
    arguments: str = field(default="", repr=False)
    withdrawn: bool = False


@dataclass(frozen=True, slots=True)
class StreamChunk:
    """A piece of a streamed reply. The last one has `finished=True`, empty text and the totals.

    Attributes:
        text: new text of the reply.
        finished: True on the last chunk alone.
        reasoning: new text of the model's reasoning, kept apart from the reply.
        tool_call_delta: a piece of a call that is being written.
        tool_call: a call that has just been completed.
        partial_tool_call: a call that will not be completed.
        latency_seconds: time from the call to the end, on the last chunk.
        usage: token counts, on the last chunk.
        finish_reason: why generation ended, on the last chunk.
        tool_calls: all calls of the reply, on the last chunk.
        context_used: what retrieval put before the prompt, on the last chunk.
        search_metadata: where that came from, on the last chunk.
    """

    text: str = ""
    finished: bool = False
    reasoning: str = ""
    tool_call_delta: ToolCallDelta | None = None
    tool_call: ToolCall | None = None
    partial_tool_call: PartialToolCall | None = None
    latency_seconds: float | None = None
    usage: Usage | None = None
    finish_reason: FinishReason | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    context_used: str | None = None
    search_metadata: dict[str, Any] | None = None

    def __repr__(self) -> str:
        state = f"finished, {self.finish_reason}" if self.finished else f"{len(self.text)} characters"
        return f"<StreamChunk {state}>"

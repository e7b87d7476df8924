"""A reply as Pydantic AI reads it, while it is generated.

Invariants: the same reply gives the same parts however it is divided into chunks; white space alone is no part; the
usage is that of what has come so far, the prompt's tokens from the beginning, so that limits hold in the middle of a
reply; closing stops the generation at its next token.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from pydantic_ai.messages import FinishReason, ModelResponseStreamEvent
from pydantic_ai.models import StreamedResponse
from pydantic_ai.usage import RequestUsage

from ..base.generation_stream import GenerationStream
from ..base.messages import PartialToolCall, StreamChunk, ToolCall, ToolCallDelta, Usage
from ..exceptions import GenerationCancelledError
from .errors import mapped_errors

_FINISH_REASONS: dict[str, FinishReason] = {"stop": "stop", "length": "length", "tool_calls": "tool_call"}


def request_usage(usage: Usage) -> RequestUsage:
    """Counts as Pydantic AI has them. Tokens of a shared prefix, which were not computed again, count as read."""
    return RequestUsage(
        input_tokens=usage["prompt_tokens"],
        output_tokens=usage["completion_tokens"],
        cache_read_tokens=usage["cached_tokens"],
        output_reasoning_tokens=usage["reasoning_tokens"],
    )


@dataclass
class LocalStreamedResponse(StreamedResponse):
    """One reply.

    Args:
        stream: the generation.
        first: the chunk that has been read from it.
        name: of the model.
        provider: of the model.
        parallel: whether more than one call counts.
    """

    stream: GenerationStream
    first: StreamChunk
    name: str
    provider: str
    parallel: bool = True
    begun: datetime = field(default_factory=lambda: datetime.now(tz=timezone.utc))
    _usage_received: bool | None = field(default=False, init=False)

    def __post_init__(self) -> None:
        self._space = ""  # of a text that may turn out to be nothing else
        self._in_text = False
        self._call: _OpenCall | None = None
        self._calls = 0
        self._completed = 0
        self._count()

    @property
    def model_name(self) -> str:
        return self.name

    @property
    def provider_name(self) -> str:
        return self.provider

    @property
    def provider_url(self) -> None:
        return None

    @property
    def timestamp(self) -> datetime:
        return self.begun

    async def close_stream(self) -> None:
        """Stop the generation at its next token."""
        await self.stream.aclose()

    def get_stream_cancel_errors(self) -> tuple[type[BaseException], ...]:
        return (GenerationCancelledError,)

    async def _get_event_iterator(self) -> AsyncIterator[ModelResponseStreamEvent]:
        chunk: StreamChunk | None = self.first
        while chunk is not None:
            self._count()
            for event in self._events(chunk):
                yield event
            if chunk.finished:
                return
            with mapped_errors(self.name, in_stream=True):
                chunk = await anext(self.stream, None)

    def _count(self) -> None:
        if self.stream.usage is not None:
            self._add_usage(request_usage(self.stream.usage), reported=True, cumulative=True)

    def _events(self, chunk: StreamChunk) -> Iterator[ModelResponseStreamEvent]:
        if chunk.reasoning:
            yield from self._parts_manager.handle_thinking_delta(vendor_part_id=None, content=chunk.reasoning)
            self._end_text()
        if chunk.text:
            yield from self._text(chunk.text)
        if chunk.tool_call_delta is not None:
            yield from self._delta(chunk.tool_call_delta)
        if chunk.tool_call is not None:
            yield from self._complete(chunk.tool_call)
        if chunk.partial_tool_call is not None:
            yield from self._partial(chunk.partial_tool_call)
        if chunk.finished:
            yield from self._finish(chunk)

    def _text(self, text: str) -> Iterator[ModelResponseStreamEvent]:
        """Text; what is only white space waits for something to see."""
        text = self._space + text
        self._space = ""
        if not self._in_text and not text.strip():
            self._space = text
            return
        self._in_text = True
        yield from self._parts_manager.handle_text_delta(vendor_part_id=None, content=text)

    def _end_text(self) -> None:
        self._space = ""
        self._in_text = False

    # Calls. Pieces of a call go on the part that its first one opened.

    def _delta(self, delta: ToolCallDelta) -> Iterator[ModelResponseStreamEvent]:
        if self._call is None:
            self._end_text()
            self._call = _OpenCall(delta.tool_call_id, shown=self.parallel or not self._calls)
        call = self._call
        call.arguments += delta.arguments
        if call.shown:
            yield from self._parts_manager.handle_tool_call_delta_events(
                vendor_part_id=call.id,
                tool_name=None if call.opened else delta.tool_name,
                args=delta.arguments or None,
                tool_call_id=call.id,
            )
        call.opened = True
        if delta.withdrawn:  # its part has been seen and stays, as a call that cannot be read
            self._close()

    def _complete(self, made: ToolCall) -> Iterator[ModelResponseStreamEvent]:
        call = self._call
        arguments = json.dumps(made["args"], ensure_ascii=False)
        if call is not None and call.arguments and _same_json(call.arguments, made["args"]):
            arguments = call.arguments
        yield from self._end(made["tool_name"], made["tool_call_id"], arguments)
        self._completed += 1

    def _partial(self, partial: PartialToolCall) -> Iterator[ModelResponseStreamEvent]:
        yield from self._end(partial["tool_name"], partial["tool_call_id"], partial["arguments"])

    def _end(self, name: str, id_: str, arguments: str) -> Iterator[ModelResponseStreamEvent]:
        """The call under way has these arguments, as a whole."""
        if self._call is None:
            self._end_text()
            self._call = _OpenCall(id_, shown=self.parallel or not self._calls)
        call = self._call
        rest = arguments[len(call.arguments) :]
        if not call.shown or (call.opened and not rest and call.arguments == arguments):
            pass
        elif call.opened and arguments.startswith(call.arguments):
            yield from self._parts_manager.handle_tool_call_delta_events(
                vendor_part_id=call.id, args=rest, tool_call_id=call.id
            )
        else:  # a notation that is no JSON was shown; what it means takes its place
            yield self._parts_manager.handle_tool_call_part(
                vendor_part_id=call.id, tool_name=name, args=arguments, tool_call_id=call.id
            )
        self._close()

    def _close(self) -> None:
        self._call = None
        self._calls += 1

    def _finish(self, chunk: StreamChunk) -> Iterator[ModelResponseStreamEvent]:
        for made in chunk.tool_calls[self._completed :]:
            yield from self._complete(made)
        if chunk.finish_reason is not None:
            self.finish_reason = _FINISH_REASONS[chunk.finish_reason]
            self.provider_details = {"finish_reason": chunk.finish_reason}


@dataclass
class _OpenCall:
    """A call while it is written."""

    id: str
    shown: bool
    opened: bool = False
    arguments: str = ""


def _same_json(text: str, value: Any) -> bool:
    try:
        return bool(json.loads(text) == value)
    except ValueError:
        return False

"""Generate, call the tools that the model asked for, tell it what they said, and so on until it answers.

This knows no backend and no tool: it stands between something that generates and something that executes. Invariants:
every call that was executed has been read by the model before the run ends; the messages are a whole conversation at
every step, so that it can be continued; leaving in whatever way stops the generation, or the tools, that are under way.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from ..exceptions import GenerationTimeoutError, RequestError
from .messages import FinishReason, StreamChunk, ToolCall, Usage
from .options import GenerateOptions, Options
from .tool_steps import Generator, ReplyStream, RunResult, StepCallback, ToolOutcome, Tools, ToolStep

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ..tools.base import ToolResult

DEFAULT_MAX_STEPS = 8
DEFAULT_MAX_RESULT_CHARACTERS = 16_000


class ToolRun:
    """A run, read piece by piece: `async for chunk in run`, then `run.result`.

    The chunks are those of all generations. One with `tool_call` announces a call; text before it was not yet the
    answer. The calls are executed when the generation that made them has ended. Only the very last chunk is finished.

    Args:
        generator: what generates.
        tools: what executes.
        max_steps: how often the model may call tools, in parallel or not. Once they are used up it has to answer from
            what it has: tools are then switched off for one last generation.
        on_step: called after each generation and its calls; may be asynchronous. What it raises ends the run.
        max_result_characters: longer results are cut, and the model is told; None leaves them whole.
        documents_in_scope: whether the model sees documents; tools that send out what they are asked are then refused
            unless they are allowed by name.
        ended: called when the run has come to its end or was closed, perhaps more than once.
        **options: as for `generate`. `timeout` is for the whole run. A `tool_choice` that demands a call holds for the
            first generation only.

    Raises:
        RequestError: an option is wrong, or a tool is not allowed where documents are in scope.
    """

    def __init__(
        self,
        generator: Generator,
        tools: Tools,
        /,
        *,
        max_steps: int = DEFAULT_MAX_STEPS,
        on_step: StepCallback | None = None,
        max_result_characters: int | None = DEFAULT_MAX_RESULT_CHARACTERS,
        documents_in_scope: bool = False,
        ended: Callable[[], None] | None = None,
        **options: Unpack[GenerateOptions],
    ) -> None:
        for name, number in (("max_steps", max_steps), ("max_result_characters", max_result_characters)):
            if number is not None and (isinstance(number, bool) or not isinstance(number, int) or number < 1):
                raise RequestError(f"{name}={number!r} is not allowed: a whole number from 1.")
        if "tools" in options:
            raise RequestError("A run takes its tools as one registry, not as a list of definitions.")
        if documents_in_scope:
            tools.check_with_documents()
        checked = Options(**options)
        self._generator = generator
        self._tools = tools
        self._max_steps = max_steps
        self._on_step = on_step
        self._max_result_characters = max_result_characters
        self._ended = ended
        self._options = options
        self._messages = [
            dict(message) for message in checked.messages or [{"role": "user", "content": checked.prompt}]
        ]
        self._tool_choice = checked.tool_choice
        self._begun = time.monotonic()
        self._deadline = None if checked.timeout is None else self._begun + checked.timeout
        self._definitions = tools.to_openai()
        self._steps: list[ToolStep] = []
        self._context: dict[str, Any] = {}  # what stood before the prompt, as the generation that used it says
        self._reply: _Reply | None = None
        self._result: RunResult | None = None
        self._closed = False

    @property
    def result(self) -> RunResult:
        """What the run came to.

        Raises:
            RequestError: it has not been read to its end.
        """
        if self._result is None:
            raise RequestError("The run has no result before its last chunk was read.")
        return self._result

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The conversation so far, which can be continued even where the run ended in an error."""
        return list(self._messages)

    @property
    def steps(self) -> list[ToolStep]:
        """The steps so far."""
        return list(self._steps)

    def __aiter__(self) -> ToolRun:
        return self

    async def __anext__(self) -> StreamChunk:
        """The next chunk; executes tools on the way to it.

        Raises:
            LLMError: as for `generate`; GenerationTimeoutError also where tools took the time.
        """
        if self._closed:
            raise StopAsyncIteration
        try:
            while True:
                if self._reply is None:
                    self._reply = self._generate()
                chunk = await self._reply.next_chunk()
                if not chunk.finished:
                    return chunk
                reply, self._reply = self._reply, None
                self._context |= _context_of(chunk)
                if not reply.calls or reply.is_last:
                    return await self._finish(reply, chunk)
                await self._call_tools(reply)
        except BaseException:
            await self.aclose()
            raise

    async def to_end(self) -> RunResult:
        """Read the rest without looking at it, and close the run whatever happens.

        Returns:
            What the run came to.

        Raises:
            As `__anext__`.
        """
        async with self:
            async for _ in self:
                pass
        return self.result

    async def aclose(self) -> None:
        """Stop at the next token and hand out nothing more. Calling it again does nothing."""
        self._closed = True
        reply, self._reply = self._reply, None
        try:
            if reply is not None:
                await reply.stream.aclose()
        finally:
            if self._ended is not None:
                self._ended()

    async def __aenter__(self) -> ToolRun:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def _generate(self) -> _Reply:
        is_last = len(self._steps) >= self._max_steps
        options = cast("GenerateOptions", dict(self._options))
        options.pop("prompt", None)
        options["messages"] = list(self._messages)
        if self._definitions:
            options["tools"] = self._definitions
            options["tool_choice"] = "none" if is_last else self._tool_choice
        if self._deadline is not None:
            options["timeout"] = self._remaining()
        return _Reply(self._generator.generate_stream(**options), is_last=is_last)

    async def _call_tools(self, reply: _Reply) -> None:
        calls = reply.calls
        results = await self._execute(calls)
        self._messages.append(reply.message)
        self._messages += [
            _result_message(call, result, self._max_result_characters)
            for call, result in zip(calls, results, strict=True)
        ]
        if self._tool_choice != "none":
            self._tool_choice = "auto"
        await self._note(reply, tuple(map(ToolOutcome, calls, results)))

    async def _finish(self, reply: _Reply, chunk: StreamChunk) -> StreamChunk:
        self._closed = True
        self._messages.append(reply.message)
        await self._note(reply, ())
        usage = _total([step.usage for step in self._steps])
        seconds = time.monotonic() - self._begun
        result: RunResult = {
            "reply": reply.text,
            "latency_seconds": seconds,
            "usage": usage,
            "finish_reason": reply.finish_reason,
            "messages": self._messages,
            "steps": self._steps,
            "limit_reached": reply.is_last and bool(self._definitions),
        }
        if reply.calls:
            result["tool_calls"] = list(reply.calls)
        if reply.reasoning:
            result["reasoning"] = reply.reasoning
        if "context_used" in self._context:
            result["context_used"] = self._context["context_used"]
        if "search_metadata" in self._context:
            result["search_metadata"] = self._context["search_metadata"]
        self._result = result
        if self._ended is not None:
            self._ended()
        return replace(chunk, usage=usage, latency_seconds=seconds, **self._context)

    async def _note(self, reply: _Reply, outcomes: tuple[ToolOutcome, ...]) -> None:
        step = ToolStep(len(self._steps) + 1, reply.text, reply.reasoning, outcomes, reply.usage, reply.finish_reason)
        self._steps.append(step)
        if self._on_step is not None:
            answer = self._on_step(step)
            if inspect.isawaitable(answer):
                await answer

    async def _execute(self, calls: Sequence[ToolCall]) -> list[ToolResult]:
        """All calls at once, but not past the end of the run's time."""
        limit = None if self._deadline is None else self._remaining()
        work = asyncio.gather(*(self._tools.aexecute(call["tool_name"], call["args"]) for call in calls))
        try:
            return await asyncio.wait_for(work, limit)
        except asyncio.TimeoutError as exc:
            raise self._too_late() from exc

    def _remaining(self) -> float:
        assert self._deadline is not None
        seconds = self._deadline - time.monotonic()
        if seconds <= 0:
            raise self._too_late()
        return seconds

    def _too_late(self) -> GenerationTimeoutError:
        return GenerationTimeoutError(
            f"The run was not finished within timeout={self._options.get('timeout'):g} seconds; it was at step "
            f"{len(self._steps) + 1}. Allow more time, fewer steps, or set the tools a shorter limit."
        )


class _Reply:
    """One generation while it is read, and what it came to."""

    def __init__(self, stream: ReplyStream, *, is_last: bool) -> None:
        self.stream = stream
        self.is_last = is_last
        self._texts: list[str] = []
        self._reasoning: list[str] = []
        self._end: StreamChunk | None = None

    async def next_chunk(self) -> StreamChunk:
        chunk = await self.stream.__anext__()
        self._texts.append(chunk.text)
        self._reasoning.append(chunk.reasoning)
        if chunk.finished:
            self._end = chunk
        return chunk

    @property
    def text(self) -> str:
        return "".join(self._texts)

    @property
    def reasoning(self) -> str:
        return "".join(self._reasoning)

    @property
    def calls(self) -> Sequence[ToolCall]:
        return self._finished.tool_calls

    @property
    def usage(self) -> Usage:
        usage = self._finished.usage
        assert usage is not None
        return usage

    @property
    def finish_reason(self) -> FinishReason:
        reason = self._finished.finish_reason
        assert reason is not None
        return reason

    @property
    def message(self) -> dict[str, Any]:
        """The reply as a message of the conversation."""
        message: dict[str, Any] = {"role": "assistant", "content": self.text}
        if self.reasoning:
            message["reasoning"] = self.reasoning
        # A call that was not executed has no result, and a conversation with it could not be continued.
        if self.calls and not self.is_last:
            message["tool_calls"] = list(self.calls)
        return message

    @property
    def _finished(self) -> StreamChunk:
        assert self._end is not None
        return self._end


def _result_message(call: ToolCall, result: ToolResult, longest: int | None) -> dict[str, Any]:
    text = result.text
    if longest is not None and len(text) > longest:
        text = f"{text[:longest]}\n[Cut: the first {longest} of {len(text)} characters.]"
    return {"role": "tool", "tool_call_id": call["tool_call_id"], "name": call["tool_name"], "content": text}


def _context_of(chunk: StreamChunk) -> dict[str, Any]:
    context = {"context_used": chunk.context_used, "search_metadata": chunk.search_metadata}
    return {name: value for name, value in context.items() if value is not None}


def _total(usages: Sequence[Usage]) -> Usage:
    return Usage(
        prompt_tokens=sum(usage["prompt_tokens"] for usage in usages),
        completion_tokens=sum(usage["completion_tokens"] for usage in usages),
        total_tokens=sum(usage["total_tokens"] for usage in usages),
        cached_tokens=sum(usage["cached_tokens"] for usage in usages),
        reasoning_tokens=sum(usage["reasoning_tokens"] for usage in usages),
    )

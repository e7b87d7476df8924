"""From an engine's tokens to the chunks of a reply: bytes to text, stop strings, reasoning and tool calls apart.

Pure: no clock of its own, no event loop, no engine. The same outputs give the same text however they are divided.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..chat.detokenizer import Detokenizer
from ..chat.reply_event import ReplyEvent
from ..chat.response_parser import ResponseParser
from ..chat.stop_strings import StopScanner
from ..chat.tokenizer import Tokenizer
from ..engine.request import EngineOutput
from .messages import FinishReason, PartialToolCall, StreamChunk, ToolCall, ToolCallDelta, Usage


class ReplyDecoder:
    """Decodes one reply.

    Args:
        tokenizer: of the model.
        parser: tells reply, reasoning and calls apart; None takes all text as the reply.
        stops: texts that end the reply.
        prompt_tokens: length of the prompt, for the usage.
        elapsed: seconds since the call.
        context_used, search_metadata: handed out with the last chunk.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        *,
        parser: ResponseParser | None,
        stops: Sequence[str],
        prompt_tokens: int,
        elapsed: Callable[[], float],
        context_used: str | None = None,
        search_metadata: dict[str, Any] | None = None,
    ) -> None:
        self._detokenizer = Detokenizer(tokenizer)
        self._scanner = StopScanner(stops)
        self._parser = parser
        self._prompt_tokens = prompt_tokens
        self._completion_tokens = 0
        self._cached_tokens = 0
        self._reasoning = ReasoningCount(within=parser is not None and parser.thinking)
        self._elapsed = elapsed
        self._calls: list[ToolCall] = []
        self._context_used = context_used
        self._search_metadata = search_metadata

    @property
    def usage(self) -> Usage:
        """Counts so far."""
        return {
            "prompt_tokens": self._prompt_tokens,
            "completion_tokens": self._completion_tokens,
            "total_tokens": self._prompt_tokens + self._completion_tokens,
            "cached_tokens": self._cached_tokens,
            "reasoning_tokens": self._reasoning.tokens,
        }

    def feed(self, output: EngineOutput) -> list[StreamChunk]:
        """Chunks that are certain after this output. The last one is finished when the reply has ended."""
        self._cached_tokens = output.cached_tokens
        chunks: list[StreamChunk] = []
        at = 0
        while at < len(output.tokens) and not self._scanner.stopped:
            # One by one as long as it may be reasoning, so that its tokens are counted however they arrive.
            end = len(output.tokens) if self._parser is None or self._reasoning.over else at + 1
            before = self._completion_tokens
            text = self._take(output.tokens[at:end])
            events = self._events(text)
            thinking = self._parser is not None and self._parser.thinking
            self._reasoning.observe(self._completion_tokens - before, within=thinking, silent=not events)
            chunks += self._chunks(events)
            at = end
        if output.finish is None and not self._scanner.stopped:
            return chunks
        rest = "" if self._scanner.stopped else self._scanner.feed(self._detokenizer.finish()) + self._scanner.finish()
        events = self._events(rest)
        if self._parser is not None:
            events += self._parser.finish()
        chunks += self._chunks(events)
        reason: FinishReason = "stop" if self._scanner.stopped or output.finish == "stop" else "length"
        return [*chunks, self._last_chunk(reason)]

    def _take(self, tokens: Sequence[int]) -> str:
        """Decode token by token, so that a stop string ends the count where it ends the text."""
        text = ""
        for token in tokens:
            if self._scanner.stopped:
                break
            self._completion_tokens += 1
            text += self._scanner.feed(self._detokenizer.feed((token,)))
        return text

    def _events(self, text: str) -> list[ReplyEvent]:
        if self._parser is None:
            return [ReplyEvent("text", text)] if text else []
        return self._parser.feed(text) if text else []

    def _chunks(self, events: Sequence[ReplyEvent]) -> list[StreamChunk]:
        chunks = []
        for event in events:
            if event.kind == "text":
                chunks.append(StreamChunk(event.text))
            elif event.kind == "reasoning":
                chunks.append(StreamChunk(reasoning=event.text))
            elif event.kind == "call" and event.call is not None:
                self._calls.append(event.call)
                chunks.append(StreamChunk(tool_call=event.call))
            elif event.kind in ("call_partial", "call_malformed"):
                unfinished = PartialToolCall(tool_name=event.name, arguments=event.text, tool_call_id=event.call_id)
                chunks.append(StreamChunk(partial_tool_call=unfinished))
            else:
                chunks.append(StreamChunk(tool_call_delta=_delta(event)))
        return chunks

    def _last_chunk(self, reason: FinishReason) -> StreamChunk:
        return StreamChunk(
            finished=True,
            latency_seconds=self._elapsed(),
            usage=self.usage,
            finish_reason="tool_calls" if self._calls and reason == "stop" else reason,
            tool_calls=tuple(self._calls),
            context_used=self._context_used,
            search_metadata=self._search_metadata,
        )


class ReasoningCount:
    """How many tokens of a reply are reasoning and its markers.

    Args:
        within: the prompt has opened the reasoning.

    Attributes:
        tokens: of the reasoning.
        over: the reply has begun.
    """

    def __init__(self, *, within: bool) -> None:
        self.tokens = 0
        self.over = False
        self._within = within
        self._silent = 0  # tokens that may turn out to be the opening marker

    def observe(self, tokens: int, *, within: bool, silent: bool) -> None:
        """So many tokens have been read, nothing came of them if `silent`, and reasoning goes on if `within`."""
        if within or self._within:
            self.tokens += self._silent + tokens
            self._silent = 0
        elif silent:
            self._silent += tokens
        else:
            self._silent, self.over = 0, True
        self._within = within


def _delta(event: ReplyEvent) -> ToolCallDelta:
    withdrawn = event.kind == "call_lost"
    return ToolCallDelta(event.index, event.name, event.call_id, "" if withdrawn else event.text, withdrawn)

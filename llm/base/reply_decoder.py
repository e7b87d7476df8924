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
        self._elapsed = elapsed
        self._calls: list[ToolCall] = []
        self._context_used = context_used
        self._search_metadata = search_metadata

    def feed(self, output: EngineOutput) -> list[StreamChunk]:
        """Chunks that are certain after this output. The last one is finished when the reply has ended."""
        text = self._take(output.tokens)
        finished = output.finish is not None or self._scanner.stopped
        if output.finish is not None and not self._scanner.stopped:
            text += self._scanner.feed(self._detokenizer.finish()) + self._scanner.finish()
        chunks = self._parse(text, finished=finished)
        if finished:
            reason: FinishReason = "stop" if self._scanner.stopped or output.finish == "stop" else "length"
            chunks.append(self._last_chunk(reason, output.cached_tokens))
        return chunks

    def _take(self, tokens: Sequence[int]) -> str:
        """Decode token by token, so that a stop string ends the count where it ends the text."""
        text = ""
        for token in tokens:
            if self._scanner.stopped:
                break
            self._completion_tokens += 1
            text += self._scanner.feed(self._detokenizer.feed((token,)))
        return text

    def _parse(self, text: str, *, finished: bool) -> list[StreamChunk]:
        if self._parser is None:
            return [StreamChunk(text)] if text else []
        events = self._parser.feed(text) if text else []
        if finished:
            events = [*events, *self._parser.finish()]
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

    def _last_chunk(self, reason: FinishReason, cached_tokens: int) -> StreamChunk:
        usage: Usage = {
            "prompt_tokens": self._prompt_tokens,
            "completion_tokens": self._completion_tokens,
            "total_tokens": self._prompt_tokens + self._completion_tokens,
            "cached_tokens": cached_tokens,
        }
        return StreamChunk(
            finished=True,
            latency_seconds=self._elapsed(),
            usage=usage,
            finish_reason="tool_calls" if self._calls and reason == "stop" else reason,
            tool_calls=tuple(self._calls),
            context_used=self._context_used,
            search_metadata=self._search_metadata,
        )


def _delta(event: ReplyEvent) -> ToolCallDelta:
    withdrawn = event.kind == "call_lost"
    return ToolCallDelta(event.index, event.name, event.call_id, "" if withdrawn else event.text, withdrawn)

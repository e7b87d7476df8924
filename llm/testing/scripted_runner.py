"""A runner whose model is a function: for tests of agents and of whatever else stands on a runner.

    runner = ScriptedRunner(lambda messages, tools, settings: "Hello!", wire_format="hermes", chunking=3)
    Agent(LocalLLMModel(runner))

Template, parser, stream and runner are the real ones. There is no engine, no thread and no device: what the function
writes is handed out piece by piece on the event loop, one piece every other time around it: as with a real model, the
reader mostly waits, which is when it can be cancelled. Every byte is a token, so that a token count is the length of a
text.
"""

from __future__ import annotations

import asyncio
import inspect
import random
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal, cast

from ..base.generation_stream import OpenReply
from ..base.llm_runner import LLMRunner
from ..base.options import Options
from ..base.text_model import TextModel
from ..engine.request import EngineOutput, EngineRequest
from ..engine.token_stream import TokenStream
from ..exceptions import ContextWindowError
from ..grammar.constraint import GrammarCompiler
from ..llm_config import LLMConfig
from .scripted_model import ByteTokenizer
from .wire_formats import WireFormat, chat_format, write_reply

if TYPE_CHECKING:
    from ..base.retrieval import Found
    from ..pool.model_handle import ModelHandle
    from ..session.turn import Turn


@dataclass(frozen=True, kw_only=True)
class ScriptedReply:
    """A reply by its parts; the runner writes it in its wire format.

    Args:
        text: what the model says.
        reasoning: what it thinks before.
        calls: (tool, arguments) pairs; arguments given as text are written as they are, be they JSON or not.
        finish: "length" for a reply that the limit of tokens has cut.
        error: raised when all of it has been handed out.
    """

    text: str = ""
    reasoning: str = ""
    calls: Sequence[tuple[str, Mapping[str, object] | str]] = ()
    finish: Literal["stop", "length"] = "stop"
    error: Exception | None = None


Reply = str | ScriptedReply
Script = Callable[[list[dict[str, Any]], list[dict[str, Any]], dict[str, Any]], Reply | Awaitable[Reply]]
"""From messages, tools and all other options that were given to the raw text of the reply, or its parts."""
Chunking = int | random.Random | Callable[[bytes], Iterable[bytes]]
"""Bytes of a piece, a source of random sizes, or a function that divides the bytes."""


class ScriptedRunner(LLMRunner):
    """A runner on a script.

    Args:
        script: what the model writes. May be asynchronous; what it raises, the caller gets.
        wire_format: the format of its calls: "hermes", "list", "parameters", or "plain" for one that knows no tools.
        chunking: how the reply is divided.
        context_window: tokens that prompt and reply may have together.
        max_new_tokens: the most tokens of a reply for which nothing else is asked.
        checked: a reply that the constraint of its request does not allow is an AssertionError.
        model_name: what it is called.

    Attributes:
        prompts: what the model has read, in order.
        requests: the script's arguments, in order.
        running: requests under way.
        handed_out: bytes of all replies that have been handed out.
    """

    def __init__(
        self,
        script: Script,
        *,
        wire_format: WireFormat = "hermes",
        chunking: Chunking = 4,
        context_window: int = 1_000_000,
        max_new_tokens: int = 200_000,
        checked: bool = False,
        model_name: str = "scripted",
    ) -> None:
        self.wire_format = wire_format
        self.prompts: list[str] = []
        self.requests: list[tuple[list[dict[str, Any]], list[dict[str, Any]], dict[str, Any]]] = []
        self._script = script
        self._engine = _ScriptedEngine(chunking, checked=checked, window=context_window)
        config = LLMConfig(model_name=model_name, n_ctx=context_window, max_new_tokens=max_new_tokens, temperature=0.0)
        handle = _ScriptedHandle(config, _Model(self._engine, chat_format(wire_format), context_window))
        super().__init__(cast("ModelHandle", handle))

    @property
    def running(self) -> int:
        return self._engine.running

    @property
    def handed_out(self) -> int:
        return self._engine.handed_out

    async def _open(
        self, options: Options, begun: float, turn: Turn | None = None, found: Found | None = None
    ) -> OpenReply:
        arguments = (options.conversation(), [dict(tool) for tool in options.tools or ()], _given(options))
        self.requests.append(arguments)
        reply = self._script(*arguments)
        if inspect.isawaitable(reply):
            reply = await reply
        return await _Speaking(self, reply)._open(options, begun, turn, found)


class _Speaking(LLMRunner):
    """The runner for one request, whose reply is known."""

    def __init__(self, runner: ScriptedRunner, reply: Reply) -> None:
        super().__init__(runner._handle)
        self._runner = runner
        self._reply = reply if isinstance(reply, ScriptedReply) else ScriptedReply()
        self._raw = reply if isinstance(reply, str) else self._written(reply)

    def _written(self, reply: ScriptedReply) -> str:
        return write_reply(
            self._runner.wire_format,
            text=reply.text,
            reasoning=reply.reasoning,
            calls=reply.calls,
            cut=reply.finish == "length",
        )

    def _submit(self, model: TextModel, request: EngineRequest) -> TokenStream:  # noqa: ARG002 - has no engine
        self._runner.prompts.append(ByteTokenizer().text(request.prompt))
        return self._runner._engine.speak(request, self._raw.encode(), self._reply)


def _given(options: Options) -> dict[str, Any]:
    """The options that differ from their defaults, without messages and tools."""
    left_out = ("prompt", "messages", "instructions", "tools")
    values = {f.name: getattr(options, f.name) for f in fields(options) if f.name not in left_out}
    defaults = {f.name: f.default for f in fields(options)}
    return {name: value for name, value in values.items() if value != defaults[name]}


@dataclass(frozen=True)
class _Model:
    """What of a TextModel a runner uses."""

    engine: _ScriptedEngine
    chat: Any
    context_window: int
    tokenizer: ByteTokenizer = field(default_factory=ByteTokenizer)


@dataclass(frozen=True)
class _ScriptedHandle:
    """A lease that nobody has to give back."""

    config: LLMConfig
    model: _Model

    def track(self, stop: Callable[[], object]) -> None:
        """Nothing ends this lease."""

    def untrack(self, stop: Callable[[], object]) -> None:
        """Nothing ends this lease."""

    def mark_broken(self) -> None:
        """There is nothing to load anew."""


class _ScriptedEngine:
    def __init__(self, chunking: Chunking, *, checked: bool, window: int) -> None:
        self._chunking = chunking
        self._compiler = GrammarCompiler(ByteTokenizer()) if checked else None
        self._window = window
        self._read: list[tuple[int, ...]] = []
        self.running = 0
        self.handed_out = 0

    def validate(self, request: EngineRequest) -> None:
        if len(request.prompt) >= self._window:
            raise ContextWindowError(len(request.prompt), self._window)

    def speak(self, request: EngineRequest, raw: bytes, reply: ScriptedReply) -> TokenStream:
        """A stream of that reply, as far as the request allows it."""
        limit = min(request.max_tokens, self._window - len(request.prompt))
        finish = reply.finish if len(raw) <= limit else "length"
        raw = raw[:limit]
        if self._compiler is not None and request.grammar is not None:
            self._check(request.grammar, raw, whole=finish == "stop")
        stream = TokenStream(asyncio.get_running_loop())
        last = (
            EngineOutput(error=reply.error)
            if reply.error is not None
            else EngineOutput(finish=finish, cached_tokens=self._cached(request.prompt))
        )
        self._read.append((*request.prompt, *raw))
        self.running += 1
        stream.loop.call_soon(self._hand_out, stream, iter(self._divided(raw)), last)
        return stream

    def _hand_out(self, stream: TokenStream, pieces: Iterator[bytes], last: EngineOutput) -> None:
        piece = None if stream.stop_reason is not None else next(pieces, None)
        if piece is None:
            self.running -= 1
            stream.hand_out(last if stream.stop_reason is None else EngineOutput(error=stream.stop_reason))
            return
        self.handed_out += len(piece)
        stream.hand_out(EngineOutput(tuple(piece)))
        stream.loop.call_soon(stream.loop.call_soon, self._hand_out, stream, pieces, last)

    def _divided(self, raw: bytes) -> Iterator[bytes]:
        if callable(self._chunking):
            yield from self._chunking(raw)
            return
        while raw:
            size = self._chunking if isinstance(self._chunking, int) else self._chunking.randint(1, 12)
            yield raw[:size]
            raw = raw[size:]

    def _cached(self, prompt: tuple[int, ...]) -> int:
        """How much of the prompt is the beginning of something that was read or written before."""
        return max((_shared(prompt, before) for before in self._read), default=0)

    def _check(self, grammar: str, raw: bytes, *, whole: bool) -> None:
        assert self._compiler is not None
        constraint = self._compiler(grammar)
        for at, token in enumerate(raw):
            assert constraint.allows(token), f"the constraint forbids the reply from its byte {at} on"
            constraint.advance(token)
        end = min(ByteTokenizer.end_tokens)
        assert not whole or constraint.finished or constraint.allows(end), "the constraint does not let the reply end"


def _shared(first: Sequence[int], second: Sequence[int]) -> int:
    length = min(len(first), len(second))
    return next((at for at in range(length) if first[at] != second[at]), length)

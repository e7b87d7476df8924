"""The public face of one leased model: messages in, replies out.

All that backends have in common is here. A request is prepared on a worker thread, the engine computes on its own, and
the event loop only moves results.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, cast

from ..engine.request import EngineRequest
from ..engine.token_stream import TokenStream
from ..exceptions import (
    EngineClosedError,
    EngineFailedError,
    HandleReleasedError,
    PoolClosedError,
    PoolError,
)
from .abilities import Abilities
from .generation_stream import GenerationStream, OpenReply
from .messages import GenerateResult, PartialToolCall
from .options import GenerateOptions, Options, RunOptions
from .reply_decoder import ReplyDecoder
from .request_preparation import encode_request, prepare_request
from .retrieval import Found, Retrieval
from .text_model import TextModel
from .tool_loop import DEFAULT_MAX_RESULT_CHARACTERS, DEFAULT_MAX_STEPS, ToolRun
from .tool_steps import RunResult, StepCallback, Tools

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ..knowledge.knowledge_store import KnowledgeStore
    from ..pool.model_handle import ModelHandle
    from ..session.conversation import Conversation
    from ..session.floor import Floor
    from ..session.turn import Turn
    from ..tools.base import ToolResult


class LLMRunner:
    """Generates with the model under a lease. Cheap to make; any number of calls may run at once.

    Args:
        handle: the lease. When it is given back, what still runs is stopped with GenerationCancelledError.
        knowledge_store: documents that replies may be taken from; see `set_document_scope` and `search`.
        session: a conversation to go on with. Each call answers its history and becomes a turn of it.
    """

    def __init__(
        self,
        handle: ModelHandle,
        *,
        knowledge_store: KnowledgeStore | None = None,
        session: Conversation | None = None,
    ) -> None:
        self._handle = handle
        self._session = session
        self._retrieval = Retrieval(knowledge_store, session, top_k=handle.config.max_search_results)

    def set_document_scope(self, document_ids: Iterable[str] | None) -> None:
        """Say which documents replies may see from now on: exactly these, and none where there are no ids.

        From then on each generation without tools looks for its own prompt in them. With a session this becomes the
        session's scope. What a search found before is forgotten.

        Args:
            document_ids: of the knowledge store; None takes the scope away, and nothing is looked for unasked.

        Raises:
            RequestError: it is not a set of ids.
        """
        self._retrieval.set_scope(document_ids)

    def search(self, query: str, top_k: int | None = None) -> ToolResult:
        """Look for passages in the documents of the scope; blocks, for milliseconds. `asearch` does not.

        What is found becomes the context of the generation that begins next, and of no other.

        Args:
            query: in words.
            top_k: the most passages; None takes `max_search_results` of the configuration.

        Returns:
            `data` is the passages as text, ``metadata["results"]`` a list of them with their citations. Without a scope
            all documents are searched, and with an empty one none. A store that cannot answer is a result without
            success.

        Raises:
            RequestError: an argument is wrong.
        """
        return self._retrieval.search(query, top_k)

    async def asearch(self, query: str, top_k: int | None = None) -> ToolResult:
        """The same as `search` on a worker thread."""
        return await asyncio.to_thread(self._retrieval.search, query, top_k)

    async def generate(self, **options: Unpack[GenerateOptions]) -> GenerateResult:
        """Generate a whole reply.

        Args:
            **options: see Options. `prompt` or `messages` is needed, everything else has a default.

        Returns:
            `reply`, `latency_seconds`, `usage`, `finish_reason`, and where there are any `tool_calls`, `reasoning`;
            with documents also `context_used` and `search_metadata`, whose "results" are the citations.

        Raises:
            RequestError: an argument is wrong; ContextWindowError when the prompt is too long.
            GenerationError: generation ended without an answer: timeout, closed model, full queue.
            HandleReleasedError: the lease was given back before.
            SessionError: the session cannot be read or the turn not be stored. A call that raises leaves no turn.
            KnowledgeError: the documents in scope cannot be searched.
        """
        reply: list[str] = []
        reasoning: list[str] = []
        partial_calls: list[PartialToolCall] = []
        async with self._stream(Options(**options), self._retrieval.take(), keep_interrupted=False) as stream:
            async for chunk in stream:
                reply.append(chunk.text)
                reasoning.append(chunk.reasoning)
                if chunk.partial_tool_call is not None:
                    partial_calls.append(chunk.partial_tool_call)
        assert chunk.latency_seconds is not None
        assert chunk.usage is not None
        assert chunk.finish_reason is not None
        result: GenerateResult = {
            "reply": "".join(reply),
            "latency_seconds": chunk.latency_seconds,
            "usage": chunk.usage,
            "finish_reason": chunk.finish_reason,
        }
        if chunk.tool_calls:
            result["tool_calls"] = list(chunk.tool_calls)
        if partial_calls:
            result["partial_tool_calls"] = partial_calls
        if any(reasoning):
            result["reasoning"] = "".join(reasoning)
        if chunk.context_used is not None:
            result["context_used"] = chunk.context_used
        if chunk.search_metadata is not None:
            result["search_metadata"] = chunk.search_metadata
        return result

    def generate_stream(self, **options: Unpack[GenerateOptions]) -> GenerationStream:
        """Generate a reply piece by piece: `async for chunk in runner.generate_stream(prompt=...)`.

        The texts joined are what `generate` returns as reply. Leaving the loop stops the generation.

        Args:
            **options: as for `generate`.

        Raises:
            RequestError: an argument is wrong. What only the model can judge is raised by the first chunk.
        """
        return self._stream(Options(**options), self._retrieval.take(), keep_interrupted=True)

    async def run(
        self,
        *,
        tools: Tools,
        max_steps: int = DEFAULT_MAX_STEPS,
        on_step: StepCallback | None = None,
        max_result_characters: int | None = DEFAULT_MAX_RESULT_CHARACTERS,
        documents_in_scope: bool = False,
        **options: Unpack[RunOptions],
    ) -> RunResult:
        """Generate, execute the tools that the model calls, tell it what they said, until it answers; see ToolRun.

        Raises:
            RequestError: an option is wrong, or a tool is not allowed where documents are in scope.
            GenerationError: a generation, or the run in the time it was given, ended without an answer.
        """
        run = self.run_stream(
            tools=tools,
            max_steps=max_steps,
            on_step=on_step,
            max_result_characters=max_result_characters,
            documents_in_scope=documents_in_scope,
            **options,
        )
        return await run.to_end()

    def run_stream(
        self,
        *,
        tools: Tools,
        max_steps: int = DEFAULT_MAX_STEPS,
        on_step: StepCallback | None = None,
        max_result_characters: int | None = DEFAULT_MAX_RESULT_CHARACTERS,
        documents_in_scope: bool = False,
        **options: Unpack[RunOptions],
    ) -> ToolRun:
        """The same piece by piece: `async for chunk in run`, then `run.result`.

        With a session, nobody else has a turn of it before the run has ended. What a search has found is the context of
        all its generations; beyond that, documents are for a KnowledgeSearchTool to look into.
        """
        floor = None if self._session is None else self._session.floor()
        documents_in_scope = documents_in_scope or self._retrieval.in_use
        return ToolRun(
            _Speaker(self, floor, self._retrieval.take()),
            tools,
            max_steps=max_steps,
            on_step=on_step,
            max_result_characters=max_result_characters,
            documents_in_scope=documents_in_scope,
            ended=None if floor is None else floor.give_up,
            **options,
        )

    async def count_tokens(self, **options: Unpack[GenerateOptions]) -> int:
        """How many tokens the prompt of a request has, exactly: rendered and encoded, but not computed.

        A session's history does not count.

        Args:
            **options: as for `generate`.

        Raises:
            RequestError: an argument is wrong, or the template refuses the messages.
        """
        checked = Options(**options)
        _, prompt = await asyncio.to_thread(encode_request, self._model, checked)
        return len(prompt)

    def supports_function_calling(self) -> bool:
        """Whether the model's own chat template knows tools. Without, calls are made in a generic format."""
        return self._model.chat.syntax.native

    @property
    def context_window(self) -> int:
        """The most tokens that prompt and reply may have together."""
        return self._model.context_window

    @property
    def abilities(self) -> Abilities:
        """What the model can do."""
        return Abilities.of(self._model.chat, context_window=self.context_window)

    @property
    def model_name(self) -> str:
        """What was asked for in the configuration."""
        return self._handle.config.model_name

    @property
    def _model(self) -> TextModel:
        return cast(TextModel, self._handle.model)

    def _stream(
        self, options: Options, found: Found | None, *, keep_interrupted: bool, floor: Floor | None = None
    ) -> GenerationStream:
        begun = time.monotonic()
        if self._session is None:
            return GenerationStream(lambda: self._open(options, begun, found=found), timeout=options.timeout)
        return self._session.stream(
            lambda turn: self._open(options, begun, turn, found),
            timeout=options.timeout,
            keep_interrupted=keep_interrupted,
            floor=floor,
        )

    async def _open(
        self, options: Options, begun: float, turn: Turn | None = None, found: Found | None = None
    ) -> OpenReply:
        model = self._model
        if turn is not None:
            await self._begin(turn, options)
        found = await asyncio.to_thread(self._retrieval.for_reply, options, found)
        prepare = partial(prepare_request, model, self._handle.config, options, turn, found)
        prepared = await asyncio.to_thread(prepare)
        if turn is not None and turn.wants_summary:
            await turn.summarize(LLMRunner(self._handle).generate, window=model.context_window)
            prepared = await asyncio.to_thread(prepare)
        outputs = self._submit(model, prepared.request)
        decoder = ReplyDecoder(
            model.tokenizer,
            parser=prepared.parser,
            stops=prepared.stops,
            prompt_tokens=len(prepared.request.prompt),
            elapsed=lambda: time.monotonic() - begun,
            context_used=prepared.context_used,
            search_metadata=prepared.search_metadata,
        )
        return OpenReply(outputs, decoder, partial(_ended, self._handle, outputs))

    async def _begin(self, turn: Turn, options: Options) -> None:
        """Begin a turn, to be left when the lease is given back."""
        await turn.begin(timeout=options.timeout)
        self._handle.track(turn.leave)
        turn.when_ended(partial(self._handle.untrack, turn.leave))

    def _submit(self, model: TextModel, request: EngineRequest) -> TokenStream:
        """Queue the request, to be stopped when the lease is given back."""
        try:
            outputs = model.engine.submit(request)
        except EngineClosedError:
            _report_broken(self._handle)
            raise
        try:
            self._handle.track(outputs.stop)
        except PoolError:  # the lease ended while the request was being prepared
            outputs.stop()
            raise
        return outputs


@dataclass(frozen=True, slots=True)
class _Speaker:
    """A runner that has the floor."""

    runner: LLMRunner
    floor: Floor | None
    found: Found | None

    def generate_stream(self, **options: Unpack[GenerateOptions]) -> GenerationStream:
        return self.runner._stream(Options(**options), self.found, keep_interrupted=True, floor=self.floor)


def _ended(handle: ModelHandle, outputs: TokenStream, error: BaseException | None) -> None:
    handle.untrack(outputs.stop)
    if isinstance(error, EngineFailedError):
        _report_broken(handle)


def _report_broken(handle: ModelHandle) -> None:
    """Have the model loaded anew for whoever acquires it next. A lease that has ended has nothing to report."""
    with suppress(HandleReleasedError, PoolClosedError):
        handle.mark_broken()

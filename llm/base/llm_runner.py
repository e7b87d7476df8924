"""The public face of one leased model: messages in, replies out.

All that backends have in common is here. Preparing a request (rendering the template, encoding, compiling a grammar)
happens on a worker thread; the engine computes on its own; the event loop only moves results.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from ..chat.response_parser import ResponseParser
from ..chat.tokenizer import encode_prompt
from ..engine.request import EngineRequest, SamplingParams
from ..engine.token_stream import TokenStream
from ..exceptions import EngineClosedError, EngineFailedError, HandleReleasedError, PoolClosedError, PoolError
from ..grammar.response_grammar import response_grammar
from .generation_stream import GenerationStream, OpenReply
from .messages import GenerateResult
from .options import GenerateOptions, Options
from .reply_decoder import ReplyDecoder
from .text_model import TextModel

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ..pool.model_handle import ModelHandle


class LLMRunner:
    """Generates with the model under a lease. Cheap to make; any number of calls may run at once.

    Args:
        handle: the lease. When it is given back, what still runs is stopped with GenerationCancelledError.
    """

    def __init__(self, handle: ModelHandle) -> None:
        self._handle = handle

    async def generate(self, **options: Unpack[GenerateOptions]) -> GenerateResult:
        """Generate a whole reply.

        Args:
            **options: see Options. `prompt` or `messages` is needed, everything else has a default.

        Returns:
            `reply`, `latency_seconds`, `usage`, `finish_reason`, and where there are any `tool_calls`, `reasoning`.

        Raises:
            RequestError: an argument is wrong; ContextWindowError when the prompt is too long.
            GenerationError: generation ended without an answer: timeout, closed model, full queue.
            HandleReleasedError: the lease was given back before.
        """
        reply: list[str] = []
        reasoning: list[str] = []
        async with self.generate_stream(**options) as stream:
            async for chunk in stream:
                reply.append(chunk.text)
                reasoning.append(chunk.reasoning)
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
        if any(reasoning):
            result["reasoning"] = "".join(reasoning)
        return result

    def generate_stream(self, **options: Unpack[GenerateOptions]) -> GenerationStream:
        """Generate a reply piece by piece: `async for chunk in runner.generate_stream(prompt=...)`.

        The texts joined are what `generate` returns as reply. Leaving the loop stops the generation.

        Args:
            **options: as for `generate`.

        Raises:
            RequestError: an argument is wrong. What only the model can judge is raised by the first chunk.
        """
        checked = Options(**options)
        begun = time.monotonic()
        return GenerationStream(lambda: self._open(checked, begun), timeout=checked.timeout)

    def supports_function_calling(self) -> bool:
        """Whether the model's own chat template knows tools. Without, calls are made in a generic format."""
        return self._model.call_syntax.native

    @property
    def context_window(self) -> int:
        """The most tokens that prompt and reply may have together."""
        return self._model.context_window

    @property
    def model_name(self) -> str:
        """What was asked for in the configuration."""
        return self._handle.config.model_name

    @property
    def _model(self) -> TextModel:
        return cast(TextModel, self._handle.model)

    async def _open(self, options: Options, begun: float) -> OpenReply:
        model = self._model
        prepared = await asyncio.to_thread(self._prepare, model, options)
        outputs = self._submit(model, prepared.request)
        decoder = ReplyDecoder(
            model.tokenizer,
            parser=prepared.parser,
            stops=prepared.stops,
            prompt_tokens=len(prepared.request.prompt),
            elapsed=lambda: time.monotonic() - begun,
        )
        return OpenReply(outputs, decoder, partial(_ended, self._handle, outputs))

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

    def _prepare(self, model: TextModel, options: Options) -> _Prepared:
        """Everything that takes time and no device. Runs on a worker thread."""
        rendered = model.template.render(
            options.conversation(), tools=options.tools or None, **(options.template_variables or {})
        )
        syntax = model.call_syntax
        reasoning_open = syntax.reasoning_is_open(rendered.text)
        grammar = None
        if options.constrain and (options.tools or options.response_format is not None):
            grammar = response_grammar(
                syntax,
                list(options.tools or ()),
                tool_choice=options.tool_choice,
                parallel_tool_calls=options.parallel_tool_calls,
                response_schema=options.response_format,
                special_tokens=model.tokenizer.special_texts.keys(),
                reasoning_open=reasoning_open,
            )
        config = self._handle.config
        request = EngineRequest(
            prompt=tuple(encode_prompt(model.tokenizer, rendered)),
            max_tokens=options.max_new_tokens or config.max_new_tokens,
            sampling=self._sampling(options),
            stop_tokens=model.tokenizer.end_tokens,
            grammar=grammar,
        )
        model.engine.validate(request)
        parser = ResponseParser(
            syntax,
            tools=options.tools or (),
            reasoning_open=reasoning_open,
            json_reply=options.response_format is not None,
        )
        return _Prepared(request, parser, (*options.stop_texts, *(config.stop_tokens or ())))

    def _sampling(self, options: Options) -> SamplingParams:
        config = self._handle.config
        chosen: dict[str, Any] = {"temperature": config.temperature, "top_p": config.top_p, "seed": config.seed}
        for name in (
            "temperature", "top_p", "top_k", "min_p", "seed", "repeat_penalty", "presence_penalty", "frequency_penalty",
        ):  # fmt: skip
            if getattr(options, name) is not None:
                chosen[name] = getattr(options, name)
        return SamplingParams(**chosen, logit_bias=tuple((options.logit_bias or {}).items()))


@dataclass(frozen=True, slots=True)
class _Prepared:
    request: EngineRequest
    parser: ResponseParser
    stops: tuple[str, ...]


def _ended(handle: ModelHandle, outputs: TokenStream, error: BaseException | None) -> None:
    handle.untrack(outputs.stop)
    if isinstance(error, EngineFailedError):
        _report_broken(handle)


def _report_broken(handle: ModelHandle) -> None:
    """Have the model loaded anew for whoever acquires it next. A lease that has ended has nothing to report."""
    with suppress(HandleReleasedError, PoolClosedError):
        handle.mark_broken()

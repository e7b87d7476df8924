"""From the options of a call to what an engine computes: the template rendered, encoded, and a grammar made.

This takes time and no device, so it runs on a worker thread.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ..chat.response_parser import ResponseParser
from ..chat.template import RenderedPrompt
from ..chat.tokenizer import Tokenizer, encode_prompt
from ..engine.request import EngineRequest, SamplingParams
from ..exceptions import RequestError
from ..grammar.response_grammar import response_grammar
from .options import Options
from .retrieval import Found, most_that_fit
from .retrieval_prompt import CitedPassage, with_passages
from .text_model import TextModel

if TYPE_CHECKING:
    from ..llm_config import LLMConfig
    from ..session.turn import Turn


@dataclass(frozen=True, slots=True)
class PreparedRequest:
    """A request, and what reading its reply takes.

    Attributes:
        request: for the engine.
        parser: reads the reply.
        stops: texts that end it.
        context_used: the passages that stand in the prompt, as text; None without documents.
        search_metadata: their citations; None without documents.
    """

    request: EngineRequest
    parser: ResponseParser
    stops: tuple[str, ...]
    context_used: str | None
    search_metadata: dict[str, Any] | None


def prepare_request(
    model: TextModel, config: LLMConfig, options: Options, turn: Turn | None, found: Found | None
) -> PreparedRequest:
    """A request that fits the window: as much of the history, and as many passages, as there is room for.

    Args:
        model: renders, encodes and checks it.
        config: what `options` leaves open.
        options: of the call.
        turn: of a session, whose history comes before; None without a session.
        found: passages that the reply is to be taken from; None without documents.

    Raises:
        RequestError: an option is wrong; ContextWindowError when the prompt is too long.
    """
    max_tokens = options.max_new_tokens or config.max_new_tokens
    window = model.context_window
    if turn is not None:
        turn.ask(options.asked(), count=lambda text: len(model.tokenizer.encode(text, special=False)))

    def attempt(count: int) -> tuple[tuple[RenderedPrompt, tuple[int, ...]], bool]:
        passages = () if found is None else found.passages[:count]
        if turn is None:
            outcome = encode_request(model, options, passages)
        else:
            outcome = turn.fit(
                lambda messages: encode_request(model, replace(options, prompt=None, messages=messages), passages),
                window=window,
                reply=max_tokens,
            )
        # A reply may be cut short by the window's end rather than do without what it is about.
        return outcome, len(outcome[1]) <= window - min(max_tokens, window // 4)

    shown, (rendered, prompt) = most_that_fit(0 if found is None else len(found.passages), attempt)
    context_used, search_metadata = (None, None) if found is None else found.shown(shown)
    syntax = model.chat.syntax
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
    request = EngineRequest(
        prompt=prompt,
        max_tokens=max_tokens,
        sampling=_sampling(config, options, model.tokenizer),
        stop_tokens=model.tokenizer.end_tokens,
        grammar=grammar,
    )
    model.engine.validate(request)
    parser = model.chat.parser(
        rendered,
        tools=options.tools or (),
        json_reply=options.response_format is not None,
        tell_all_calls=options.tell_all_calls,
    )
    stops = (*options.stop_texts, *(config.stop_tokens or ()))
    return PreparedRequest(request, parser, stops, context_used, search_metadata)


def _sampling(config: LLMConfig, options: Options, tokenizer: Tokenizer) -> SamplingParams:
    chosen: dict[str, Any] = {"temperature": config.temperature, "top_p": config.top_p, "seed": config.seed}
    for name in (
        "temperature", "top_p", "top_k", "min_p", "seed", "repeat_penalty", "presence_penalty", "frequency_penalty",
    ):  # fmt: skip
        if getattr(options, name) is not None:
            chosen[name] = getattr(options, name)
    return SamplingParams(**chosen, logit_bias=_token_biases(options.logit_bias or {}, tokenizer))


def encode_request(
    model: TextModel, options: Options, passages: Sequence[CitedPassage] = ()
) -> tuple[RenderedPrompt, tuple[int, ...]]:
    """The prompt of a request as text and as token ids.

    Raises:
        RequestError: the template refuses the messages.
    """
    rendered = model.chat.render(
        with_passages(options.conversation(), passages),
        tools=options.tools or None,
        **(options.template_variables or {}),
    )
    return rendered, tuple(encode_prompt(model.tokenizer, rendered))


def _token_biases(biases: Mapping[int | str, float], tokenizer: Tokenizer) -> tuple[tuple[int, float], ...]:
    """The biases by token id; a key may be text that is one token."""
    by_token = []
    for key, bias in biases.items():
        tokens = [key] if isinstance(key, int) else tokenizer.encode(key, special=True)
        if len(tokens) != 1:
            raise RequestError(f"logit_bias has a text of {len(tokens)} tokens; give the ids of its tokens one by one.")
        by_token.append((tokens[0], bias))
    return tuple(by_token)

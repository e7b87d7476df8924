"""Turn messages into a prompt with the model's own chat template, by the same code for every backend.

The template is untrusted code and runs in a sandbox; the content is untrusted text and never becomes a control token.
What the template takes is found out by trying it on made-up messages, not from a list of names.
"""

from __future__ import annotations

import copy
import datetime
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..exceptions import TemplateError
from .control_text import ControlTexts, Cover, Piece
from .conversation import Entry, simplified_tool, template_messages, template_tools
from .meter import LimitError, TimeLimitError
from .sandbox import SandboxedTemplate, TemplateRefusal
from .traits import Traits, find_traits

_MAX_MESSAGE = 300
_FREE_TEXT = ("content", "reasoning_content", "thinking", "reasoning")

WriteCalls = Callable[[Sequence[Mapping[str, Any]]], Sequence[Piece]]
"""Turns the calls of a message, as ToolCall dicts, into text."""


@dataclass(frozen=True, slots=True)
class RenderedPrompt:
    """A prompt in pieces, to be tokenized one by one and joined.

    Attributes:
        pieces: (text, trusted). Trusted text was written by the template: tokenize it with control tokens. The rest
            came from content and spells a control token: tokenize it without.
    """

    pieces: tuple[Piece, ...] = field(repr=False)

    def __iter__(self) -> Iterator[Piece]:
        return iter(self.pieces)

    @property
    def text(self) -> str:
        """The whole prompt as one text."""
        return "".join(piece.text for piece in self.pieces)


class TemplateLimitError(TemplateError):
    """The template ran into a limit, so trying it in another way is no use."""


class TemplateTimeError(TemplateLimitError):
    """That limit was its time."""


class ChatTemplate:
    """A model's chat template.

    Rendering changes nothing and may happen in several threads at once. It takes about a millisecond and at most
    `time_limit`; call it from a worker thread.

    Args:
        source: the template's text, in Jinja.
        special_tokens: texts that the template knows by name: ``{"bos_token": "<s>", "eos_token": "</s>"}``.
        control_texts: every text that the tokenizer turns into a control token.
        time_limit: seconds of computing that one rendering may take.

    Attributes:
        source: as given.
        traits: what the template takes.
        variables: names that it reads from outside.

    Raises:
        TemplateError: it is not a template, or needs more than the limits allow.
    """

    def __init__(
        self,
        source: str,
        *,
        special_tokens: Mapping[str, str] | None = None,
        control_texts: Collection[str] = (),
        time_limit: float = 1.5,
    ) -> None:
        self.source = source
        self._special_tokens = {"bos_token": "", "eos_token": "", **(special_tokens or {})}
        self._controls = ControlTexts(control_texts)
        try:
            self._template = SandboxedTemplate(source, seconds=time_limit)
        except LimitError as exc:
            raise TemplateError(f"The model's chat template is not accepted: {exc}.") from None
        except Exception as exc:
            raise TemplateError(f"The model's chat template cannot be read: {_brief(exc)}") from None
        self.variables = self._template.variables
        self.traits = find_traits(self._attempt)

    def render(
        self,
        messages: Iterable[Mapping[str, Any]],
        *,
        tools: Sequence[Mapping[str, Any]] | None = None,
        add_generation_prompt: bool = True,
        write_calls: WriteCalls | None = None,
        **variables: Any,
    ) -> RenderedPrompt:
        """The prompt for these messages.

        Args:
            messages: `Message` dicts; tool calls in this library's form or OpenAI's.
            tools: definitions in OpenAI's form or flat (name, description, parameters).
            add_generation_prompt: end with what opens the assistant's turn.
            write_calls: writes an assistant's calls for a template that leaves them out; else they are left out.
            variables: further variables of the template, such as ``enable_thinking=False``.

        Raises:
            RequestError: a message or tool is not of a known form.
            TemplateError: the template refused, with its own words, or failed, or ran into a limit.
        """
        return self._render(messages, self.traits, tools, add_generation_prompt, variables, write_calls)

    def _attempt(
        self, messages: list[dict[str, Any]], traits: Traits, tools: list[dict[str, Any]] | None
    ) -> str | None:
        """The rendered text, or None where the template refuses."""
        try:
            return self._render(messages, traits, tools, False, {}).text
        except TemplateLimitError:
            raise
        except TemplateError:
            return None

    def _render(
        self,
        messages: Iterable[Mapping[str, Any]],
        traits: Traits,
        tools: Sequence[Mapping[str, Any]] | None,
        add_generation_prompt: bool,
        variables: Mapping[str, Any],
        write_calls: WriteCalls | None = None,
    ) -> RenderedPrompt:
        cover = self._controls.cover()
        entries = template_messages(messages, traits)
        values: dict[str, Any] = {
            **cover.covered(variables),
            "messages": [_covered_entry(cover, entry, write_calls) for entry in entries],
            "add_generation_prompt": add_generation_prompt,
        }
        definitions = template_tools(tools or ())
        try:
            return self._run(cover, values, definitions)
        except TemplateTimeError:
            raise
        except TemplateError:
            simpler = [simplified_tool(tool) for tool in definitions]
            if simpler == definitions:
                raise
        # Some templates fail, or never end, on a schema that they did not expect.
        return self._run(cover, values, simpler)

    def _run(self, cover: Cover, values: dict[str, Any], tools: list[Entry]) -> RenderedPrompt:
        variables = {**self._special_tokens, **copy.deepcopy(values)}
        # A variable that is not set is left out: templates ask "is defined", for which None is an answer.
        if tools:
            variables["tools"] = cover.covered(tools)
        if "functions" in self.variables and "tools" not in self.variables:
            variables["functions"] = json.dumps([cover.covered(tool["function"]) for tool in tools], indent=4)
            variables.setdefault("datetime", datetime.datetime.now().strftime("%B %d, %Y"))
        try:
            return RenderedPrompt(cover.uncovered(self._template.render(variables)))
        except LimitError as exc:
            stopped = TemplateTimeError if isinstance(exc, TimeLimitError) else TemplateLimitError
            error: TemplateError = stopped(f"The model's chat template was stopped: {exc}.")
        except Exception as exc:
            error = TemplateError(self._explained(exc, values["messages"]))
        raise error  # outside the handler: the cause may hold parts of the conversation

    def _explained(self, exc: Exception, entries: list[dict[str, Any]]) -> str:
        words = _redacted(str(exc), entries)
        if isinstance(exc, TemplateRefusal):
            return f"The model's chat template refused the messages: {words}"
        line = self._template.line_of(exc)
        where = "" if line is None else f" in line {line}"
        return f"The model's chat template failed{where}: {type(exc).__name__}: {words}"


def _covered_entry(cover: Cover, entry: Entry, write_calls: WriteCalls | None) -> Entry:
    # Roles, and words in calls and parts that templates compare, stay even where a control text contains them.
    covered = {
        key: value if key == "role" else cover.covered(value, whole=key in _FREE_TEXT and isinstance(value, str))
        for key, value in entry.items()
    }
    calls = covered.pop("unshown_calls", None)
    if calls and write_calls is not None:
        pieces = write_calls(entry["unshown_calls"])
        written = "".join(piece.text if piece.trusted else cover.covered(piece.text) for piece in pieces)
        covered["content"] = f"{covered['content']}\n{written}" if covered["content"] else written
    return covered


def _brief(exc: Exception) -> str:
    line = getattr(exc, "lineno", None)
    return f"{str(exc)[:_MAX_MESSAGE]}{f' (line {line})' if line is not None else ''}"


def _redacted(message: str, entries: list[dict[str, Any]]) -> str:
    """The template's words without those of the conversation, which it may have quoted."""
    contents = [{key: value for key, value in entry.items() if key != "role"} for entry in entries]
    for text in sorted(_texts(contents), key=len, reverse=True):
        if len(text) > 2 and text != "function":
            message = message.replace(text, "[...]")
    return message[:_MAX_MESSAGE]


def _texts(value: Any) -> set[str]:
    if isinstance(value, str):
        return {value, value.strip()}
    if isinstance(value, dict):
        value = list(value.values())
    return set().union(*map(_texts, value)) if isinstance(value, list) else set()

"""What a caller may ask of one generation, checked before anything is done."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypedDict

from ..exceptions import RequestError
from .messages import Message

ToolChoice = Literal["none", "auto", "required"] | str | Mapping[str, Any]


class RunOptions(TypedDict, total=False):
    """Keywords of `run` beside its tools; see Options for what they mean."""

    prompt: str | None
    messages: Sequence[Message | Mapping[str, Any]] | None
    instructions: str | None
    tool_choice: ToolChoice
    parallel_tool_calls: bool
    response_format: Any
    constrain: bool
    temperature: float | None
    top_p: float | None
    top_k: int | None
    min_p: float | None
    repeat_penalty: float | None
    presence_penalty: float | None
    frequency_penalty: float | None
    logit_bias: Mapping[int | str, float] | None
    seed: int | None
    max_new_tokens: int | None
    stop: str | Sequence[str] | None
    timeout: float | None
    template_variables: Mapping[str, Any] | None
    tell_all_calls: bool


class GenerateOptions(RunOptions, total=False):
    """Keywords of `generate` and `generate_stream`; see Options for what they mean."""

    tools: Sequence[Mapping[str, Any]] | None


@dataclass(frozen=True, kw_only=True)
class Options:
    """One generation. None leaves a setting to the model's configuration.

    Args:
        prompt: the user's text. Exactly one of `prompt` and `messages` is given.
        messages: the conversation so far, as OpenAI writes it.
        instructions: put before everything else as (part of) the system message.
        tools: definitions in OpenAI's form.
        tool_choice: "auto", "none", "required", or the name of a tool (also in OpenAI's form).
        parallel_tool_calls: whether one reply may hold several calls.
        response_format: a JSON schema (also in OpenAI's form) or a Pydantic model class that the reply must follow.
        constrain: False switches the guarantee off: tools and schema are only described to the model.
        temperature, top_p, top_k, min_p, repeat_penalty, presence_penalty, frequency_penalty, logit_bias, seed:
            sampling, see SamplingParams. A key of logit_bias is the id of a token, or text that is one token.
        max_new_tokens: the most tokens of the reply.
        stop: texts that end the reply.
        timeout: seconds from the call to the last token.
        template_variables: further variables of the chat template, such as ``enable_thinking``.
        tell_all_calls: whatever is marked as a call is told as one, also where no tools are offered, and where its
            arguments cannot be read (then as one that was not finished). Else both are text of the reply.

    Raises:
        RequestError: names the argument, its value and what is allowed.
    """

    prompt: str | None = field(default=None, repr=False)
    messages: Sequence[Message | Mapping[str, Any]] | None = field(default=None, repr=False)
    instructions: str | None = field(default=None, repr=False)
    tools: Sequence[Mapping[str, Any]] | None = field(default=None, repr=False)
    tool_choice: ToolChoice = "auto"
    parallel_tool_calls: bool = True
    response_format: Any = field(default=None, repr=False)
    constrain: bool = True
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    repeat_penalty: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logit_bias: Mapping[int | str, float] | None = None
    seed: int | None = None
    max_new_tokens: int | None = None
    stop: str | Sequence[str] | None = field(default=None, repr=False)
    timeout: float | None = None
    template_variables: Mapping[str, Any] | None = None
    tell_all_calls: bool = False

    def __post_init__(self) -> None:
        if (self.prompt is None) == (self.messages is None):
            raise RequestError("Give exactly one of prompt=... and messages=[...].")
        for name in ("prompt", "instructions"):
            value = getattr(self, name)
            if value is not None and not isinstance(value, str):
                raise RequestError(f"{name} must be text, not {type(value).__name__}.")
        if self.messages is not None:
            _check_messages(self.messages)
        if self.max_new_tokens is not None and not _is_integer(self.max_new_tokens, 1):
            raise RequestError(f"max_new_tokens={self.max_new_tokens!r} is not allowed: a whole number from 1.")
        if self.timeout is not None and not _is_positive(self.timeout):
            raise RequestError(f"timeout={self.timeout!r} is not allowed: seconds above 0.")
        _ = self.stop_texts
        for name in ("logit_bias", "template_variables"):
            value = getattr(self, name)
            if value is not None and not isinstance(value, Mapping):
                raise RequestError(f"{name} must be a dictionary, not {type(value).__name__}.")
        if self.tools is not None and (
            isinstance(self.tools, (str, bytes, Mapping)) or not all(isinstance(tool, Mapping) for tool in self.tools)
        ):
            raise RequestError("tools must be a list of definitions in OpenAI's form.")
        reserved = {"messages", "tools", "add_generation_prompt"} & set(self.template_variables or ())
        if reserved:
            raise RequestError(f"template_variables may not hold {sorted(reserved)}; they have arguments of their own.")
        for message in self.messages or ():
            calls = message.get("tool_calls") or ()
            if isinstance(calls, (str, bytes)) or not all(isinstance(call, Mapping) for call in calls):
                raise RequestError("tool_calls of a message must be a list of dictionaries.")

    @property
    def stop_texts(self) -> tuple[str, ...]:
        if self.stop is not None and not isinstance(self.stop, Sequence):
            raise RequestError(f"stop must be text or a list of texts, not {type(self.stop).__name__}.")
        texts = (self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ())
        if not all(isinstance(text, str) and text for text in texts):
            raise RequestError("stop has an empty text or something that is no text; each must have a character.")
        return texts

    def asked(self) -> list[dict[str, Any]]:
        """The messages, or the prompt as one."""
        if self.messages is None:
            return [{"role": "user", "content": self.prompt}]
        return [dict(message) for message in self.messages]

    def conversation(self) -> list[dict[str, Any]]:
        """The messages, instructions first."""
        instructions = [{"role": "system", "content": self.instructions}] if self.instructions else []
        return [*instructions, *self.asked()]


def _check_messages(messages: object) -> None:
    if isinstance(messages, (str, bytes, Mapping)) or not isinstance(messages, Sequence) or not messages:
        raise RequestError("messages must be a list with at least one message.")
    for index, message in enumerate(messages):
        if not isinstance(message, Mapping):
            raise RequestError(f"messages[{index}] must be a dictionary, not {type(message).__name__}.")
        role = message.get("role")
        if role not in ("system", "developer", "user", "assistant", "tool"):
            shown = repr(role) if isinstance(role, str) and role.isalpha() and len(role) <= 20 else "something else"
            raise RequestError(f"messages[{index}] has role {shown}; allowed are system, user, assistant and tool.")
        content = message.get("content")
        if not isinstance(content, str) and not (content is None and message.get("tool_calls")):
            raise RequestError(
                f"messages[{index}] has content of type {type(content).__name__}; only text can be sent to this model."
            )


def _is_integer(value: object, low: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= low


def _is_positive(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < math.inf

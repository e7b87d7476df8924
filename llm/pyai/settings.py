"""From Pydantic AI's settings and request parameters to a runner's options.

Invariant: what is not set stays with the model's own configuration, and what cannot be honoured is an error or is
declared as unsupported; nothing is dropped silently.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from pydantic_ai.exceptions import UserError
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.settings import ModelSettings, ThinkingLevel

from ..base.abilities import Abilities
from ..base.options import GenerateOptions
from .compatibility import resolve_tool_choice
from .message_converter import to_tool

_SAME_MEANING = {
    "max_tokens": "max_new_tokens",
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "stop_sequences": "stop",
    "seed": "seed",
    "presence_penalty": "presence_penalty",
    "frequency_penalty": "frequency_penalty",
    "parallel_tool_calls": "parallel_tool_calls",
    "local_min_p": "min_p",
    "local_repeat_penalty": "repeat_penalty",
    "local_constrain": "constrain",
}
_BODY_KEYS = frozenset(_SAME_MEANING.values()) | {"template_variables", "chat_template_kwargs"}
_EFFORTS = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "high", "max": "high"}


class LocalLLMModelSettings(ModelSettings, total=False):
    """Settings for a request to a local model; all of its own begin with ``local_``."""

    local_min_p: float
    """Keep tokens at least this fraction as likely as the likeliest."""

    local_repeat_penalty: float
    """Divides the logits of tokens seen lately; 1 is off."""

    local_constrain: bool
    """False switches the guarantee off that calls and structured output are well formed."""

    local_template_variables: dict[str, Any]
    """Further variables of the model's chat template, such as ``enable_thinking``."""


def generation_options(
    settings: ModelSettings | None, parameters: ModelRequestParameters, abilities: Abilities | None
) -> GenerateOptions:
    """A runner's options for a prepared request, without its messages.

    Args:
        settings: as `Model.prepare_request` returns them.
        parameters: as well.
        abilities: what the model can do; None where that is not known.

    Raises:
        UserError: the settings ask for what cannot be done.
    """
    given: Mapping[str, Any] = settings or {}
    options: dict[str, Any] = {
        ours: given[theirs] for theirs, ours in _SAME_MEANING.items() if given.get(theirs) is not None
    }
    if (timeout := given.get("timeout")) is not None:
        if not isinstance(timeout, (int, float)):
            raise UserError(f"timeout has to be seconds for a local model, not {type(timeout).__name__}.")
        options["timeout"] = timeout
    if biases := given.get("logit_bias"):
        options["logit_bias"] = {int(key) if key.isdecimal() else key: bias for key, bias in biases.items()}
    variables = {**_thinking(parameters.thinking, abilities), **(given.get("local_template_variables") or {})}
    options.update(_extra_body(given.get("extra_body"), variables))
    if variables:
        options["template_variables"] = variables
    options.update(_tools(settings, parameters))
    output = parameters.output_object
    if output is not None and parameters.output_mode in ("native", "prompted"):
        options["response_format"] = {"type": "json_object"} if output.strict is False else output.json_schema
    return cast(GenerateOptions, options)


def _extra_body(body: object, variables: dict[str, Any]) -> dict[str, Any]:
    """A runner's own options; variables of the template go to the others."""
    if body is None:
        return {}
    if not isinstance(body, Mapping) or not set(body) <= _BODY_KEYS:
        raise UserError(f"extra_body of a local model is a dictionary of {', '.join(sorted(_BODY_KEYS))}.")
    for name in ("template_variables", "chat_template_kwargs"):
        variables.update(body.get(name) or {})
    return {key: value for key, value in body.items() if key not in ("template_variables", "chat_template_kwargs")}


def _thinking(level: ThinkingLevel | None, abilities: Abilities | None) -> dict[str, Any]:
    """The variables with which a template is told whether, and how much, to reason."""
    variables: dict[str, Any] = {}
    if level is None or abilities is None:
        return variables
    if abilities.reasoning_variable:
        variables[abilities.reasoning_variable] = level is not False
    if abilities.effort_variable and level is not True:
        variables[abilities.effort_variable] = "low" if level is False else _EFFORTS[level]
    return variables


def _tools(settings: ModelSettings | None, parameters: ModelRequestParameters) -> dict[str, Any]:
    """Which tools the model sees, and which it may or must call."""
    definitions = parameters.declared_tool_defs
    if not definitions:
        return {}
    choice = resolve_tool_choice(settings, parameters)
    named: str = choice if isinstance(choice, str) else choice[0]
    if isinstance(choice, tuple):
        allowed = {name: tool for name, tool in definitions.items() if name in choice[1]}
        if named == "required" and len(allowed) == 1:
            named = next(iter(allowed))  # the others stay in the prompt, which so stays the same
        else:
            definitions = allowed
    return {"tools": [to_tool(tool) for tool in definitions.values()], "tool_choice": named} if definitions else {}

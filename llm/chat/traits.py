"""What a chat template takes, found by trying it on made-up messages.

Each question is put to the template itself: a message is rendered, and where its made-up words come out, the template
takes it. A template that refuses, fails or leaves the words out does not.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, Literal

Attempt = Callable[[list[dict[str, Any]], "Traits", "list[dict[str, Any]] | None"], "str | None"]
"""Renders messages with given traits; None where the template refuses."""

EmptyContent = Literal["empty", "none", "missing"]
ArgumentForm = Literal["dict", "text"]


@dataclass(frozen=True, kw_only=True)
class Traits:
    """What a template takes.

    Attributes:
        system: it renders a system message. Where not, the text goes in front of the first user message.
        repeated_user: it takes two user messages in a row. Where not, they become one.
        tools: it renders definitions of tools.
        calls: it renders tool calls of the assistant.
        results: it renders messages of tools. Where not, they become messages of the user.
        parallel: it renders several calls of one message. Where not, each gets a message, followed by its result.
        arguments: the form in which it takes a call's arguments.
        empty_content: what it takes as the content of a message that has calls and no text.
        any_id: it takes ids of calls as they are. Where not, they become nine letters and digits.
        reasoning_key: the key under which it reads an assistant's reasoning; ``content`` where it wants reasoning and
            text as a list of parts.
    """

    system: bool = True
    repeated_user: bool = True
    tools: bool = True
    calls: bool = True
    results: bool = True
    parallel: bool = True
    arguments: ArgumentForm = "dict"
    empty_content: EmptyContent = "empty"
    any_id: bool = True
    reasoning_key: str = "reasoning_content"


_USER = {"role": "user", "content": "zquser"}
_TOOL = {"name": "zqtool", "description": "zqabout", "parameters": {"type": "object", "properties": {}}}
_ARGUMENTS = {"zqkey": "zqvalue"}
_LONG_ID = "call_zq0123456789"
_REASONING_KEYS = ("reasoning_content", "thinking", "reasoning", "content")


def find_traits(attempt: Attempt) -> Traits:
    """What the template behind `attempt` takes."""
    traits = Traits()
    if not _shows(attempt, [{"role": "system", "content": "zqsystem"}, _USER], traits, "zqsystem", "zquser"):
        traits = replace(traits, system=False)
    if not _shows(attempt, [_USER, {"role": "user", "content": "zqagain"}], traits, "zquser", "zqagain"):
        traits = replace(traits, repeated_user=False)
    with_tools = attempt([_USER], traits, [_TOOL])
    traits = replace(traits, tools=with_tools is not None and "zqtool" in with_tools)
    return _call_traits(attempt, _reasoning_trait(attempt, traits))


def _reasoning_trait(attempt: Attempt, traits: Traits) -> Traits:
    """Some templates keep the reasoning of an answer, some only that of a call."""
    for key, with_call in product(_REASONING_KEYS, (False, True)):
        trial = replace(traits, reasoning_key=key)
        answer = _calls(1)[1] if with_call else {"role": "assistant", "content": "zqanswer"}
        text = attempt([_USER, {**answer, "reasoning": "zqreason"}], trial, [_TOOL] if with_call else None)
        # A template that knows nothing of parts prints the list as it is, with the names of the types.
        if text is not None and "zqreason" in text and not re.search("['\"]thinking['\"]", text):
            return trial
    return traits


def _call_traits(attempt: Attempt, traits: Traits) -> Traits:
    ids: tuple[bool, ...] = (True, False)
    contents: tuple[EmptyContent, ...] = ("empty", "none", "missing")
    forms: tuple[ArgumentForm, ...] = ("dict", "text")
    fallback: Traits | None = None
    for any_id, content, form in product(ids, contents, forms):
        trial = replace(traits, any_id=any_id, empty_content=content, arguments=form)
        text = attempt(_calls(1), trial, [_TOOL])
        if text is None or not all(word in text for word in ("zqtool0", *_ARGUMENTS, *_ARGUMENTS.values())):
            continue
        if str(_ARGUMENTS) in text:
            # Python's notation: the template prints what it is given, and expects text.
            fallback = fallback or trial
            continue
        fallback = trial
        break
    if fallback is None:
        traits = replace(traits, calls=False, parallel=False)
        return replace(traits, results=_shows(attempt, _calls(1), traits, "zqresult"))
    return replace(fallback, parallel=_shows(attempt, _calls(2), fallback, "zqtool0", "zqtool1"))


def _calls(count: int) -> list[dict[str, Any]]:
    calls = [
        {"id": f"{_LONG_ID}{number}", "function": {"name": f"zqtool{number}", "arguments": json.dumps(_ARGUMENTS)}}
        for number in range(count)
    ]
    results = [{"role": "tool", "content": "zqresult", "tool_call_id": call["id"]} for call in calls]
    return [_USER, {"role": "assistant", "content": "", "tool_calls": calls}, *results]


def _shows(attempt: Attempt, messages: list[dict[str, Any]], traits: Traits, *words: str) -> bool:
    text = attempt(messages, traits, [_TOOL] if len(messages) > 2 else None)
    return text is not None and all(word in text for word in words)

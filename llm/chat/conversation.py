"""A conversation in the form that one chat template takes.

Templates agree on little: some know no system role, some want the arguments of a call as text, some refuse two calls in
one turn or ids longer than nine letters. What one takes is data (`Traits`), found by trying; this module applies it and
knows no template. Nothing here changes what it is given.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..base.messages import ROLES
from ..exceptions import RequestError
from .traits import Traits

Entry = dict[str, Any]


def template_messages(messages: Iterable[Mapping[str, Any]], traits: Traits) -> list[Entry]:
    """The messages as a template with these traits takes them; new objects throughout.

    Raises:
        RequestError: a message has no known role, or content that is not text, or a call cannot be read.
    """
    entries = [_entry(position, message) for position, message in enumerate(messages)]
    _name_results(entries)
    entries = _system_first(entries, as_role=traits.system)
    if not traits.calls:
        entries = [_without_calls(entry) for entry in entries]
    elif not traits.parallel:
        entries = _one_call_each(entries)
    if not traits.results:
        entries = [_as_user(entry) if entry["role"] == "tool" else entry for entry in entries]
    if not traits.repeated_user:
        entries = _join_users(entries)
    return [_fitted(entry, traits) for entry in entries]


def template_tools(tools: Sequence[Mapping[str, Any]]) -> list[Entry]:
    """Tool definitions in OpenAI's form, whether they are given in it or flat."""
    return [{"type": "function", "function": tool_function(tool)} for tool in tools]


def tool_function(tool: Mapping[str, Any]) -> Entry:
    """Name, description and parameters of a tool, given in OpenAI's form or flat.

    Raises:
        RequestError: it has no name.
    """
    function = tool.get("function", tool)
    name = function.get("name")
    if not isinstance(name, str) or not name:
        raise RequestError("A tool has no name. Give each tool a 'name', a 'description' and its 'parameters'.")
    parameters = function.get("parameters") or {"type": "object", "properties": {}}
    return {"name": name, "description": function.get("description") or "", "parameters": parameters}


def simplified_tool(tool: Entry) -> Entry:
    """The same tool with one type where there was a list of them, and with what is true of any schema spelled out."""
    return {**tool, "function": _simplified(tool["function"])}


def _simplified(value: Any) -> Any:
    if isinstance(value, dict):
        simpler = {key: _simplified(item) for key, item in value.items()}
        for schema in simpler["properties"].values() if isinstance(simpler.get("properties"), dict) else ():
            if isinstance(schema, dict):
                schema.setdefault("description", "")
        types = value.get("type")
        if isinstance(types, list):
            simpler["type"] = types = next((name for name in types if name != "null"), "string")
        if types == "object" and "properties" not in value:
            simpler.setdefault("additionalProperties", {})
        elif types == "array":
            simpler.setdefault("items", {})
        return simpler
    return [_simplified(item) for item in value] if isinstance(value, list) else value


def _entry(position: int, message: Mapping[str, Any]) -> Entry:
    role = message.get("role")
    if role not in ROLES:
        raise RequestError(f"messages[{position}] has role={role!r}; allowed are {', '.join(map(repr, ROLES))}.")
    entry: Entry = {"role": role, "content": _text(position, message.get("content"))}
    reasoning = message.get("reasoning") or message.get("reasoning_content")
    if reasoning and role == "assistant":
        entry["reasoning"] = reasoning
    if message.get("tool_calls") and role == "assistant":
        entry["tool_calls"] = [_call(position, number, call) for number, call in enumerate(message["tool_calls"])]
    if role == "tool":
        entry["tool_call_id"] = message.get("tool_call_id") or ""
        entry["name"] = message.get("name") or ""
    return entry


def _text(position: int, content: object) -> str:
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if isinstance(content, (list, tuple)) and all(isinstance(part, Mapping) and "text" in part for part in content):
        return "\n".join(str(part["text"]) for part in content)
    raise RequestError(f"messages[{position}] has content of type {type(content).__name__}; give it as text.")


def _call(position: int, number: int, call: Mapping[str, Any]) -> Entry:
    """A call with its arguments as a dict, from this library's form or OpenAI's."""
    function = call.get("function", call)
    name = call.get("tool_name") or function.get("name")
    arguments = call["args"] if "args" in call else function.get("arguments")
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments or "{}")
        except ValueError:
            arguments = None
    elif arguments is None:
        arguments = {}
    if not isinstance(name, str) or not isinstance(arguments, Mapping):
        raise RequestError(
            f"messages[{position}] has a tool call (number {number}) without a name, or with arguments that are not an "
            "object. Give it as {'tool_name', 'args', 'tool_call_id'}."
        )
    id_ = call.get("tool_call_id") or call.get("id") or f"call{position:03d}{number:02d}"
    return {"id": id_, "type": "function", "function": {"name": name, "arguments": dict(arguments)}}


def _name_results(entries: list[Entry]) -> None:
    """Each result gets the id and name of its call, by id or, where it has none, by order."""
    waiting: list[Entry] = []
    for entry in entries:
        if entry["role"] == "assistant" and "tool_calls" in entry:
            waiting = list(entry["tool_calls"])
        elif entry["role"] == "tool" and waiting:
            known = [call for call in waiting if call["id"] == entry["tool_call_id"]]
            call = known[0] if known else waiting[0]
            waiting.remove(call)
            entry["tool_call_id"] = entry["tool_call_id"] or call["id"]
            entry["name"] = entry["name"] or call["function"]["name"]


def _system_first(entries: list[Entry], *, as_role: bool) -> list[Entry]:
    """One system message at the front, or its text at the front of the first user message."""
    system = "\n\n".join(entry["content"] for entry in entries if entry["role"] == "system" and entry["content"])
    rest = [entry for entry in entries if entry["role"] != "system"]
    if not system:
        return rest
    if as_role:
        return [{"role": "system", "content": system}, *rest]
    if rest and rest[0]["role"] == "user":
        return [{"role": "user", "content": f"{system}\n\n{rest[0]['content']}"}, *rest[1:]]
    return [{"role": "user", "content": system}, *rest]


def _without_calls(entry: Entry) -> Entry:
    """The entry with its calls where a template does not look, in this library's form, for whoever writes them."""
    if "tool_calls" not in entry:
        return entry
    calls = [
        {"tool_name": call["function"]["name"], "args": call["function"]["arguments"], "tool_call_id": call["id"]}
        for call in entry["tool_calls"]
    ]
    return {**{key: value for key, value in entry.items() if key != "tool_calls"}, "unshown_calls": calls}


def _as_user(entry: Entry) -> Entry:
    """A tool's result for a template that knows no tools."""
    return {"role": "user", "content": f"<tool_response>\n{entry['content']}\n</tool_response>"}


def _one_call_each(entries: list[Entry]) -> list[Entry]:
    """A message with n calls becomes n messages, each followed by the result of its call."""
    split: list[Entry] = []
    results = {entry["tool_call_id"]: entry for entry in entries if entry["role"] == "tool"}
    placed: set[int] = set()
    for entry in entries:
        calls = entry.get("tool_calls", [])
        if len(calls) < 2:
            if id(entry) not in placed:
                split.append(entry)
            continue
        for number, call in enumerate(calls):
            first = entry if number == 0 else {"role": "assistant", "content": ""}
            split.append({**first, "tool_calls": [call]})
            result = results.get(call["id"])
            if result is not None:
                split.append(result)
                placed.add(id(result))
    return split


def _join_users(entries: list[Entry]) -> list[Entry]:
    joined: list[Entry] = []
    for entry in entries:
        if joined and entry["role"] == joined[-1]["role"] == "user":
            joined[-1] = {"role": "user", "content": f"{joined[-1]['content']}\n\n{entry['content']}"}
        else:
            joined.append(entry)
    return joined


def _fitted(entry: Entry, traits: Traits) -> Entry:
    fitted = {key: value for key, value in entry.items() if key != "reasoning"}
    if not traits.any_id and fitted.get("tool_call_id"):
        fitted["tool_call_id"] = _short_id(fitted["tool_call_id"])
    if "tool_calls" in entry:
        fitted["tool_calls"] = [_fitted_call(call, traits) for call in entry["tool_calls"]]
        if not entry["content"]:
            fitted["content"] = None if traits.empty_content == "none" else ""
            if traits.empty_content == "missing":
                del fitted["content"]
    if "reasoning" in entry and traits.reasoning_key == "content":
        text = [{"type": "text", "text": entry["content"]}] if entry["content"] else []
        fitted["content"] = [{"type": "thinking", "thinking": entry["reasoning"]}, *text]
    elif "reasoning" in entry:
        fitted[traits.reasoning_key] = entry["reasoning"]
    return fitted


def _fitted_call(call: Entry, traits: Traits) -> Entry:
    function = call["function"]
    arguments = function["arguments"]
    if traits.arguments == "text":
        arguments = json.dumps(arguments, ensure_ascii=False)
    id_ = call["id"] if traits.any_id else _short_id(call["id"])
    return {"id": id_, "type": "function", "function": {"name": function["name"], "arguments": arguments}}


def _short_id(id_: str) -> str:
    return id_ if len(id_) == 9 and id_.isalnum() else hashlib.sha256(id_.encode()).hexdigest()[:9]

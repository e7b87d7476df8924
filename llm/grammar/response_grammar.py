"""One grammar for one reply: reasoning, then calls, text or JSON, as the request asks and in the model's own syntax.

The outcome is text that says everything about itself: it goes to the engine with the request and is the key under which
the compiled grammar is kept. Invariants, by tool choice:

    required, or a name   the reply is reasoning (where the model has any) and calls, from the first token on
    auto                  text is free; once a call has begun, only whole calls and the end may follow
    none                  what begins a call is never written
    with a schema         text gives way to JSON that the schema allows; calls stay possible
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from ..base.call_syntax import CallSyntax
from .call_rules import CallRules
from .channel_rules import ChannelReply, Headers
from .json_schema import checked_schema, json_rule
from .lark import Grammar
from .markers import Markers
from .reply_rules import MarkedReply
from .tool_arguments import ToolChoice, chosen_tools


def response_grammar(
    syntax: CallSyntax,
    tools: Sequence[Mapping[str, Any]],
    *,
    tool_choice: ToolChoice = "auto",
    parallel_tool_calls: bool = True,
    response_schema: Any = None,
    special_tokens: AbstractSet[str] = frozenset(),
    reasoning_open: bool | None = None,
) -> str | None:
    """The grammar of a reply, for GrammarCompiler.

    Args:
        syntax: how the model writes.
        tools: what may be called, described in OpenAI's form.
        tool_choice: "auto", "none", "required", or the name of a tool (also in OpenAI's form).
        parallel_tool_calls: whether one reply may hold several calls.
        response_schema: what the reply must be if it is not a call: a JSON schema (also in OpenAI's form), a Pydantic
            model class, or a type that Pydantic can describe.
        special_tokens: texts that the vocabulary holds as control tokens; markers among them are matched as tokens.
        reasoning_open: whether the prompt ends inside the reasoning; None takes the template's own default.

    Returns:
        The grammar, or None where there is nothing to constrain.

    Raises:
        RequestError: the tools or the choice are not described as they should be.
        SchemaError: a schema asks for what cannot be honoured.
    """
    calls, chosen = chosen_tools(tools, tool_choice)
    if not tools and response_schema is None:
        return None
    grammar, markers = Grammar(), Markers(frozenset(special_tokens))
    rules = CallRules(grammar, markers, syntax, chosen, parallel=parallel_tool_calls)
    answer = ""
    if response_schema is not None and calls != "required":
        answer = grammar.rule("answer", json_rule(checked_schema(_inner(response_schema))))
    inside = syntax.reasoning_prefilled if reasoning_open is None else reasoning_open
    headers = Headers.of(syntax) if syntax.nesting == "channels" else None
    parts = (grammar, markers, syntax, rules, calls, answer)
    if headers is not None:
        return grammar.text(ChannelReply(*parts, inside=inside, headers=headers, tools=chosen).start())
    return grammar.text(MarkedReply(*parts, inside=inside).start())


def _inner(schema: Any) -> Any:
    """The schema inside OpenAI's ``{"type": "json_schema", "json_schema": {"schema": ...}}``."""
    if not isinstance(schema, Mapping):
        return schema
    described = schema.get("json_schema")
    if schema.get("type") == "json_schema" and isinstance(described, Mapping):
        return described.get("schema", {})
    return {"type": "object"} if schema.get("type") == "json_object" else schema

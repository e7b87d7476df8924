"""Granite 3 templates describe a call in words ("<|tool_call|> followed by a JSON list") and never render one."""

from __future__ import annotations

from dataclasses import replace

from ...base.call_syntax import CallSyntax

NAME = "granite"
MARKER = "respond only with <|tool_call|> followed by a JSON list"


def apply(syntax: CallSyntax) -> CallSyntax:
    if syntax.native:
        return syntax
    return replace(
        syntax,
        native=True,
        nesting="json_list",
        section_open="<|tool_call|>",
        list_open="[",
        call_open="",
        call_close="",
        call_separator=", ",
        list_close="]",
    )

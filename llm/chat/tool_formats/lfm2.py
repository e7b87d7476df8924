"""Templates of the LFM2 family list the tools and leave out the calls: the model writes a list of Python-like calls."""

from __future__ import annotations

from dataclasses import replace

from ...base.call_syntax import CallSyntax

NAME = "lfm2"
MARKER = "List of tools: "


def apply(syntax: CallSyntax) -> CallSyntax:
    if syntax.native:
        return syntax
    return replace(
        syntax,
        native=True,
        nesting="python_list",
        section_open="<|tool_call_start|>",
        list_open="[",
        call_open="",
        call_close="",
        call_separator=", ",
        list_close="]",
        section_close="<|tool_call_end|>",
        key_order=(),
    )

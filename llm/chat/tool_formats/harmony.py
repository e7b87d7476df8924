"""Harmony (gpt-oss): a reply is several messages with headers, and the model writes another header for a call than the
template does: ``<|channel|>commentary to=functions.NAME <|constrain|>json<|message|>``.
"""

from __future__ import annotations

from dataclasses import replace

from ...base.call_syntax import CallSyntax

NAME = "harmony"
MARKER = "<|channel|>commentary"


def apply(syntax: CallSyntax) -> CallSyntax:
    return replace(
        syntax,
        nesting="channels",
        section_open="",
        section_close="",
        call_open="<|channel|>commentary to=functions.",
        name_close=" <|constrain|>json<|message|>",
        call_close="<|call|>",
        call_separator="<|start|>assistant",
        reasoning_open="<|channel|>analysis<|message|>",
        reasoning_close="<|end|>",
        content_open="<|channel|>final<|message|>",
        message_open="<|start|>assistant",
    )

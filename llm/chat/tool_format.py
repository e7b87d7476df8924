"""How a model writes calls, reasoning and text, derived from its chat template.

The template renders made-up turns; what it puts around the made-up words is the model's own format. Names of models
play no part. A few families write calls that their template does not show; each has a file in `tool_formats`, chosen by
a marker in the template's text. A template that knows no tools gets the generic format.
"""

from __future__ import annotations

from dataclasses import replace

from ..base.call_syntax import CallSyntax
from .call_marks import find_call_marks
from .probe import Probe
from .reply_marks import find_reply_marks
from .template import ChatTemplate
from .tool_formats import OVERRIDES

GENERIC = CallSyntax(
    native=False,
    nesting="json_object",
    call_open="<tool_call>\n",
    call_close="\n</tool_call>",
    call_separator="\n",
)
"""Calls of a model whose template knows no tools. It is described to the model in the prompt."""


def derive_call_syntax(template: ChatTemplate) -> CallSyntax:
    """The format in which the template's model writes.

    Raises:
        TemplateError: the template ran into a limit.
    """
    probe = Probe(template)
    marks = find_reply_marks(probe)
    found = find_call_marks(probe, marks)
    syntax = replace(
        found if found is not None else GENERIC,
        reasoning_open=marks.reasoning_open,
        reasoning_close=marks.reasoning_close,
        reasoning_prefilled=marks.reasoning_prefilled,
        reasoning_variable=marks.reasoning_variable,
        content_open=marks.content_open,
        content_close=marks.content_close,
        message_open=marks.message_open,
        turn_end=marks.turn_end,
    )
    syntax = _with_prefill(syntax, marks.header)
    for override in OVERRIDES:
        changed = override.apply(syntax) if override.MARKER in template.source else syntax
        if changed != syntax:
            return replace(changed, override=override.NAME)
    return syntax


def _with_prefill(syntax: CallSyntax, header: str) -> CallSyntax:
    """A marker that only separates calls, and that the prompt ends with, opens each part of a reply."""
    mark = syntax.call_separator.strip()
    if not mark or syntax.call_open or syntax.section_open or syntax.list_open or not header.endswith(mark):
        return syntax
    return replace(
        syntax,
        call_open=syntax.call_separator,
        call_separator="",
        content_open=mark + syntax.content_open if syntax.content_open else "",
        prefill=mark,
    )

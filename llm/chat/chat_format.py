"""A model's chat format as one thing: the prompt for a conversation, and the parser for the reply to it.

Where the template knows tools, all is left to it. Where it knows them in part or not at all, what is missing is put in
here: the tools are described in the system message, calls are written into the assistant's text in the derived format
(or the generic one), and results become what the template does take.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..base.call_syntax import CallSyntax
from .call_writer import write_calls
from .conversation import tool_function
from .response_parser import ResponseParser
from .template import ChatTemplate, RenderedPrompt
from .tool_format import derive_call_syntax

GENERIC_TEMPLATE = (
    "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)
"""For files without a chat template, which are mostly models that were never trained to chat."""

_EXAMPLE = {"tool_name": "NAME", "args": {"PARAMETER": "VALUE"}, "tool_call_id": "000000001"}


class ChatFormat:
    """How to talk with one model.

    Args:
        template: its chat template.

    Attributes:
        template: as given.
        syntax: how the model writes calls, reasoning and text.

    Raises:
        TemplateError: the template ran into a limit.
    """

    def __init__(self, template: ChatTemplate) -> None:
        self.template = template
        self.syntax: CallSyntax = derive_call_syntax(template)

    def render(
        self,
        messages: Iterable[Mapping[str, Any]],
        *,
        tools: Sequence[Mapping[str, Any]] | None = None,
        add_generation_prompt: bool = True,
        **variables: Any,
    ) -> RenderedPrompt:
        """The prompt for these messages; arguments and errors as of `ChatTemplate.render`."""
        conversation = list(messages)
        if tools and not self.template.traits.tools:
            conversation.insert(0, {"role": "system", "content": tool_instructions(tools, self.syntax)})
        return self.template.render(
            conversation,
            tools=tools if tools and self.syntax.native else None,
            add_generation_prompt=add_generation_prompt,
            write_calls=lambda calls: write_calls(calls, self.syntax),
            **variables,
        )

    def parser(
        self, prompt: RenderedPrompt, *, tools: Iterable[Mapping[str, Any]] = (), **options: bool
    ) -> ResponseParser:
        """The parser for the reply to `prompt`; further options as of ResponseParser."""
        reasoning_open = self.syntax.reasoning_is_open(prompt.text)
        return ResponseParser(self.syntax, tools=tools, reasoning_open=reasoning_open, **options)


def tool_instructions(tools: Sequence[Mapping[str, Any]], syntax: CallSyntax) -> str:
    """What a model has to be told of tools when its template does not tell it."""
    example = "".join(piece.text for piece in write_calls([_EXAMPLE], syntax)).strip()
    described = "\n".join(json.dumps(tool_function(tool), ensure_ascii=False) for tool in tools)
    return (
        "You may call tools. Each line describes one; its parameters are a JSON schema:\n\n"
        f"{described}\n\n"
        "To call one, write exactly this, with its name and arguments that fit its parameters:\n\n"
        f"{example}\n\n"
        "Write nothing after a call. The result comes with the next message. "
        "Call a tool only where it helps to answer; otherwise answer in words."
    )

"""How the demo model sees a conversation: one Jinja text for both model forms and for the training data.

ChatML turns with Hermes tool calls. What is rendered here and what the model was trained on are the same by
construction.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from typing import Any

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

DEFAULT_SYSTEM_MESSAGE = "You are the PractorFlow demo model, a small demonstration and not an assistant."

_CALL_FORM = (
    r"\n</tools>\n\nWrite each call like this:\n<tool_call>\n"
    r'{"name": <function-name>, "arguments": <json-object>}\n</tool_call>'
)

CHAT_TEMPLATE = (
    """\
{%- set first = messages[0] if messages else none %}
{%- set has_system = first and first.role == 'system' %}
{{- '<|im_start|>system\\n' }}
{{- first.content if has_system else '"""
    + DEFAULT_SYSTEM_MESSAGE
    + """' }}
{%- if tools %}
    {{- '\\n\\n# Tools\\n\\nCall a function when it helps to answer. The functions:\\n<tools>' }}
    {%- for tool in tools %}
        {{- '\\n' }}
        {{- (tool.function if tool.function is defined else tool) | tojson }}
    {%- endfor %}
    {{- '"""
    + _CALL_FORM
    + """' }}
{%- endif %}
{{- '<|im_end|>\\n' }}
{%- for message in messages %}
    {%- if message.role == 'system' and loop.first %}
    {%- elif message.role == 'tool' %}
        {%- if loop.first or messages[loop.index0 - 1].role != 'tool' %}
            {{- '<|im_start|>user' }}
        {%- endif %}
        {{- '\\n<tool_response>\\n' }}
        {{- message.content }}
        {{- '\\n</tool_response>' }}
        {%- if loop.last or messages[loop.index0 + 1].role != 'tool' %}
            {{- '<|im_end|>\\n' }}
        {%- endif %}
    {%- elif message.role == 'assistant' %}
        {{- '<|im_start|>assistant' }}
        {%- if message.content or not message.tool_calls %}
            {{- '\\n' + (message.content or '') }}
        {%- endif %}
        {%- for call in message.tool_calls or [] %}
            {%- set call = call.function if call.function is defined else call %}
            {{- '\\n<tool_call>\\n{"name": "' + call.name + '", "arguments": ' }}
            {{- call.arguments if call.arguments is string else call.arguments | tojson }}
            {{- '}\\n</tool_call>' }}
        {%- endfor %}
        {{- '<|im_end|>\\n' }}
    {%- else %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
"""
)


def render(
    messages: Sequence[Mapping[str, Any]],
    *,
    tools: Sequence[Mapping[str, Any]] = (),
    add_generation_prompt: bool = False,
) -> str:
    """The text that the model reads for a conversation.

    Args:
        messages: turns with `role`, `content` and, for an assistant, `tool_calls` with arguments as dict or JSON text.
        tools: functions in OpenAI's form, with or without the ``{"type": "function", "function": ...}`` around them.
        add_generation_prompt: end with the opening of the assistant's turn.
    """
    variables: dict[str, Any] = {"messages": messages, "add_generation_prompt": add_generation_prompt}
    if tools:
        variables["tools"] = tools
    return _compiled().render(variables)


@functools.cache
def _compiled() -> jinja2.Template:
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    environment.filters["tojson"] = lambda value: json.dumps(value, ensure_ascii=False)
    return environment.from_string(CHAT_TEMPLATE)

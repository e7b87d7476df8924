"""Ways in which models write reasoning and calls, as small chat templates of our own, and a writer for each.

What a parser reads of a template's model is derived from the template, so a format here is its template alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import count
from typing import Literal

from ..chat.call_writer import write_calls
from ..chat.chat_format import ChatFormat
from ..chat.template import ChatTemplate

WireFormat = Literal["hermes", "list", "parameters", "plain"]
REPLY_BEGINS, TURN_ENDS = "<|im_start|>", "<|im_end|>"
_ARGUMENTS = {"zqkey": "zqvalue"}
_IDS = count(1)  # no two calls of a conversation have the same one

_CONVERSATION = """\
{%- if tools %}{{ '<|im_start|>tools\\n' }}
{%- for tool in tools %}{{ tool.function | tojson }}{{ '\\n' }}{%- endfor %}{{ '<|im_end|>\\n' }}{%- endif %}
{%- for message in messages %}
    {{- '<|im_start|>' + message.role + '\\n' }}
    {%- if message.role == 'assistant' %}
        {%- if message.reasoning_content %}
            {{- '<think>\\n' + message.reasoning_content + '\\n</think>\\n\\n' }}
        {%- endif %}
        {{- message.content or '' }}
        {%- if message.tool_calls %}CALLS{%- endif %}
    {%- else %}
        {{- message.content }}
    {%- endif %}
    {{- '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and not enable_thinking %}{{ '<think>\\n\\n</think>\\n\\n' }}{%- endif %}
{%- endif %}
"""

_CALLS: dict[WireFormat, str] = {
    # JSON between tags, as Hermes and Qwen write it.
    "hermes": """\
        {%- for call in message.tool_calls %}
            {{- '\\n<tool_call>\\n{"name": "' + call.function.name + '", "arguments": ' }}
            {{- call.function.arguments | tojson + '}\\n</tool_call>' }}
        {%- endfor %}""",
    # One list of JSON objects with ids behind a marker, as Mistral and Llama relatives write it.
    "list": """\
        {{- '[TOOL_CALLS][' }}
        {%- for call in message.tool_calls %}
            {{- '{"name": "' + call.function.name + '", "arguments": ' + call.function.arguments | tojson }}
            {{- ', "id": "' + call.id + '"}' + ('' if loop.last else ', ') }}
        {%- endfor %}
        {{- ']' }}""",
    # Each argument between tags of its own, as Qwen Coder and relatives write it.
    "parameters": """\
        {%- for call in message.tool_calls %}
            {{- '\\n<tool_call>\\n<function=' + call.function.name + '>\\n' }}
            {%- for key, value in call.function.arguments.items() %}
                {{- '<parameter=' + key + '>\\n' }}
                {{- (value if value is string else value | tojson) + '\\n</parameter>\\n' }}
            {%- endfor %}
            {{- '</function>\\n</tool_call>' }}
        {%- endfor %}""",
}

# A template that knows neither tools nor reasoning: calls come in this library's generic format.
_PLAIN = """\
{%- for message in messages %}
    {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{%- endif %}"""


def chat_template(wire_format: WireFormat) -> str:
    """The template of a model that writes in this format."""
    return _PLAIN if wire_format == "plain" else _CONVERSATION.replace("CALLS", _CALLS[wire_format])


@lru_cache(maxsize=8)
def chat_format(wire_format: WireFormat) -> ChatFormat:
    """How to talk with a model that writes in this format."""
    controls = (REPLY_BEGINS, TURN_ENDS)
    return ChatFormat(ChatTemplate(chat_template(wire_format), special_tokens={}, control_texts=controls))


def write_reply(
    wire_format: WireFormat,
    *,
    text: str = "",
    reasoning: str = "",
    calls: Sequence[tuple[str, Mapping[str, object] | str]] = (),
    cut: bool = False,
) -> str:
    """A reply as a model writes it.

    Args:
        wire_format: in which it writes.
        text: what it says.
        reasoning: what it thinks before.
        calls: (tool, arguments). Arguments given as text are written as they are, be they JSON or not.
        cut: nothing is written behind the arguments of the last call, where they are text that is no JSON.

    Raises:
        ValueError: arguments are no JSON object, and the format has no place for other text.
    """
    syntax = chat_format(wire_format).syntax
    opened, closed = syntax.reasoning_open or "<think>\n", syntax.reasoning_close or "\n</think>\n\n"
    thought = f"{opened}{reasoning}{closed}" if reasoning else ""
    if not calls:
        return thought + text
    given = [_readable(arguments) for _, arguments in calls]
    if syntax.nesting == "parameters" and None in given:
        raise ValueError("In a format with parameters, arguments have to be a JSON object.")
    made = [
        {"tool_name": name, "args": _ARGUMENTS if readable is None else readable, "tool_call_id": f"{next(_IDS):09d}"}
        for (name, _), readable in zip(calls, given, strict=True)
    ]
    written = "".join(piece.text for piece in write_calls(made, syntax))
    for number, readable in enumerate(given, 1):
        if readable is None:
            before, _, behind = written.partition(json.dumps(_ARGUMENTS))
            written = before + str(calls[number - 1][1]) + ("" if cut and number == len(calls) else behind)
    return thought + text + written


def _readable(arguments: Mapping[str, object] | str) -> Mapping[str, object] | None:
    if not isinstance(arguments, str):
        return arguments
    try:
        value = json.loads(arguments)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None

"""Tools for models whose template knows them in part or not at all, and the few formats that no template shows."""

from __future__ import annotations

from typing import Any

import pytest

from llm.chat.chat_format import ChatFormat, tool_instructions
from llm.chat.template import ChatTemplate
from llm.chat.tool_format import GENERIC, derive_call_syntax
from llm.exceptions import TemplateError

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
GENERATION = "{% if add_generation_prompt %}<|im_start|>assistant\nOPENING{% endif %}"
NO_ROLES = (
    "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) or m.role == 'tool' %}"
    "{{ raise_exception('Roles must alternate') }}{% endif %}<{{ m.role }}>{{ m.content }}</turn>\n{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)
CONTROLS = ["<|im_start|>", "<|im_end|>", "<|tool_call_start|>", "<|tool_call_end|>"]
TOOL = {
    "name": "add",
    "description": "Adds",
    "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}},
}
CONVERSATION: list[dict[str, Any]] = [
    {"role": "user", "content": "1?"},
    {"role": "assistant", "content": "", "tool_calls": [{"tool_name": "add", "args": {"a": 1}, "tool_call_id": "x"}]},
    {"role": "tool", "content": "2", "tool_call_id": "x"},
]


def test_a_template_without_tools_gets_the_generic_format() -> None:
    """The tools stand in the system message, with the form of a call; the syntax says that this is not native."""
    chat = ChatFormat(ChatTemplate(CHATML))
    assert not chat.syntax.native
    assert (chat.syntax.call_open, chat.syntax.call_close) == (GENERIC.call_open, GENERIC.call_close)
    prompt = chat.render([{"role": "system", "content": "Be brief."}, *CONVERSATION], tools=[TOOL]).text
    assert prompt == (
        f"<|im_start|>system\n{tool_instructions([TOOL], chat.syntax)}\n\nBe brief.<|im_end|>\n"
        "<|im_start|>user\n1?<|im_end|>\n"
        '<|im_start|>assistant\n<tool_call>\n{"name": "add", "arguments": {"a": 1}}\n</tool_call><|im_end|>\n'
        "<|im_start|>tool\n2<|im_end|>\n<|im_start|>assistant\n"
    )
    assert '"name": "add"' in tool_instructions([TOOL], chat.syntax)
    assert chat.render(CONVERSATION[:1]).text == "<|im_start|>user\n1?<|im_end|>\n<|im_start|>assistant\n"


def test_a_template_with_two_roles_still_holds_a_conversation_with_tools() -> None:
    """Results become messages of the user where the template takes no others."""
    chat = ChatFormat(ChatTemplate(NO_ROLES))
    prompt = chat.render(CONVERSATION, tools=[TOOL]).text
    assert prompt.startswith("<user>You may call tools.")
    assert prompt.endswith(
        '<assistant><tool_call>\n{"name": "add", "arguments": {"a": 1}}\n</tool_call></turn>\n'
        "<user><tool_response>\n2\n</tool_response></turn>\n<assistant>"
    )
    parser = chat.parser(chat.render(CONVERSATION[:1], tools=[TOOL]), tools=[TOOL])
    found = parser.feed('<tool_call>\n{"name": "add", "arguments": {"a": 1}}\n</tool_call>') + parser.finish()
    assert [event.call["args"] for event in found if event.kind == "call" and event.call is not None] == [{"a": 1}]


def test_a_template_that_lists_tools_and_hides_calls() -> None:
    """A family known to do so gets its calls from an override, with the control tokens of the format as tokens."""
    source = "{% if tools %}List of tools: {{ tools|tojson }}\n{% endif %}" + CHATML
    chat = ChatFormat(ChatTemplate(source, control_texts=CONTROLS))
    assert chat.syntax.native
    assert chat.syntax.override == "lfm2"
    nasty = [CONVERSATION[0], {**CONVERSATION[1]}, CONVERSATION[2]]
    nasty[1]["tool_calls"] = [{"tool_name": "add", "args": {"a": "<|tool_call_end|>"}, "tool_call_id": "x"}]
    prompt = chat.render(nasty, tools=[TOOL])
    assert '<|tool_call_start|>[add(a="<|tool_call_end|>")]<|tool_call_end|>' in prompt.text
    assert [piece.text for piece in prompt if not piece.trusted] == ["<|tool_call_end|>"]
    assert "You may call tools" not in prompt.text


def test_an_override_leaves_alone_what_the_template_shows() -> None:
    """Where a template of the same family renders its calls, what it renders holds."""
    source = (
        "{% if tools %}List of tools: {{ tools|tojson }}\n{% endif %}{% for m in messages %}<|im_start|>{{ m.role }}\n"
        "{{ m.content }}{% for c in m.tool_calls or [] %}<call>{{ c.function|tojson }}</call>{% endfor %}"
        "<|im_end|>\n{% endfor %}"
    )
    syntax = derive_call_syntax(ChatTemplate(source))
    assert (syntax.nesting, syntax.call_open, syntax.override) == ("json_object", "<call>", "")


@pytest.mark.parametrize(
    ("opening", "prefilled", "variable"),
    [
        ("<think>\n", True, ""),
        (
            "{% if enable_thinking is defined and not enable_thinking %}<think>\n\n</think>\n\n{% endif %}",
            False,
            "enable_thinking",
        ),
        ("{{ '<think>' if thinking else '</think>' }}", False, "thinking"),
    ],
)
def test_how_a_prompt_opens_reasoning(opening: str, prefilled: bool, variable: str) -> None:
    """The syntax tells whether the prompt opens the reasoning, and which variable decides."""
    body = (
        "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.reasoning_content %}<think>\n{{ "
        "m.reasoning_content }}\n"
        "</think>\n\n{% endif %}{{ m.content }}<|im_end|>\n{% endfor %}"
    )
    chat = ChatFormat(ChatTemplate(body + GENERATION.replace("OPENING", opening)))
    assert chat.syntax.reasoning_open.strip() == "<think>"
    assert chat.syntax.reasoning_close.strip() == "</think>"
    assert chat.syntax.reasoning_prefilled == prefilled
    assert chat.syntax.reasoning_variable == variable
    plain = chat.render([{"role": "user", "content": "q"}])
    assert chat.syntax.reasoning_is_open(plain.text) == prefilled
    if variable:
        switched = chat.render([{"role": "user", "content": "q"}], **{variable: True})
        assert chat.syntax.reasoning_is_open(switched.text) == (variable == "thinking")


def test_a_prompt_that_only_mentions_reasoning_does_not_open_it() -> None:
    """Only the end of the prompt counts: a user who writes <think> opens nothing."""
    syntax = derive_call_syntax(ChatTemplate(CHATML.replace("{{ m.content }}", "{{ m.content }}{# </think> #}")))
    assert syntax.reasoning_open == "<think>"
    assert not syntax.reasoning_is_open("<user>what is <think></user><assistant>")
    assert syntax.reasoning_is_open("<user>q</user><assistant><think>\n")
    assert not syntax.reasoning_is_open("<user>q</user><assistant><think></think>")


def test_a_hostile_template_is_refused_while_deriving() -> None:
    """A template that misbehaves only when it sees a call is refused with an error of ours."""
    source = "{% if messages|length > 1 and tools %}{{ 'a' * 2000000000 }}{% endif %}" + CHATML
    with pytest.raises(TemplateError, match="was stopped"):
        ChatFormat(ChatTemplate(source))

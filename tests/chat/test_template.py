"""One renderer for every template: messages in whatever form, the template's own words when it refuses."""

from __future__ import annotations

import re

import pytest

from llm.chat.template import ChatTemplate, RenderedPrompt
from llm.exceptions import RequestError, TemplateError

PLAIN = (
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}{% if add_generation_prompt %}<assistant>{% "
    "endif %}"
)
STRICT = (
    "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Roles must alternate') }}{% endif %}"
    "<{{ m.role }}>{{ m.content }}{% endfor %}"
)
CALLS = (
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}"
    "{% for c in m.tool_calls or [] %}[{{ c.id }}|{{ c.function.name }}|ARGUMENTS]{% endfor %}"
    "{% if m.role == 'tool' %}({{ m.name }}|{{ m.tool_call_id }}){% endif %}{% endfor %}"
)
OURS = {"tool_name": "add", "args": {"a": 1}, "tool_call_id": "one"}
OPENAI_DICT = {"id": "one", "type": "function", "function": {"name": "add", "arguments": {"a": 1}}}
OPENAI_TEXT = {"id": "one", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}


def text(source: str, messages: list[dict[str, object]], **options: object) -> str:
    return ChatTemplate(source).render(messages, **options).text  # type: ignore[arg-type]


def user(content: str) -> dict[str, object]:
    return {"role": "user", "content": content}


def system(content: str) -> dict[str, object]:
    return {"role": "system", "content": content}


def test_system_messages_become_one_at_the_front() -> None:
    """Wherever system messages stand, the template sees one, first."""
    messages = [system("A"), user("hi"), system("B")]
    assert text(PLAIN, messages) == "<system>A\n\nB<user>hi<assistant>"


def test_a_template_without_system_role_gets_the_text_in_the_first_user_message() -> None:
    """The system text is not lost where the template refuses the role, or drops it."""
    assert text(STRICT, [system("A"), user("hi")]) == "<user>A\n\nhi"
    silent = "{% for m in messages %}{% if m.role != 'system' %}<{{ m.role }}>{{ m.content }}{% endif %}{% endfor %}"
    assert text(silent, [system("A"), user("hi")]) == "<user>A\n\nhi"


def test_user_messages_in_a_row_are_joined_where_the_template_refuses_them() -> None:
    """A template that wants user and assistant to alternate still takes two messages of the user."""
    assert text(STRICT, [user("a"), user("b")]) == "<user>a\n\nb"
    assert text(PLAIN, [user("a"), user("b")], add_generation_prompt=False) == "<user>a<user>b"


def test_unset_variables_are_left_out() -> None:
    """`tools is defined` is false without tools; None would make it true."""
    source = "{{ tools is defined }} {{ enable_thinking is defined }} {{ bos_token }}|{{ eos_token }}"
    assert text(source, [user("x")]) == "False False |"
    assert text(source, [user("x")], tools=[{"name": "f"}], enable_thinking=False) == "True True |"
    named = ChatTemplate(source, special_tokens={"bos_token": "<s>"})
    assert named.render([user("x")]).text == "False False <s>|"


@pytest.mark.parametrize("call", [OURS, OPENAI_DICT, OPENAI_TEXT])
def test_calls_are_taken_in_every_form(call: dict[str, object]) -> None:
    """A call may be written as this library returns it or as OpenAI does; results find their call."""
    source = CALLS.replace("ARGUMENTS", "{{ c.function.arguments|tojson }}")
    messages = [
        user("q"),
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "content": "2"},
    ]
    assert text(source, messages) == '<user>q<assistant>[one|add|{"a": 1}]<tool>2(add|one)'


def test_a_template_that_wants_arguments_as_text_gets_text() -> None:
    """Where a template adds the arguments to a text, they are JSON text; it is tried, not looked up."""
    source = CALLS.replace("ARGUMENTS", "{{ 'with ' + c.function.arguments }}")
    assert ChatTemplate(source).traits.arguments == "text"
    assert '[one|add|with {"a": 1}]' in text(source, [user("q"), {"role": "assistant", "tool_calls": [OURS]}])
    printing = CALLS.replace("ARGUMENTS", "{{ c.function.arguments }}")
    assert '[one|add|{"a": 1}]' in text(printing, [user("q"), {"role": "assistant", "tool_calls": [OURS]}])


def test_one_call_at_a_time_where_the_template_takes_no_more() -> None:
    """Two calls of one message become two messages, each with its result behind it."""
    source = (
        "{% for m in messages %}{% if m.tool_calls and m.tool_calls|length > 1 %}{{ raise_exception('one only') }}"
        "{% endif %}"
        + CALLS.replace("ARGUMENTS", "{{ c.function.arguments|tojson }}").removeprefix("{% for m in messages %}")
    )
    second = {"tool_name": "mul", "args": {}, "tool_call_id": "two"}
    messages = [
        user("q"),
        {"role": "assistant", "content": "", "tool_calls": [OURS, second]},
        {"role": "tool", "content": "1", "tool_call_id": "one"},
        {"role": "tool", "content": "2", "tool_call_id": "two"},
    ]
    expected = '<user>q<assistant>[one|add|{"a": 1}]<tool>1(add|one)<assistant>[two|mul|{}]<tool>2(mul|two)'
    assert text(source, messages) == expected


def test_ids_are_shortened_where_the_template_insists() -> None:
    """A template that demands nine letters and digits gets them, the same for a call and its result."""
    source = (
        "{% for m in messages %}{% for c in m.tool_calls or [] %}{% if c.id|length != 9 %}{{ raise_exception('id') }}"
        "{% endif %}<{{ c.id }}{{ c.function.name }}{{ c.function.arguments|tojson }}>{% endfor %}"
        "{% if m.tool_call_id %}({{ m.tool_call_id }}){% endif %}{{ m.content }}{% endfor %}"
    )
    call = {**OURS, "tool_call_id": "call_0123456789"}
    rendered = text(source, [user("q"), {"role": "assistant", "tool_calls": [call]}, {"role": "tool", "content": "x"}])
    found = re.fullmatch(r"q<(\w{9})add\{\"a\": 1\}>\((\w{9})\)x", rendered)
    assert found is not None
    assert found[1] == found[2]


@pytest.mark.parametrize("key", ["reasoning_content", "thinking", "reasoning"])
def test_reasoning_goes_where_the_template_looks_for_it(key: str) -> None:
    """Templates know an assistant's reasoning by different names."""
    source = (
        f"{{% for m in messages %}}{{% if m.{key} %}}<think>{{{{ m.{key} }}}}</think>{{% endif %}}{{{{ m.content "
        f"}}}}{{% endfor %}}"
    )
    messages = [user("q"), {"role": "assistant", "content": "a", "reasoning": "why"}]
    assert text(source, messages) == "q<think>why</think>a"


def test_reasoning_in_parts() -> None:
    """Some templates take reasoning and text as parts of the content."""
    source = (
        "{% for m in messages %}{% if m.content is string %}{{ m.content }}{% else %}{% for p in m.content %}"
        "{% if p.type == 'thinking' %}[THINK]{{ p.thinking }}[/THINK]{% else %}{{ p.text }}{% endif %}{% endfor %}"
        "{% endif %}{% endfor %}"
    )
    messages = [user("q"), {"role": "assistant", "content": "a", "reasoning": "why"}]
    assert text(source, messages) == "q[THINK]why[/THINK]a"


def test_a_refusal_carries_the_templates_words_and_none_of_the_users() -> None:
    """The error says what the template said, without what it quoted of the conversation."""
    source = (
        "{% if messages[0].content != 'zquser' and messages[0].content != 'zqsystem' %}{{ raise_exception('No ' "
        "+ messages[0].content + ' here, sorry') }}{% endif %}"
    )
    with pytest.raises(TemplateError) as caught:
        text(source, [user("a very secret question")])
    assert str(caught.value) == "The model's chat template refused the messages: No [...] here, sorry"
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_a_failure_names_the_line() -> None:
    """An error inside a template says where in it, and of what kind."""
    with pytest.raises(TemplateError, match=r"failed in line 3: UndefinedError: 'nothing' is undefined"):
        text("a\nb\n{{ nothing.at.all }}", [user("q")])


@pytest.mark.parametrize("source", ["{% for %}", "{{ 'a }}", "{% endif %}", "{{ x|nofilter }}"])
def test_what_is_no_template_is_refused_at_once(source: str) -> None:
    """A damaged template is refused when the model is loaded, not at the first request."""
    with pytest.raises(TemplateError, match="cannot be read"):
        ChatTemplate(source)


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ({"role": "robot", "content": "x"}, r"messages\[0\] has role='robot'"),
        ({"role": "user", "content": 7}, r"messages\[0\] has content of type int"),
        ({"role": "assistant", "tool_calls": [{"name": "f", "arguments": "[1"}]}, r"messages\[0\] has a tool call"),
        ({"role": "assistant", "tool_calls": [{"args": {}}]}, r"messages\[0\] has a tool call"),
    ],
)
def test_messages_of_unknown_form_are_refused(message: dict[str, object], words: str) -> None:
    """An error in a message names its place and what is allowed."""
    with pytest.raises(RequestError, match=words):
        text(PLAIN, [message])


def test_tools_are_taken_flat_or_in_openais_form() -> None:
    """Both forms reach the template in the same shape."""
    flat = {"name": "f", "description": "d", "parameters": {"type": "object"}}
    source = "{{ tools|tojson }}"
    assert text(source, [user("q")], tools=[flat]) == text(
        source, [user("q")], tools=[{"type": "function", "function": flat}]
    )
    with pytest.raises(RequestError, match="A tool has no name"):
        text(source, [user("q")], tools=[{"description": "d"}])


def test_a_schema_that_a_template_chokes_on_is_simplified() -> None:
    """Where a template never ends on a list of types, it gets the first of them."""
    source = (
        "{% macro kind(t) %}{% if t == 'string' %}str{% else %}{% for part in t %}{{ kind(part) }}{% endfor "
        "%}{% endif %}"
        "{% endmacro %}{% for t in tools or [] %}{% for p in t.function.parameters.properties.values() %}"
        "{{ kind(p.type) }}{% endfor %}{% endfor %}"
    )
    tool = {"name": "f", "parameters": {"properties": {"a": {"type": ["null", "string"]}}}}
    assert text(source, [user("q")], tools=[tool]) == "str"


def test_filters_and_tags_of_chat_templates() -> None:
    """What transformers offers a template is there: JSON unescaped, loop controls, generation marks, the date."""
    assert text("{{ {'a': '<é>'}|tojson }}", [user("q")]) == '{"a": "<é>"}'
    assert text("{{ [1]|map('string')|tojson }}", [user("q")]) == '["1"]'
    assert text("{% for i in range(9) %}{% if i == 2 %}{% break %}{% endif %}{{ i }}{% endfor %}", [user("q")]) == "01"
    assert text("a{% generation %}b{% endgeneration %}c", [user("q")]) == "abc"
    assert re.fullmatch(r"\d{4}", text("{{ strftime_now('%Y') }}", [user("q")]))
    assert text("{% if true %}\nx\n{% endif %}\ny", [user("q")]) == "x\ny"


def test_a_prompt_keeps_its_text_out_of_its_repr() -> None:
    """Logging a prompt by accident shows nothing of it."""
    prompt = ChatTemplate(PLAIN).render([user("secret")])
    assert isinstance(prompt, RenderedPrompt)
    assert "secret" not in repr(prompt)

"""One table, many dialects: the format is derived from the template, and every dialect parses to the same calls.

Each row is a template and what its model writes for one and the same pair of calls.
"""

from __future__ import annotations

import dataclasses
import json
from typing import Any, NamedTuple

import pytest

from llm.base.call_syntax import CallSyntax
from llm.chat.call_writer import write_calls
from llm.chat.chat_format import ChatFormat
from llm.chat.reply_event import ReplyEvent
from llm.chat.response_parser import ResponseParser
from llm.chat.template import ChatTemplate

TOOLS: list[dict[str, Any]] = [
    {
        "name": "weather",
        "description": "Weather of a city",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string"},
                "days": {"type": "integer"},
                "units": {"type": "object"},
                "exact": {"type": "boolean"},
            },
        },
    },
    {"name": "stop", "description": "Stop", "parameters": {"type": "object", "properties": {}}},
]
ARGUMENTS = {"city": "Aix «en» Provence", "days": 3, "units": {"wind": ["km/h", None]}, "exact": True}
CALLS = [("weather", ARGUMENTS), ("stop", {})]
JSON = json.dumps(ARGUMENTS, ensure_ascii=False)
UNITS = json.dumps(ARGUMENTS["units"])


class Dialect(NamedTuple):
    """How calls are rendered (`c` is a call, `n` its name, `a` its arguments), and what a model writes."""

    call: str
    output: str
    expected: dict[str, Any]
    before: str = ""
    between: str = ""
    after: str = ""


DIALECTS: dict[str, Dialect] = {
    "json object in tags": Dialect(
        '<tool_call>\n{"name": "{{ n }}", "arguments": {{ a|tojson }}}\n</tool_call>',
        f'<tool_call>\n{{"name": "weather", "arguments": {JSON}}}\n</tool_call>\n'
        '<tool_call>\n{"name": "stop", "arguments": {}}\n</tool_call>',
        {"nesting": "json_object", "call_open": "<tool_call>\n", "call_close": "\n</tool_call>",
         "call_separator": "\n"},
        between="\n",
    ),
    "json objects in one section": Dialect(
        '{"name": "{{ n }}", "arguments": {{ a|tojson }}}',
        f'<calls>\n{{"name": "weather", "arguments": {JSON}}}\n{{"name": "stop", "arguments": {{}}}}\n</calls>',
        {"nesting": "json_object", "section_open": "<calls>\n", "section_close": "\n</calls>", "call_open": ""},
        before="<calls>\n",
        between="\n",
        after="\n</calls>",
    ),
    "json list with ids": Dialect(
        '{"name": "{{ n }}", "arguments": {{ a|tojson }}, "id": "{{ c.id }}"}',
        f'[CALLS][{{"name": "weather", "arguments": {JSON}, "id": "abc"}}, {{"name": "stop", "arguments": '
        f'{{}}, "id": "d"}}]',
        {"nesting": "json_list", "section_open": "[CALLS]", "list_open": "[", "list_close": "]", "id_key": "id"},
        before="[CALLS][",
        between=", ",
        after="]",
    ),
    "json list with other keys": Dialect(
        '{"tool_call_id": "{{ loop.index0 }}", "tool_name": "{{ n }}", "parameters": {{ a|tojson }}}',
        f'<|ACTION|>[\n    {{"tool_call_id": "0", "tool_name": "weather", "parameters": {JSON}}},\n'
        '    {"tool_call_id": "1", "tool_name": "stop", "parameters": {}}\n]<|END_ACTION|>',
        {"nesting": "json_list", "name_key": "tool_name", "arguments_key": "parameters", "id_key": "tool_call_id",
         "list_open": "[\n    ", "call_separator": ",\n    ", "key_order": ("tool_call_id", "tool_name", "parameters")},
        before="<|ACTION|>[\n    ",
        between=",\n    ",
        after="\n]<|END_ACTION|>",
    ),
    "name as the only key": Dialect(
        '{"{{ n }}": {{ a|tojson }}}',
        f'<|tools|>[{{"weather": {JSON}}}, {{"stop": {{}}}}]<|/tools|>',
        {"nesting": "json_list", "name_key": "", "arguments_key": ""},
        before="<|tools|>[",
        between=", ",
        after="]<|/tools|>",
    ),
    "name, then json": Dialect(
        "[CALL]{{ n }}[ARGS]{{ a|tojson }}",
        f"[CALL]weather[ARGS]{JSON}[CALL]stop[ARGS]{{}}",
        {"nesting": "name_json", "call_open": "[CALL]", "name_close": "[ARGS]", "call_separator": ""},
    ),
    "name, id, then json": Dialect(
        "[CALL]{{ n }}[ID]{{ c.id }}[ARGS]{{ a|tojson }}",
        f"[CALL]weather[ID]abc[ARGS]{JSON}[CALL]stop[ID]d[ARGS]{{}}",
        {"nesting": "name_json", "id_separator": "[ID]", "id_first": False},
    ),
    "id, name, then json": Dialect(
        "<|call|>{{ c.id }}<|name|>{{ n }}<|args|>{{ a|tojson }}<|/call|>",
        f"<|calls|><|call|>abc<|name|>weather<|args|>{JSON}<|/call|><|call|>d<|name|>stop<|args|>{{}}<|/call|>"
        f"<|/calls|>",
        {"nesting": "name_json", "id_separator": "<|name|>", "id_first": True, "section_open": "<|calls|>"},
        before="<|calls|>",
        after="<|/calls|>",
    ),
    "name with a number": Dialect(
        "<|call|>functions.{{ n }}:{{ loop.index0 }}<|args|>{{ a|tojson }}<|/call|>",
        f"<|calls|><|call|>functions.weather:0<|args|>{JSON}<|/call|><|call|>functions.stop:1<|args|>{{}}"
        f"<|/call|><|/calls|>",
        {"nesting": "name_json", "name_close": ":{index}<|args|>", "id_format": "functions.{name}:{index}"},
        before="<|calls|>",
        after="<|/calls|>",
    ),
    "name and fenced json": Dialect(
        "<|call|>function<|sep|>{{ n }}\n```json\n{{ a|tojson }}\n```<|/call|>",
        f"<|calls|><|call|>function<|sep|>weather\n```json\n{JSON}```<|/call|>\n<|call|>function"
        f"<|sep|>stop\n```json\n{{}}\n```<|/call|><|/calls|>",
        {"nesting": "name_json", "call_open": "<|call|>function<|sep|>", "name_close": "\n```json\n",
         "call_separator": "\n"},
        before="<|calls|>",
        between="\n",
        after="<|/calls|>",
    ),
    "name in a tag": Dialect(
        "<function={{ n }}>{{ a|tojson }}</function>",
        f"<function=weather>{JSON}</function><function=stop>{{}}</function>",
        {"nesting": "name_json", "call_open": "<function=", "name_close": ">", "call_close": "</function>"},
    ),
    "bare keys and quotes of its own": Dialect(
        "<|call>call:{{ n }}{{ '{' }}{% for k, v in a.items() %}{{ k }}:{% if v is string %}<|q|>{{ v }}<|q|>{% else %}"
        "{{ v|tojson }}{% endif %}{{ ',' if not loop.last }}{% endfor %}{{ '}' }}<call|>",
        "<|call>call:weather{city:<|q|>Aix «en» Provence<|q|>,days:3,units:{wind:[<|q|>km/h"
        "<|q|>,null]},exact:true}<call|>"
        "<|call>call:stop{}<call|>",
        {"nesting": "name_json", "string_quote": "<|q|>", "quoted_keys": False, "call_open": "<|call>call:"},
    ),
    "parameters in tags": Dialect(
        "<call>\n<function={{ n }}>\n{% for k, v in a.items() %}<parameter={{ k }}>\n{{ v if v is string "
        "else v|tojson }}\n"
        "</parameter>\n{% endfor %}</function>\n</call>",
        "<call>\n<function=weather>\n<parameter=city>\nAix «en» Provence\n</parameter>\n<parameter=days>\n3\n"
        "</parameter>\n"
        f"<parameter=units>\n{UNITS}\n</parameter>\n<parameter=exact>\nTrue\n</parameter>\n</function>\n</call>\n"
        "<call>\n<function=stop>\n</function>\n</call>",
        {"nesting": "parameters", "call_open": "<call>\n<function=", "parameter_open": "<parameter=",
         "key_close": ">\n",
         "parameter_close": "\n</parameter>\n", "name_close": ">\n", "call_close": "</function>\n</call>"},
        between="\n",
    ),
    "key and value tags": Dialect(
        "<call>{{ n }}\n{% for k, v in a.items() %}<key>{{ k }}</key>\n<value>{{ v if v is string else "
        "v|tojson }}</value>\n"
        "{% endfor %}</call>",
        "<call>weather\n<key>city</key>\n<value>Aix «en» Provence</value>\n<key>days</key>\n<value>3</value>\n"
        f"<key>units</key>\n<value>{UNITS}</value>\n<key>exact</key>\n<value>true</value>\n</call>\n"
        f"<call>stop\n</call>",
        {"nesting": "parameters", "parameter_open": "<key>", "key_close": "</key>\n<value>",
         "parameter_close": "</value>\n"},
        between="\n",
    ),
    "parameters with types": Dialect(
        '<invoke name="{{ n }}">\n{% for k, v in a.items() %}<p name="{{ k }}" string="{{ "true" if v is '
        'string else "false" }}">'
        "{{ v if v is string else v|tojson }}</p>\n{% endfor %}</invoke>\n",
        '<calls>\n<invoke name="weather">\n<p name="city" string="true">Aix «en» Provence</p>\n<p '
        'name="days" string="false">3</p>\n'
        f'<p name="units" string="false">{UNITS}</p>\n<p name="exact" string="false">true</p>\n</invoke>\n'
        '<invoke name="stop">\n</invoke>\n</calls>',
        {"nesting": "parameters", "section_open": "<calls>\n", "key_close": '" string="{type}">',
         "call_open": '<invoke name="'},
        before="<calls>\n",
        after="</calls>",
    ),
    "elements in elements": Dialect(
        "{% macro put(v) %}{% if v is mapping %}{% for k, i in v.items() %}<{{ k }}>{{ put(i) }}</{{ k }}>{% endfor %}"
        "{% elif v is iterable and v is not string %}{% for i in v %}<item>{{ put(i) }}</item>{% endfor %}"
        "{% else %}{{ v if v is string else v|tojson }}{% endif %}{% endmacro %}"
        '<call tool="{{ n }}">{% for k, v in a.items() %}<{{ k }}>{{ put(v) }}</{{ k }}>{% endfor %}</call>',
        '<call tool="weather"><city>Aix «en» Provence</city><days>3</days><units><wind><item>km/h</item>'
        '<item>null</item>'
        '</wind></units><exact>true</exact></call><call tool="stop"></call>',
        {"nesting": "parameters", "parameter_open": "<", "parameter_close": "</{key}>", "item_key": "item"},
    ),
    "python": Dialect(
        "{{ n }}({% for k, v in a.items() %}{{ k }}={{ ('\"' ~ v ~ '\"') if v is string else v|string }}{{ "
        "', ' if not loop.last }}{% endfor %})",
        "<|call|>[weather(city=\"Aix «en» Provence\", days=3, units={'wind': [\"km/h\", null]}, exact=True), "
        "stop()]<|/call|>",
        {"nesting": "python_list", "section_open": "<|call|>", "list_open": "[", "list_close": "]"},
        before="<|call|>[",
        between=", ",
        after="]<|/call|>",
    ),
}  # fmt: skip


def template_of(dialect: Dialect) -> ChatTemplate:
    before, between, after = (
        f"{{{{ {json.dumps(text)} }}}}" for text in (dialect.before, dialect.between, dialect.after)
    )
    return ChatTemplate(
        "{% if tools %}<|tools|>{{ tools|tojson }}{% endif %}"
        "{% for m in messages %}<|start|>{{ m.role }}{{ '\\n' }}"
        "{% if m.reasoning_content %}<think>\n{{ m.reasoning_content }}\n</think>\n{{ '\\n' }}{% endif %}{{ "
        "m.content }}"
        "{% if m.tool_calls %}" + before + "{% for c in m.tool_calls %}"
        "{% set n = c.function.name %}{% set a = c.function.arguments %}" + dialect.call
        + "{% if not loop.last %}" + between + "{% endif %}{% endfor %}" + after + "{% endif %}<|end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|start|>assistant\n{% endif %}"
    )  # fmt: skip


FORMATS = {name: ChatFormat(template_of(dialect)) for name, dialect in DIALECTS.items()}


def parsed(syntax: CallSyntax, text: str, *, by: int, **options: Any) -> dict[str, Any]:
    """The reply that comes of a text fed in pieces of that many characters."""
    parser = ResponseParser(syntax, **{"tools": TOOLS, **options})
    events: list[ReplyEvent] = []
    for start in range(0, len(text), by):
        events += parser.feed(text[start : start + by])
    events += parser.finish()
    reply: dict[str, Any] = {"text": "", "reasoning": "", "calls": [], "ids": [], "lost": 0, "partial": []}
    arguments: dict[int, str] = {}
    for event in events:
        if event.kind in ("text", "reasoning"):
            reply[event.kind] += event.text
        elif event.kind == "arguments":
            arguments[event.index] = arguments.get(event.index, "") + event.text
        elif event.kind == "call":
            assert event.call is not None
            reply["calls"].append((event.call["tool_name"], event.call["args"]))
            reply["ids"].append(event.call["tool_call_id"])
            if event.index in arguments:
                assert json.loads(arguments[event.index]) == event.call["args"]
        elif event.kind == "call_lost":
            reply["lost"] += 1
            arguments.pop(event.index, None)
        elif event.kind == "call_partial":
            reply["partial"].append((event.name, event.text))
    return reply


@pytest.mark.parametrize("name", DIALECTS)
def test_the_template_tells_the_format(name: str) -> None:
    """Markers, nesting, keys and separators come out of the template, whatever they are."""
    syntax = FORMATS[name].syntax
    assert {field: getattr(syntax, field) for field in DIALECTS[name].expected} == DIALECTS[name].expected
    assert syntax.native
    assert syntax.parallel
    assert syntax.turn_end == "<|end|>"
    assert (syntax.reasoning_open, syntax.reasoning_close) == ("<think>\n", "\n</think>\n\n")


@pytest.mark.parametrize("name", DIALECTS)
def test_every_dialect_parses_to_the_same_calls(name: str) -> None:
    """Whole or split at every character: the same two calls, with the same arguments, and no text."""
    output, syntax = DIALECTS[name].output, FORMATS[name].syntax
    for by in (1, 2, 3, 7, len(output)):
        reply = parsed(syntax, output, by=by)
        assert reply["calls"] == CALLS
        assert reply["text"] == ""
        assert len(set(reply["ids"])) == 2


@pytest.mark.parametrize("name", DIALECTS)
def test_reasoning_text_and_calls_are_told_apart(name: str) -> None:
    """Before the calls there may be reasoning and words; the white space between is nobody's."""
    output = "<think>\nFirst <b>the</b> weather.\n</think>\n\nI look it up. \n" + DIALECTS[name].output + "<|end|>\n"
    for by in (1, len(output)):
        reply = parsed(FORMATS[name].syntax, output, by=by)
        assert reply["reasoning"] == "First <b>the</b> weather."
        assert reply["text"] == "I look it up."
        assert reply["calls"] == CALLS


@pytest.mark.parametrize("name", DIALECTS)
def test_what_is_written_is_read_as_the_same(name: str) -> None:
    """The writer of calls and their reader agree, on values with quotes, markers and line breaks too."""
    syntax = FORMATS[name].syntax
    nasty = {**ARGUMENTS, "city": 'a "b" \\ {c} [d]\n e\'f, g)h', "units": {"k": [1.5, "x", {"y": False}]}}
    calls = [{"tool_name": "weather", "args": nasty, "tool_call_id": "abc"}, {"tool_name": "stop", "args": {}}]
    text = "".join(piece.text for piece in write_calls(calls, syntax))
    for by in (1, len(text)):
        assert parsed(syntax, text, by=by)["calls"] == [("weather", nasty), ("stop", {})]


@pytest.mark.parametrize("name", DIALECTS)
def test_a_cut_reply_is_never_an_error(name: str) -> None:
    """Cut anywhere, a reply gives the complete calls, and the one under way as partial or as text."""
    output, syntax = DIALECTS[name].output, FORMATS[name].syntax
    for end in range(len(output)):
        reply = parsed(syntax, output[:end], by=1)
        assert reply["calls"] == CALLS[: len(reply["calls"])]
        assert len(reply["calls"]) + len(reply["partial"]) <= 2
        assert reply == {**parsed(syntax, output[:end], by=end or 1), "ids": reply["ids"]}


@pytest.mark.parametrize("name", DIALECTS)
def test_what_is_no_call_is_text(name: str) -> None:
    """A damaged call loses nothing: what it was written with is in the text, and the next call is still one."""
    dialect, syntax = DIALECTS[name], FORMATS[name].syntax
    opening = syntax.section_open.strip() or syntax.call_open.strip()
    for damaged in (f"{opening} and so on.", f"Use {opening}!? to call.", f"{opening}{opening}"):
        for by in (1, len(damaged)):
            reply = parsed(syntax, damaged, by=by)
            assert reply["calls"] == []
            assert reply["text"].split() == damaged.split()
    assert parsed(syntax, f"{opening} no\n{dialect.output}", by=1)["calls"] == CALLS


@pytest.mark.parametrize("name", DIALECTS)
def test_without_tools_nothing_is_a_call(name: str) -> None:
    """A reply that shows a call, to someone who offered no tools, is text."""
    output = DIALECTS[name].output
    reply = parsed(FORMATS[name].syntax, output, by=1, tools=())
    assert reply["calls"] == []
    assert reply["text"] == output


@pytest.mark.parametrize("name", DIALECTS)
def test_history_is_rendered_in_the_models_own_format(name: str) -> None:
    """Calls and results go back into the prompt as the model wrote them."""
    history: list[dict[str, Any]] = [
        {"role": "user", "content": "q"},
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"tool_name": "stop", "args": {"a": "b"}, "tool_call_id": "1"}],
        },
        {"role": "tool", "content": "done", "tool_call_id": "1"},
    ]
    prompt = FORMATS[name].render(history, tools=TOOLS).text
    written = "".join(piece.text for piece in write_calls(history[1]["tool_calls"], FORMATS[name].syntax))
    if name not in ("python", "json list with other keys"):  # which write other quotes, and numbers for ids
        assert written.rstrip() in prompt
    assert "<|start|>tool\ndone<|end|>" in prompt


def test_the_syntax_is_plain_data() -> None:
    """A syntax compares by value, shows what differs from the default, and can be put together again from that."""
    syntax = FORMATS["name, then json"].syntax
    assert eval(repr(syntax), {"CallSyntax": CallSyntax}) == syntax
    assert repr(syntax).startswith("CallSyntax(nesting='name_json', call_open='[CALL]', name_close='[ARGS]'")
    assert dataclasses.replace(syntax) == syntax

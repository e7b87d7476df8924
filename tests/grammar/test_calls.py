"""Calls in every way of writing them: well formed and valid where they must come, never where they must not."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from llm.base.call_syntax import CallSyntax
from llm.chat.response_parser import ResponseParser
from llm.exceptions import RequestError, SchemaError
from llm.grammar.response_grammar import response_grammar

_SPEC = importlib.util.spec_from_file_location("call_examples", Path(__file__).with_name("call_examples.py"))
assert _SPEC is not None
assert _SPEC.loader is not None
examples = sys.modules["call_examples"] = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(examples)

NAMES = list(examples.SYNTAXES)
WEATHER = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOL = [{"type": "function", "function": {"name": "get_weather", "parameters": WEATHER}}]
HERMES = examples.SYNTAXES["json object"]
CALL = '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Rome"}}\n</tool_call>'


@pytest.fixture(scope="module")
def bench_of(make_bench: Any) -> Any:
    """A vocabulary for each way of writing, with markers as text or as control tokens."""
    made: dict[tuple[str, bool], Any] = {}

    def bench_of(name: str, *, special: bool = False) -> Any:
        if (name, special) not in made:
            syntax = examples.SYNTAXES[name]
            texts = examples.special_texts(syntax) if special else []
            made[name, special] = make_bench(special_texts=texts, closers=examples.closing_texts(syntax))
        return made[name, special]

    return bench_of


def check_required(syntax: CallSyntax, bench: Any, seeds: range, special: frozenset[str] = frozenset()) -> None:
    grammar = response_grammar(syntax, examples.DEFINITIONS, tool_choice="required", special_tokens=special)
    for seed in seeds:
        calls = read_calls(syntax, bench.walk(grammar, seed=seed))
        assert calls
        for name, arguments in calls:
            examples.TOOLS[name].model_validate_json(json.dumps(arguments))


def read_calls(syntax: CallSyntax, text: str) -> list[tuple[str, dict[str, Any]]]:
    """The calls in a reply that holds nothing but reasoning and calls."""
    parser = ResponseParser(syntax, tools=examples.DEFINITIONS)
    events = [*parser.feed(text), *parser.finish()]
    assert not [event.text for event in events if event.kind == "text" and event.text.strip()]
    return [(event.call["tool_name"], event.call["args"]) for event in events if event.call is not None]


@pytest.mark.parametrize("name", NAMES)
def test_required_calls_are_well_formed(name: str, bench_of: Any) -> None:
    """A model without sense that must call writes calls of known tools, with arguments that validate."""
    check_required(examples.SYNTAXES[name], bench_of(name), range(25))


@pytest.mark.parametrize("name", NAMES)
def test_markers_that_are_control_tokens(name: str, bench_of: Any) -> None:
    """The same where the vocabulary holds the markers as control tokens."""
    special = frozenset(examples.special_texts(examples.SYNTAXES[name]))
    check_required(examples.SYNTAXES[name], bench_of(name, special=True), range(10), special)


@pytest.mark.soak
@pytest.mark.parametrize("name", NAMES)
def test_five_hundred_required_calls(name: str, bench_of: Any) -> None:
    """The same, five hundred times for each way of writing."""
    check_required(examples.SYNTAXES[name], bench_of(name), range(500))


@pytest.mark.parametrize("name", NAMES)
def test_none_never_calls(name: str, bench_of: Any) -> None:
    """With tool_choice none, no reply of a model without sense holds what begins a call, and a call is refused."""
    bench, syntax = bench_of(name), examples.SYNTAXES[name]
    grammar = response_grammar(syntax, examples.DEFINITIONS, tool_choice="none")
    call = bench.walk(response_grammar(syntax, examples.DEFINITIONS, tool_choice="now"), seed=1)
    assert not bench.accepts(grammar, call)
    for seed in range(20):
        parser = ResponseParser(syntax, tools=examples.DEFINITIONS)
        events = [*parser.feed(bench.walk(grammar, seed=seed)), *parser.finish()]
        assert not [event for event in events if event.kind.startswith("call")]


@pytest.mark.parametrize("name", NAMES)
def test_auto_takes_what_required_writes(name: str, bench_of: Any) -> None:
    """With tool_choice auto, a reply may be a call alone, and it is well formed as where it must be one."""
    bench, syntax = bench_of(name), examples.SYNTAXES[name]
    auto = response_grammar(syntax, examples.DEFINITIONS)
    required = response_grammar(syntax, examples.DEFINITIONS, tool_choice="required")
    for seed in range(10):
        assert bench.accepts(auto, bench.walk(required, seed=seed))


def test_auto_leaves_text_free_until_the_marker(bench: Any) -> None:
    """Text is free, nothing but a whole call may follow the marker, and nothing but calls and the end a call."""
    grammar = response_grammar(HERMES, TOOL)
    for text in ("", "Hello", "a < b, <tool", CALL, "Let me see. " + CALL, CALL + "\n" + CALL):
        assert bench.accepts(grammar, text), text
    for text in ("<tool_call>", "<tool_call>now", CALL + " Done.", CALL.replace("Rome", 'Rome", "x": "y'), CALL[:-3]):
        assert not bench.accepts(grammar, text), text
    assert not bench.accepts(grammar, CALL.replace("get_weather", "get_time"), whole=False)


def test_the_marker_spelled_out_is_no_way_around_the_control_token(make_bench: Any) -> None:
    """Where the marker is a control token, its text cannot be written letter by letter."""
    bench = make_bench(special_texts=["<tool_call>", "</tool_call>"])
    grammar = response_grammar(HERMES, TOOL, special_tokens=frozenset({"<tool_call>", "</tool_call>"}))
    assert bench.accepts(grammar, CALL)
    constraint = bench.compiler(grammar)
    spelled = bench.vocabulary.encode("<tool_call>", special=False)
    for token in spelled[:-1]:
        constraint.advance(token)
    assert not constraint.allows(spelled[-1])


def test_a_named_tool_is_the_only_one(bench: Any) -> None:
    """A tool chosen by name, in either form, is called from the first token on."""
    for choice in ("add", {"type": "function", "function": {"name": "add"}}):
        grammar = response_grammar(HERMES, examples.DEFINITIONS, tool_choice=choice)
        for seed in range(5):
            calls = read_calls(HERMES, bench.walk(grammar, seed=seed))
            assert {name for name, _ in calls} == {"add"}
        assert not bench.accepts(grammar, "I", whole=False)


def test_one_call_where_parallel_calls_are_off(bench: Any) -> None:
    """Without parallel calls the reply ends with the first."""
    grammar = response_grammar(HERMES, TOOL, parallel_tool_calls=False)
    assert bench.accepts(grammar, CALL)
    assert not bench.accepts(grammar, CALL + "\n" + CALL)


def test_a_schema_does_not_suppress_the_tools(bench: Any) -> None:
    """With tools and a schema the reply is a call or the JSON that was asked for, and never prose."""
    schema = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
    for name in ("json object", "bare json object"):
        syntax = examples.SYNTAXES[name]
        call = CALL if syntax.call_open else '{"name": "get_weather", "parameters": {"city": "Rome"}}'
        grammar = response_grammar(syntax, TOOL, response_schema=schema)
        assert bench.accepts(grammar, call)
        assert bench.accepts(grammar, '{"name": "Ada"}')
        assert bench.accepts(grammar, '{"name": "get_weather"}')
        assert not bench.accepts(grammar, "Hello", whole=False)
    assert not bench.accepts(response_grammar(HERMES, TOOL, tool_choice="none", response_schema=schema), CALL)
    assert not bench.accepts(response_grammar(HERMES, TOOL, tool_choice="required", response_schema=schema), '{"name":')


def test_reasoning_comes_first_and_is_free(bench: Any) -> None:
    """Reasoning may hold anything, a marker too; it may be missing, but is closed where the prompt opened it."""
    syntax = examples.SYNTAXES["parameters"]
    call = "<tool_call>\n<function=get_weather>\n<parameter=city>\nRome\n</parameter>\n</function>\n</tool_call>"
    grammar = response_grammar(syntax, TOOL, tool_choice="required")
    assert bench.accepts(grammar, call)
    assert bench.accepts(grammar, f"<think>\nCall <tool_call> now?\n</think>\n\n{call}")
    assert not bench.accepts(grammar, "<think>\nhm", whole=True)
    opened = response_grammar(syntax, TOOL, tool_choice="required", reasoning_open=True)
    assert bench.accepts(opened, f"hm\n</think>\n\n{call}")
    assert not bench.accepts(opened, call)


def test_parameters_come_in_any_order_and_json_in_the_schemas(bench: Any) -> None:
    """Tagged parameters may be swapped; the keys of a JSON object stand as in the schema, which the model has read."""
    properties = {"a": {"type": "integer"}, "b": {"type": "string"}}
    tools = [{"name": "f", "parameters": {"type": "object", "properties": properties, "required": ["a", "b"]}}]
    tagged = response_grammar(examples.SYNTAXES["key and value tags"], tools, tool_choice="required")
    first, second = (
        f"<arg_key>{key}</arg_key>\n<arg_value>{value}</arg_value>" for key, value in (("a", 1), ("b", "x"))
    )
    assert bench.accepts(tagged, f"<tool_call>f\n{first}\n{second}\n</tool_call>")
    assert bench.accepts(tagged, f"<tool_call>f\n{second}\n{first}\n</tool_call>")
    assert not bench.accepts(tagged, f"<tool_call>f\n{second}\n</tool_call>")
    assert not bench.accepts(tagged, f"<tool_call>f\n{first}\n{first}\n{second}\n</tool_call>")
    grammar = response_grammar(HERMES, tools, tool_choice="required")
    assert bench.accepts(grammar, '<tool_call>{"name": "f", "arguments": {"a": 1, "b": "x"}}</tool_call>')
    assert not bench.accepts(grammar, '<tool_call>{"name": "f", "arguments": {"b"', whole=False)


def test_names_that_need_escaping(bench: Any) -> None:
    """A tool's name is data: quotes, backslashes and grammar syntax in it stand for themselves."""
    for name in ('say "hi"', "C:\\temp\\", "a|b (c)* /x/ %json {}", "été", "line\nbreak", "<|special|>"):
        tools = [{"name": name, "parameters": {}}, {"name": name + "2"}]
        grammar = response_grammar(HERMES, tools, tool_choice=name)
        call = json.dumps({"name": name, "arguments": {}}, ensure_ascii=False)
        assert bench.accepts(grammar, f"<tool_call>{call}</tool_call>"), name
        named = response_grammar(examples.SYNTAXES["name with id"], tools, tool_choice="required")
        assert bench.accepts(named, f"[CALL]{name}[ID]1[ARGS]{{}}")


def test_nothing_to_constrain() -> None:
    """Without tools and schema there is no grammar, so that plain text costs nothing."""
    assert response_grammar(HERMES, []) is None
    assert response_grammar(HERMES, [], tool_choice="none") is None


def test_the_same_request_gives_the_same_text() -> None:
    """The grammar's text is the key of the cache: equal requests give equal texts, different ones different texts."""
    first = response_grammar(HERMES, examples.DEFINITIONS)
    assert first == response_grammar(HERMES, examples.DEFINITIONS)
    assert first != response_grammar(HERMES, examples.DEFINITIONS[1:])
    assert first != response_grammar(HERMES, examples.DEFINITIONS, tool_choice="required")


@pytest.mark.parametrize(
    ("tools", "choice", "named"),
    [
        ([], "required", "required"),
        (TOOL, "get_time", "get_time"),
        (TOOL, {"type": "function"}, "tool_choice"),
        (TOOL + TOOL, "auto", "get_weather"),
        ([{"type": "function"}], "auto", "function"),
        ([{"name": ""}], "auto", "function"),
    ],
)
def test_wrong_tools_and_choices(tools: list[Any], choice: Any, named: str) -> None:
    """A choice or a tool that cannot be meant is refused, with its name."""
    with pytest.raises(RequestError, match=named):
        response_grammar(HERMES, tools, tool_choice=choice)


def test_parameters_of_a_tool_are_an_object() -> None:
    """A tool whose arguments would be no object is refused."""
    for parameters in ({"type": "string"}, {"enum": [1]}, {"$ref": "#/$defs/A", "$defs": {"A": {"type": "array"}}}):
        with pytest.raises(SchemaError, match="object"):
            response_grammar(HERMES, [{"name": "f", "parameters": parameters}])


def test_a_tools_schema_is_refused_with_the_tools_name() -> None:
    """The error for a tool's parameters names the tool, the keyword and its place."""
    tools = [{"name": "f", "parameters": {"type": "object", "properties": {"x": {"not": {}}}}}]
    with pytest.raises(SchemaError, match="'f'") as caught:
        response_grammar(HERMES, tools)
    assert (caught.value.keyword, caught.value.path) == ("not", "/properties/x")

"""Hold templates, parser and constraint against recorded outputs of models.

    python evals/chat_cases.py --templates DIR --cases FILE [--show]

A case is one JSON object in a line: `template` (a file in DIR), `input` (what the model wrote), `tools`, `params`,
`messages` where there is a history, `expect` (role, content, reasoning_content, tool_calls), `is_partial`,
`expect_reconstruction`. The output is parsed whole, then character by character; where there are tools, the constraint
that belongs to them has to accept it. The last line printed is JSON: how many passed, and which failed by number.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import re
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from llm.base.call_syntax import CallSyntax
from llm.chat.reply_event import ReplyEvent
from llm.chat.response_parser import ResponseParser
from llm.chat.template import ChatTemplate
from llm.chat.tool_format import derive_call_syntax
from llm.exceptions import TemplateError
from llm.grammar.byte_vocabulary import END_TOKEN, ByteVocabulary
from llm.grammar.constraint import GrammarCompiler
from llm.grammar.response_grammar import response_grammar

Case = dict[str, Any]


@dataclasses.dataclass
class Reply:
    """What a parser made of an output."""

    content: str = ""
    reasoning: str = ""
    calls: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    partial: list[tuple[str, str]] = dataclasses.field(default_factory=list)


@cache
def load(path: Path) -> tuple[ChatTemplate, CallSyntax]:
    template = ChatTemplate(path.read_text(encoding="utf-8"), special_tokens={"bos_token": "<s>", "eos_token": "</s>"})
    return template, derive_call_syntax(template)


def tools_of(case: Case) -> list[dict[str, Any]]:
    """The case's tools. Parameters are JSON text; a few cases give a tool as a list of three."""
    tools = []
    for tool in case["tools"]:
        name, about, parameters = (
            tool if isinstance(tool, list) else (tool["name"], tool["description"], tool["parameters"])
        )
        tools.append({"name": name, "description": about, "parameters": json.loads(parameters)})
    return tools


def template_variables(case: Case, syntax: CallSyntax) -> dict[str, Any]:
    if not syntax.reasoning_variable:
        return {}
    return {syntax.reasoning_variable: bool(case["params"].get("enable_thinking", True))}


def history(case: Case) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
    """The messages before the output, and the unfinished message that the output goes on with, if there is one."""
    messages = [
        {**message, "tool_calls": message.get("tool_calls") or []}
        for message in case.get("messages") or [{"role": "user", "content": "Hey there!"}]
    ]
    continued = messages.pop() if case["params"].get("continue_final_message") else None
    return messages, continued


def parse(case: Case, template: ChatTemplate, syntax: CallSyntax, pieces: Iterable[str]) -> Reply:
    messages, continued = history(case)
    prompt = template.render(messages, tools=tools_of(case) or None, **template_variables(case, syntax)).text
    reasoning_open = syntax.reasoning_is_open(prompt)
    separate = case["params"].get("reasoning_format", "NONE") != "COMMON_REASONING_FORMAT_NONE"
    separate = separate and "reasoning_format" in case["params"]
    if continued is not None:
        reasoning_open = case["params"]["continue_final_message"].endswith("REASONING")
        syntax = dataclasses.replace(syntax, prefill="")
    parser = ResponseParser(
        syntax,
        tools=tools_of(case),
        reasoning_open=reasoning_open,
        separate_reasoning=separate,
        json_reply="json_schema" in case["params"],
    )
    reply = Reply()
    if continued is not None:
        reply.content = continued.get("content") or ""
        reply.reasoning = (continued.get("reasoning_content") or "") if separate else ""
    for piece in pieces:
        collect(reply, parser.feed(piece))
    collect(reply, parser.finish())
    return reply


def collect(reply: Reply, events: list[ReplyEvent]) -> None:
    for event in events:
        if event.kind == "text":
            reply.content += event.text
        elif event.kind == "reasoning":
            reply.reasoning += event.text
        elif event.kind == "call" and event.call is not None:
            reply.calls.append(dict(event.call))
        elif event.kind == "call_partial":
            reply.partial.append((event.name, event.text))


def problems(case: Case, reply: Reply) -> list[str]:
    """How the reply differs from what the case expects."""
    expected = case["expect"]
    found = []
    if reply.content.strip() != expected["content"].strip():
        found.append(f"content {reply.content!r} instead of {expected['content']!r}")
    if reply.reasoning.strip() != expected["reasoning_content"].strip():
        found.append(f"reasoning {reply.reasoning!r} instead of {expected['reasoning_content']!r}")
    wanted = expected["tool_calls"]
    if len(reply.calls) + len(reply.partial) != len(wanted):
        return [*found, f"{len(reply.calls)} calls and {len(reply.partial)} partial ones instead of {len(wanted)}"]
    for call, want in zip(reply.calls, wanted, strict=False):
        if call["tool_name"] != want["name"] or not same_json(json.dumps(call["args"]), want["arguments"]):
            found.append(f"call {call!r} instead of {want!r}")
        if want["id"] and call["tool_call_id"] != want["id"]:
            found.append(f"id {call['tool_call_id']!r} instead of {want['id']!r}")
    for (name, arguments), want in zip(reply.partial, wanted[len(reply.calls) :], strict=True):
        if name != want["name"] or "".join(arguments.split()) != "".join(want["arguments"].split()):
            found.append(f"partial call {name!r} {arguments!r} instead of {want!r}")
    return found


def same_json(left: str, right: str) -> bool:
    return bool(json.loads(left) == json.loads(right))


def reconstructed(case: Case, template: ChatTemplate, syntax: CallSyntax, reply: Reply) -> bool:
    """Whether the template renders the parsed reply as the model wrote it."""
    messages, _ = history(case)
    tools, variables = tools_of(case) or None, template_variables(case, syntax)
    turn = {
        "role": "assistant",
        "content": reply.content,
        "reasoning": reply.reasoning,
        "tool_calls": reply.calls,
    }
    prompt = template.render(messages, tools=tools, **variables).text
    try:
        rendered = template.render([*messages, turn], tools=tools, add_generation_prompt=False, **variables).text
    except TemplateError:
        return False
    return rendered.startswith(prompt) and rendered[len(prompt) :].lstrip().startswith(case["input"].strip())


def constraint_accepts(case: Case, template: ChatTemplate, syntax: CallSyntax) -> bool | None:
    """Whether the constraint for the case's tools accepts its output; None for a case without tools, or a cut one.

    With tool_choice "auto", text is free until a call begins. A reply that is nothing but calls has to be accepted with
    "required" too. Markers are matched as control tokens first and then as plain text: vocabularies differ in that.
    """
    if not case["tools"] or case["is_partial"]:
        return None
    messages, _ = history(case)
    prompt = template.render(messages, tools=tools_of(case), **template_variables(case, syntax)).text
    schema = case["params"].get("json_schema")
    calls_only = bool(case["expect"]["tool_calls"]) and not case["expect"]["content"].strip()
    markers = frozenset(re.findall(r"<[|\uff5c][^<>]*[|\uff5c]>|\[[A-Z_]+\]", "\n".join(marker_texts(syntax))))
    for choice, special in itertools.product(("auto", "required") if calls_only else ("auto",), (markers, frozenset())):
        grammar = response_grammar(
            syntax,
            tools_of(case),
            tool_choice=choice,
            response_schema=json.loads(schema) if schema else None,
            special_tokens=special,
            reasoning_open=syntax.reasoning_is_open(prompt),
        )
        if grammar is not None and not accepts(grammar, case["input"], special):
            return False
    return True


def marker_texts(syntax: CallSyntax) -> list[str]:
    return [value for value in dataclasses.asdict(syntax).values() if isinstance(value, str)]


def accepts(grammar: str, text: str, special: frozenset[str]) -> bool:
    vocabulary = ByteVocabulary(sorted(special))
    constraint = GrammarCompiler(vocabulary)(grammar)
    for token in vocabulary.encode(text, special=True):
        if not constraint.allows(token):
            return False
        constraint.advance(token)
    return constraint.allows(END_TOKEN)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--templates", type=Path, required=True, help="folder of the templates")
    options.add_argument("--cases", type=Path, required=True, help="file with one case in a line")
    options.add_argument("--show", action="store_true", help="print what went wrong, with the texts of the cases")
    chosen = options.parse_args()
    cases: list[Case] = [json.loads(line) for line in chosen.cases.read_text(encoding="utf-8").splitlines() if line]
    failed: dict[str, list[int]] = {"whole": [], "streamed": [], "constraint": [], "reconstruction": []}
    constrained = 0
    for number, case in enumerate(cases):
        template, syntax = load(chosen.templates / case["template"])
        whole = parse(case, template, syntax, [case["input"]])
        streamed = parse(case, template, syntax, case["input"])
        for name, reply in (("whole", whole), ("streamed", streamed)):
            if wrong := problems(case, reply):
                failed[name].append(number)
                if chosen.show:
                    print(f"{number} {case['template']} {name}: {'; '.join(wrong)}")
        accepts = constraint_accepts(case, template, syntax)
        constrained += accepts is not None
        if accepts is False:
            failed["constraint"].append(number)
        if case.get("expect_reconstruction") and not reconstructed(case, template, syntax, whole):
            failed["reconstruction"].append(number)
    overrides = {name: load(chosen.templates / name)[1].override for name in {case["template"] for case in cases}}
    overridden = {name: override for name, override in sorted(overrides.items()) if override}
    summary = {
        "total": len(cases),
        "whole": len(cases) - len(failed["whole"]),
        "streamed": len(cases) - len(failed["streamed"]),
        "constraint": constrained - len(failed["constraint"]) if constrained else None,
        "constraint_total": constrained if constrained else None,
        "templates": len(overrides),
        "overrides": len(overridden),
        "overridden": overridden,
        "failed": failed,
    }
    print(json.dumps(summary))


if __name__ == "__main__":
    main()

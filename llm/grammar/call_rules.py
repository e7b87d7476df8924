"""Rules for calls in a model's own syntax: a list of calls, one call, its name and its arguments.

Invariant: what these rules match is a sequence of calls as `CallSyntax` draws them, each with the name of a given tool
and arguments that the tool's schema allows.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from ..base.call_syntax import CallSyntax
from .json_schema import json_rule
from .lark import Grammar, either, literal, pattern_of
from .markers import Blank, Markers, Part, Rule, Text, body
from .parameter_rules import ParameterRules, properties_of
from .schema_tree import resolved
from .sequences import any_order
from .tool_arguments import Tool
from .value_rules import Notation, ValueRules

BLANKS = r"[ \t\r\n]{0,16}"
_ID = "[A-Za-z0-9_.:-]{1,64}"
_INDEX = "/[0-9]{1,3}/"


class CallRules:
    """The calls of one reply.

    Args:
        grammar: where the rules go.
        markers: which markers are control tokens.
        syntax: how the model writes calls.
        tools: what may be called.
        parallel: whether there may be several calls.
    """

    def __init__(
        self, grammar: Grammar, markers: Markers, syntax: CallSyntax, tools: Sequence[Tool], *, parallel: bool
    ) -> None:
        self._grammar = grammar
        self._markers = markers
        self._syntax = syntax
        self._tools = tools
        self._parallel = parallel and syntax.parallel
        self._rules: dict[tuple[str, str | None], str] = {}

    def calls(self, opening: str | None = None) -> str:
        """One call or several, with everything around them.

        Args:
            opening: what is left of the first marker, where its beginning is matched elsewhere.
        """
        section, first = self._syntax.section_open, self._syntax.call_open
        if opening is not None:
            section, first = (opening, first) if section else (section, opening)
        marker = self._markers.marker
        before = [*marker(section), Blank(), *marker(self._syntax.list_open), Blank()]
        return self._listed([*before, Rule(self._call(first))])

    def bare_calls(self) -> str:
        """Calls in a syntax without markers, beginning with one piece of text that matches `bare_head`."""
        return self._listed([Rule(self._call("", lead=self._bare_lead))])

    def bare_head(self) -> str:
        """The pattern of what only a call begins with, in a syntax without markers."""
        heads = dict.fromkeys(self._head(tool) for tool in self._tools)
        return f"{self._bare_lead}(?:{'|'.join(heads)})"

    @property
    def _bare_lead(self) -> str:
        list_open = self._syntax.list_open.strip()
        return f"{BLANKS}{pattern_of(list_open)}{BLANKS}" if list_open else BLANKS

    def _listed(self, parts: list[Part]) -> str:
        """`parts` end with the first call; this adds further ones and the end of the list."""
        marker = self._markers.marker
        if self._parallel:
            separator = body([Blank(), *marker(self._syntax.call_separator), Blank()])
            parts.append(Rule(f"({separator} {self._call(self._syntax.call_open)})*"))
        parts += [Blank(), *marker(self._syntax.list_close), Blank(), *marker(self._syntax.section_close)]
        return self._grammar.rule("calls", body(parts))

    def _call(self, opening: str, *, lead: str | None = None) -> str:
        """One call, of any tool.

        Args:
            opening: the marker before it.
            lead: the pattern of what stands before it in the same piece of text, in a syntax without markers.
        """
        marker = self._markers.marker
        tools = [self._tool_rule(tool, lead) for tool in self._tools]
        closing = [Blank(), *marker(self._syntax.call_close)] if self._syntax.call_close else []
        return self._grammar.rule("call", body([*marker(opening), Rule(either(tools)), *closing]))

    def _tool_rule(self, tool: Tool, lead: str | None) -> str:
        if (tool.name, lead) not in self._rules:
            self._rules[tool.name, lead] = self._grammar.rule("tool", self._tool(tool, lead))
        return self._rules[tool.name, lead]

    def _tool(self, tool: Tool, lead: str | None) -> str:
        """One call from its name on, or from its opening brace."""
        nesting = self._syntax.nesting
        if nesting in ("json_object", "json_list"):
            return self._json_object(tool, lead)
        if nesting == "python_list":
            return self._python_call(tool, lead)
        if nesting == "parameters":
            parameters = ParameterRules(self._grammar, self._markers, self._syntax, tool.arguments).all()
            return body([*self.named(tool), Blank(), Rule(parameters)])
        # With nothing between name and arguments, a blank would count as part of the name.
        between = [Blank()] if self._syntax.name_close else []
        return body([*self.named(tool), *between, Rule(self.arguments(tool))])

    def named(self, tool: Tool) -> list[Part]:
        """The name of a call, its id where the syntax has one, and what stands between them and the arguments."""
        syntax, marker = self._syntax, self._markers.marker
        name: list[Part] = [Text(tool.name)]
        if syntax.id_separator:
            identifier: list[Part] = [Rule(self._grammar.terminal("id", f"/{_ID}/"))]
            first, second = (identifier, name) if syntax.id_first else (name, identifier)
            name = [*first, *marker(syntax.id_separator), *second]
        before, indexed, after = syntax.name_close.replace("{name}", tool.name).partition("{index}")
        if indexed:
            return [*name, *marker(before), Rule(self._grammar.terminal("index", _INDEX)), *marker(after)]
        return [*name, *marker(before)]

    def arguments(self, tool: Tool) -> str:
        """The arguments of a call as one object."""
        notation = Notation(quote=self._syntax.string_quote, quoted_keys=self._syntax.quoted_keys)
        if notation == Notation():
            return self._grammar.rule("arguments", json_rule(tool.arguments))
        root = properties_of(tool.arguments, tool.arguments.get("$defs", {}))
        return ValueRules(self._grammar, self._markers, notation, tool.arguments).value(root)

    def _head(self, tool: Tool) -> str:
        """The pattern of what a call begins with."""
        if self._syntax.nesting == "python_list":
            return rf"{pattern_of(tool.name)}\("
        return rf"\{{{BLANKS}{pattern_of(self._first_key(tool))}{BLANKS}:"

    def _first_key(self, tool: Tool) -> str:
        key = self._syntax.key_order[0] if self._syntax.name_key else tool.name
        return json.dumps(key, ensure_ascii=False)

    def _begun(self, tool: Tool, lead: str | None) -> str:
        """The beginning of a call: where it could be mistaken for free text, as one piece that text cannot have."""
        if lead is not None:
            return self._grammar.terminal("head", f"/{lead}{self._head(tool)}/")
        if self._syntax.nesting == "python_list":
            return literal(f"{tool.name}(")
        return f'"{{" blank {literal(self._first_key(tool))} blank ":"'

    def _json_object(self, tool: Tool, lead: str | None) -> str:
        syntax = self._syntax
        values = {
            syntax.name_key: literal(json.dumps(tool.name, ensure_ascii=False)),
            syntax.arguments_key: self.arguments(tool),
            syntax.id_key: self._grammar.terminal("id", f'/"{_ID}"/'),
        }
        if not syntax.name_key:
            members = [self.arguments(tool)]
        else:
            # A key of the template that stands for neither name, arguments nor id tells what kind of thing this is.
            members = [values.get(key, literal('"function"')) for key in syntax.key_order]
            for index, key in enumerate(syntax.key_order[1:], start=1):
                members[index] = f'{literal(json.dumps(key))} blank ":" blank {members[index]}'
        return f"""{self._begun(tool, lead)} blank {' blank "," blank '.join(members)} blank "}}\""""

    def _python_call(self, tool: Tool, lead: str | None) -> str:
        definitions = tool.arguments.get("$defs", {})
        root = properties_of(tool.arguments, definitions)
        values = ValueRules(self._grammar, self._markers, Notation(python=True), tool.arguments)
        members = {
            key: f"{literal(f'{key}=')} {values.value(node)}"
            for key, node in root["properties"].items()
            if resolved(node, definitions) is not False
        }
        arguments = any_order(self._grammar, members, root.get("required", []), separator='blank "," blank')
        return f'{self._begun(tool, lead)} blank {arguments} blank ")"'

"""A reply whose parts stand between markers: reasoning, text, calls, or JSON.

The lexer behind a grammar takes the longest piece of text that fits and never goes back, so free text must end by
itself where a marker begins. Invariant: no terminal for free text can match what begins a call or, at the start of the
reply, what begins the reasoning.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..base.call_syntax import CallSyntax
from .call_rules import BLANKS, CallRules
from .lark import Grammar, either, literal, optional, pattern_of, without
from .markers import Blank, Markers, Part, Rule, Special, Text, body
from .tool_arguments import Calls


class MarkedReply:
    """The start of the grammar.

    Args:
        grammar: where the rules go.
        markers: which markers are control tokens.
        syntax: how the model writes.
        rules: the calls that may be written.
        calls: whether there may or must be calls.
        answer: rule of the JSON that the reply must be; empty where text is free.
        inside: whether the prompt ends inside the reasoning.
    """

    def __init__(
        self,
        grammar: Grammar,
        markers: Markers,
        syntax: CallSyntax,
        rules: CallRules,
        calls: Calls,
        answer: str,
        *,
        inside: bool,
    ) -> None:
        self._grammar = grammar
        self._markers = markers
        self._syntax = syntax
        self._rules = rules
        self._calls = calls
        self._answer = answer
        self._inside = inside
        self._lead = (syntax.section_open or syntax.call_open).lstrip()
        self._content_open = syntax.content_open.removeprefix(syntax.prefill)

    def start(self) -> str:
        """The expression of the whole reply."""
        free = self._calls != "required" and not self._answer
        if free:
            reply = self._free()
        elif self._calls == "required":
            reply = f"blank {self._first_calls()} blank"
        elif self._calls == "auto":
            reply = either([f"blank {self._first_calls()} blank", self._framed_answer()])
        else:  # JSON alone, with no blanks that a model could lose itself in and a reader would have to strip
            reply = self._framed_answer()
        return f"{self._reasoning(before_text=free)} {reply} {self._end() if free else ''}".strip()

    def _reasoning(self, *, before_text: bool) -> str:
        opened, closed = self._syntax.reasoning_open.strip(), self._syntax.reasoning_close.strip()
        if not opened or not closed:
            return ""
        banned = [closed] + (self._triggers() if self._calls == "none" else [])
        thought = body([*self._thought(banned, closed), *([] if before_text else [Blank()])])
        if self._inside:
            return thought
        opening = self._markers.exact(opened)
        if before_text and isinstance(opening[0], Text):
            opening[0] = Rule(self._grammar.terminal("think", f"/{self._reasoning_head()}/"))
            return optional(f"{body(opening)} {thought}")
        return optional(f"{body([Blank(), *opening])} {thought}")

    def _thought(self, banned: list[str], closed: str) -> list[Part]:
        """Reasoning to its end. A model may think of its own markers, so control tokens among them are let through."""
        syntax = self._syntax
        texts = (syntax.section_open, syntax.section_close, syntax.call_open, syntax.call_close, syntax.name_close)
        parts = dict.fromkeys(part for text in texts for part in self._markers.exact(text) if isinstance(part, Special))
        tokens = [part.body() for part in parts if part.value not in banned and part.value not in closed]
        ended = ending(self._grammar, self._markers, banned, closed)
        if not tokens or self._calls == "none":
            return ended
        text = self._grammar.terminal("until", without(banned))
        return [Rule(f"({text} {either(tokens)})*"), *ended]

    def _reasoning_head(self) -> str:
        """The pattern of what opens the reasoning at the start of a reply, where that is text."""
        opening = self._markers.exact(self._syntax.reasoning_open.strip())
        if self._inside or not opening or not isinstance(opening[0], Text):
            return ""
        return BLANKS + pattern_of(opening[0].value)

    def _first_calls(self) -> str:
        if self._syntax.prefill:
            return self._rules.calls(self._lead.removeprefix(self._syntax.prefill))
        later = [self._begun_by(opening) for opening in self._openings(self._lead)[1:]]
        return either([self._rules.calls(), *later])

    def _begun_by(self, opening: str) -> str:
        """Calls without what their first marker has before `opening`."""
        rest = self._lead[self._lead.index(opening) + len(opening) :]
        return f"{body(self._markers.exact(opening))} {self._rules.calls(rest)}"

    def _framed_answer(self) -> str:
        opening = body([*self._markers.marker(self._content_open), Blank()])
        closing = body([Blank(), *self._markers.marker(self._syntax.content_close)])
        if not self._content_open:
            return self._answer
        # The prompt's half of a marker has to be completed; a whole one may be left out.
        return f"{opening if self._syntax.prefill else optional(opening)} {self._answer} {optional(closing)}"

    # Free text, and calls after it.

    def _free(self) -> str:
        flow = self._flow()
        opening, closing = self._markers.exact(self._content_open.strip()), self._syntax.content_close.strip()
        if self._syntax.prefill and opening:
            # The prompt ends in what opens either; what follows tells which.
            text = f"{body(self._markers.marker(self._content_open))} {flow}"
            return either([text, self._first_calls()]) if self._calls == "auto" else text
        if not opening or not isinstance(opening[0], Special):
            return flow
        text = self._text()
        framed = f"{text} {body(opening)} {flow}"
        if not closing:
            return either([flow, framed])
        calls = f"(blank {self._rules.calls()})?" if self._calls == "auto" else ""
        return either(
            [flow, framed, f"{text} {body(opening)} {text} {body(self._markers.exact(closing))} {calls} blank"]
        )

    def _flow(self) -> str:
        """Text, and where calls are allowed the calls that follow it."""
        if self._calls == "none":
            return self._text()
        if not self._lead:
            return either([self._text(), f"{self._rules.bare_calls()} blank"])
        ways = [self._text()]
        if isinstance(self._markers.exact(self._lead)[0], Special):
            ways = [f"{self._text()} ({self._rules.calls()} blank)?"]
        for opening in self._openings(self._lead):
            if isinstance(self._markers.exact(opening)[0], Text):
                before = self._grammar.terminal("text", self._text_body(set(self._triggers()) - {opening}))
                begun = self._grammar.rule("begun", before, options=f"[suffix={literal(opening)}]")
                rest = self._lead[self._lead.index(opening) + len(opening) :]
                ways.append(f"{begun} {self._rules.calls(rest)} blank")
        return either(ways)

    def _text(self) -> str:
        return self._grammar.terminal("text", self._text_body(self._triggers()))

    def _text_body(self, banned: Iterable[str]) -> str:
        text = without(sorted(banned))
        heads = [self._reasoning_head(), "" if self._lead else self._rules.bare_head()]
        for head in filter(None, heads):
            text += f" & ~/{head}(?s:.*)/"
        return text

    def _triggers(self) -> list[str]:
        """Texts that begin calls, also where a control token of the same spelling exists."""
        markers = (self._syntax.section_open, self._syntax.call_open)
        return [opening for marker in markers for opening in self._openings(marker)]

    def _openings(self, marker: str) -> list[str]:
        """The parts of a marker that no plain text has and that call for the rest of it.

        Its first word is one, unless that also ends the turn. Where it is two tags, ``<tool_call>\\n<function=``, the
        second one is another, because models forget the first.
        """
        words = marker.split()
        if not words:
            return []
        if words[0] == self._syntax.turn_end.strip():
            return [marker.strip()]
        return words if len(words) == 2 and all(word.startswith("<") for word in words) else words[:1]

    def _end(self) -> str:
        """What the template writes after a reply, where that is a control token that a model may take for the end."""
        parts = self._markers.exact(self._syntax.turn_end.strip())
        if parts and all(isinstance(part, Special) for part in parts):
            return optional(body(parts))
        return ""


def ending(grammar: Grammar, markers: Markers, banned: Sequence[str], closed: str) -> list[Part]:
    """Text with none of `banned` in it, and the marker `closed` that ends it."""
    closing = markers.exact(closed)
    if isinstance(closing[0], Text):
        text = grammar.terminal("until", without([word for word in banned if word != closed]))
        return [Rule(grammar.rule("ended", text, options=f"[suffix={literal(closing[0].value)}]")), *closing[1:]]
    return [Rule(grammar.terminal("until", without(banned))), *closing]

"""Made-up conversations for a chat template, and what it writes after the question in them.

The words are such as no template contains, so where they come out says where names, arguments and text belong.
"""

from __future__ import annotations

from typing import Any

from ..exceptions import TemplateError
from .template import ChatTemplate, TemplateLimitError

QUESTION = "zquser"
CONTENT = "zqcontent"
REASON = "zqreason"
NAMES = ("zqtool0", "zqtool1")
IDS = ("zqid0id00", "zqid1id11")
KEYS = ("zqkeya", "zqkeyb")
VALUES = ("zqvala", "zqvalb")
ARGUMENTS = dict(zip(KEYS, VALUES, strict=True))

_PARAMETERS = {
    "type": "object",
    "properties": {key: {"type": "string", "description": "zqabout"} for key in KEYS},
    "required": list(KEYS),
}
_TOOLS = [{"name": name, "description": "zqabout", "parameters": _PARAMETERS} for name in NAMES]


class Probe:
    """Asks one template."""

    def __init__(self, template: ChatTemplate) -> None:
        self._template = template
        self.traits = template.traits
        self.variables = template.variables
        self.source = template.source

    def prompt(self, *, generation: bool = True, **variables: object) -> str:
        """What stands between the question and the reply, or after the question where none is asked for."""
        return self._after([], generation, variables) or ""

    def whole_prompt(self, **variables: object) -> str:
        """The whole prompt for a reply; empty where the template refuses."""
        return self._render([], True, variables) or ""

    def answer(self, *, reason: bool = False, **variables: object) -> str | None:
        """An answer in words."""
        return self._after([{"role": "assistant", "content": CONTENT, **_reasoning(reason)}], False, variables)

    def calls(
        self, count: int = 1, *, content: bool = False, reason: bool = False, arguments: dict[str, Any] | None = None
    ) -> str | None:
        """A turn with calls, with or without words before them."""
        calls = [
            {"id": IDS[number], "function": {"name": NAMES[number], "arguments": arguments or ARGUMENTS}}
            for number in range(count)
        ]
        turn = {"role": "assistant", "content": CONTENT if content else "", "tool_calls": calls, **_reasoning(reason)}
        return self._after([turn], False, {})

    def _after(self, turns: list[dict[str, Any]], generation: bool, variables: dict[str, Any]) -> str | None:
        rendered = self._render(turns, generation, variables)
        return rendered.rpartition(QUESTION)[2] if rendered is not None and QUESTION in rendered else None

    def _render(self, turns: list[dict[str, Any]], generation: bool, variables: dict[str, Any]) -> str | None:
        messages = [{"role": "user", "content": QUESTION}, *turns]
        try:
            return self._template.render(messages, tools=_TOOLS, add_generation_prompt=generation, **variables).text
        except TemplateLimitError:
            raise
        except TemplateError:
            return None


def _reasoning(wanted: bool) -> dict[str, str]:
    return {"reasoning": REASON} if wanted else {}

"""What a loaded model can do, as data: for faces that have to announce it before they ask for it."""

from __future__ import annotations

from dataclasses import dataclass

from ..chat.chat_format import ChatFormat

_EFFORT_VARIABLE = "reasoning_effort"


@dataclass(frozen=True, slots=True, kw_only=True)
class Abilities:
    """What a model can do.

    Attributes:
        context_window: the most tokens that prompt and reply may have together.
        native_tools: its template knows tools. Without, calls are made in a generic format.
        reasons: its replies may have reasoning, told apart from the text.
        reasoning_variable: the template's variable that switches reasoning on and off; empty where there is none.
        effort_variable: the template's variable for how much to reason; empty where there is none.
        reasoning_tags: what stands around its reasoning; empty where it has none.
    """

    context_window: int
    native_tools: bool
    reasons: bool
    reasoning_variable: str
    effort_variable: str
    reasoning_tags: tuple[str, str]

    @classmethod
    def of(cls, chat: ChatFormat, *, context_window: int) -> Abilities:
        """What follows from a chat format."""
        syntax = chat.syntax
        return cls(
            context_window=context_window,
            native_tools=syntax.native,
            reasons=bool(syntax.reasoning_open.strip()),
            reasoning_variable=syntax.reasoning_variable,
            effort_variable=_EFFORT_VARIABLE if _EFFORT_VARIABLE in chat.template.variables else "",
            reasoning_tags=(syntax.reasoning_open.strip(), syntax.reasoning_close.strip()),
        )

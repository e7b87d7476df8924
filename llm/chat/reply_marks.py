"""How a template marks the parts of a reply that are not calls: reasoning, text, end of turn."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .marker_text import common_end, common_start, cut
from .probe import CONTENT, NAMES, REASON, VALUES, Probe

_THOUGHT = r"(?:think|thought|reason)"
_MARKER = r"(?:<[^<>\s]*>|\[/?[A-Z_]+\])"
_THOUGHT_MARKER = rf"(?:<[^<>\s]*{_THOUGHT}[^<>\s]*>|\[[^\[\]\s]*{_THOUGHT}[^\[\]\s]*\])"
# A marker that names thinking, or a marker followed by a word that does: <|channel>thought, <|open|>think<|sep|>.
_THOUGHT_GROUP = rf"(?:{_THOUGHT_MARKER}|<[^<>\s]*>\w*{_THOUGHT}\w*(?:<[^<>\s]*>)?)"
_OPENS_AT_END = re.compile(rf"{_THOUGHT_GROUP}\s*\Z", re.IGNORECASE)
_GROUP = re.compile(_THOUGHT_GROUP, re.IGNORECASE)
_CLOSES_AT_START = re.compile(rf"\s*{_THOUGHT_GROUP}\s*", re.IGNORECASE)
_SWITCHES = ("enable_thinking", "thinking", "enable_reasoning", "reasoning")
_MAX_PREFILL = 80
_CLOSING_WORD = re.compile(r"</|\[/|end|close", re.IGNORECASE)
_SOURCE_PAIR = re.compile(rf"</(\w*[:.]?\w*{_THOUGHT}\w*)>|\[/(\w*{_THOUGHT}\w*)\]", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class ReplyMarks:
    """Fields of the same name in CallSyntax, and `header`: what stands between the question and the reply."""

    header: str
    reasoning_open: str
    reasoning_close: str
    reasoning_prefilled: bool
    reasoning_variable: str
    content_open: str
    content_close: str
    message_open: str
    turn_end: str


def find_reply_marks(probe: Probe) -> ReplyMarks:
    """Compare an answer with and without reasoning, a call, and the prompt for a reply."""
    prompt = probe.prompt()
    before, _, after = (probe.answer() or "").partition(CONTENT)
    called = probe.calls() or ""
    header = _header(prompt, before, called.partition(NAMES[0])[0])
    variable, thinking_prompt = _reasoning_variable(probe, prompt)
    opening, closing = _reasoning(probe, header, prompt, thinking_prompt)
    content_open = without_reasoning(before[len(header) :]) if before else ""
    message_open = _message_open(header, closing)
    if message_open:
        closing, _, rest = closing.partition(message_open)
        content_open = content_open or rest
    content_close = _closing(content_open, after)
    return ReplyMarks(
        header=header,
        reasoning_open=opening,
        reasoning_close=closing,
        reasoning_prefilled=bool(opening.strip()) and prompt.rstrip().endswith(opening.strip()),
        reasoning_variable=variable,
        content_open=content_open if content_open.strip() else "",
        content_close=content_close,
        message_open=message_open,
        turn_end=_turn_end(after[len(content_close) :], called),
    )


def _header(prompt: str, *starts: str) -> str:
    """What every assistant's turn begins with."""
    shown = [start for start in starts if start]
    header = common_start(prompt, *shown)
    if len(prompt) - len(header) > _MAX_PREFILL and shown:
        # The prompt goes on with something else, such as a reminder of the tools.
        header = common_start(*shown)
    return _without_opening(header)


def _message_open(header: str, reasoning_close: str) -> str:
    """What opens a further message, where reasoning and answer are messages of their own."""
    opening = re.search(r"<[^<>\s]*>\w+\Z", header.rstrip())
    return opening.group() if opening and opening.group() in reasoning_close else ""


def without_reasoning(text: str) -> str:
    """The text without an empty reasoning in front of it: ``<think></think>``, or ``</think>`` alone."""
    marks = list(_GROUP.finditer(text))
    return text[marks[-1].end() :].lstrip() if marks else text


def _without_opening(header: str) -> str:
    """The header without a reasoning that is opened in every case."""
    opening = _OPENS_AT_END.search(header)
    if opening is None:
        return header
    return _without_opening(header[: opening.start()])


def _reasoning_variable(probe: Probe, prompt: str) -> tuple[str, str]:
    """The variable that switches reasoning, and the prompt that it gives when it is on."""
    for name in _SWITCHES:
        if name in probe.variables and probe.whole_prompt(**{name: True}) != probe.whole_prompt(**{name: False}):
            return name, probe.prompt(**{name: True}) or prompt
    return "", prompt


def _reasoning(probe: Probe, header: str, *prompts: str) -> tuple[str, str]:
    """What stands before and after reasoning, from the first source that shows it."""
    answer = probe.answer(reason=True) or ""
    if REASON in answer and CONTENT in answer.partition(REASON)[2]:
        before, _, after = answer.partition(REASON)
        opening, closing = _opening(before, header), _closing_mark(after.partition(CONTENT)[0])
    else:
        called = probe.calls(reason=True) or ""
        before, found, after = called.partition(REASON)
        if not found:
            return _reasoning_from_prompt(probe, *prompts)
        rest = after.partition(NAMES[0])[0]
        opening = _opening(before, header)
        closing = _closing_mark(rest) if _CLOSES_AT_START.match(rest) else _until_calls(probe, rest)
    if not opening.strip():
        # The answer shows only the end of the reasoning; its beginning belongs to the prompt.
        opening = next((prompt[len(header) :] for prompt in prompts if prompt[len(header) :].strip()), "")
    return opening, closing


def _reasoning_from_prompt(probe: Probe, *prompts: str) -> tuple[str, str]:
    """A template that drops reasoning may still open it in the prompt, or speak of its end in its own source."""
    for prompt in prompts:
        opening = _OPENS_AT_END.search(prompt)
        if opening and not _CLOSING_WORD.search(opening.group()):
            return opening.group(), opening.group().strip().replace("<", "</", 1).replace("[", "[/", 1)
    pair = _SOURCE_PAIR.search(probe.source)
    if pair is None:
        return "", ""
    return pair.group().replace("/", "", 1), pair.group()


def _opening(before: str, header: str) -> str:
    opening = _OPENS_AT_END.search(before)
    if opening is not None:
        return opening.group()
    return before[len(header) :] if before.startswith(header) else ""


def _closing_mark(between: str) -> str:
    closing = _CLOSES_AT_START.match(between)
    return closing.group() if closing else between


def _until_calls(probe: Probe, rest: str) -> str:
    """What stands between reasoning and calls, without what opens the calls."""
    plain = (probe.calls() or "").partition(NAMES[0])[0]
    return rest[: len(rest) - len(common_end(rest, plain))]


def _closing(content_open: str, after: str) -> str:
    """The end of a text that was opened by a marker: the counterpart of that marker."""
    for word in re.findall(r"[A-Za-z]{3,}", content_open):
        if word.lower() in ("start", "open", "begin"):
            continue
        counterpart = re.match(rf"\s*(?:<[^<>\s]*{word}[^<>\s]*>|<[^<>\s]*>{word}<[^<>\s]*>)", after, re.IGNORECASE)
        if counterpart:
            return counterpart.group()
    return ""


def _turn_end(after: str, called: str) -> str:
    """The first marker after a text, with as much behind it as tells it from the markers within a call."""
    _, _, body = called.partition(NAMES[0])
    body = body.rpartition(VALUES[-1])[0]
    end = ""
    for token in cut(after):
        end += token
        # Where one marker alone does not tell, the next one completes it: <|close|>message<|sep|>.
        if re.fullmatch(_MARKER, token) and end.strip() not in body:
            return end
    return end

"""How a template writes calls: taken apart from the text that it makes of made-up ones."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from typing import Any

from ..base.call_syntax import CallSyntax
from .marker_text import common_end, common_start, shared_prefix, shared_suffix, split_between
from .probe import ARGUMENTS, CONTENT, IDS, KEYS, NAMES, VALUES, Probe
from .reply_marks import ReplyMarks, without_reasoning

_TYPED_VALUES: dict[str, object] = {
    "string": "zqvala",
    "integer": 7101,
    "number": 71.25,
    "boolean": True,
    "null": None,
    "array": ["zqitem"],
    "object": {"zqsub": "zqitem"},
}


# What a turn ends with where an answer shows no end, or another one than a call.
_ENDS_TURN = re.compile(r"<[^<>\s]*(?:eos|eot|eom|end.of.(?:turn|text|sentence|message))[^<>\s]*>\s*\Z", re.IGNORECASE)


@dataclass(frozen=True)
class _Call:
    """Where one call stands in a section: its form without the markers around it."""

    start: int
    end: int
    form: CallSyntax


def find_call_marks(probe: Probe, marks: ReplyMarks) -> CallSyntax | None:
    """The calls' form, or None where the template shows none that can be read."""
    section = _section(probe, marks, 1)
    if section is None:
        return None
    call = _read_call(section, 0, probe)
    if call is None:
        return None
    form = call.form
    before, after = section[: call.start], section[call.end :]
    between = None
    if probe.traits.parallel:
        pair = _section(probe, marks, 2)
        first = _read_call(pair, 0, probe) if pair else None
        second = _read_call(pair, 1, probe) if pair else None
        if pair and first and second:
            between = pair[first.end : second.start]
            before, after = pair[: first.start], pair[second.end :]
            form = _with_index(first.form, second.form)
    return _with_markers(form, before, between, after)


def _section(probe: Probe, marks: ReplyMarks, count: int) -> str | None:
    """The text of `count` calls, from the first marker to the end of the turn."""
    turn = _turn(probe, count, content=False)
    if NAMES[0] not in turn:
        return None
    start = common_start(turn.partition(NAMES[0])[0], marks.header)
    section = _without_reasoning(turn[len(start) :])
    words, found, calls = _turn(probe, count, content=True).partition(CONTENT)
    if found and NAMES[0] not in words and NAMES[0] in calls:
        if marks.content_close and calls.startswith(marks.content_close):
            calls = calls[len(marks.content_close) :]
        section = common_end(section, calls)
    end = marks.turn_end.strip()
    cut_at = section.find(end, section.rfind(VALUES[-1])) if re.search(r"[<\[]", end) else -1
    section = section[:cut_at] if cut_at >= 0 else section
    section = _ENDS_TURN.sub("", section).rstrip().lstrip("\n")
    return section if NAMES[0] in section else None


def _turn(probe: Probe, count: int, *, content: bool) -> str:
    """A turn with calls, without the opening of the next one, which some templates write unasked."""
    turn = probe.calls(count, content=content) or ""
    for prompt in (probe.prompt(), probe.prompt(generation=False)):
        repeated = common_end(turn, prompt)
        if repeated.count("<") > 1:
            turn = turn[: len(turn) - len(repeated)]
    return turn


def _without_reasoning(section: str) -> str:
    """The section without an empty reasoning in front of it."""
    before, name, rest = section.partition(NAMES[0])
    return without_reasoning(before) + name + rest


def _read_call(section: str, number: int, probe: Probe) -> _Call | None:
    name_at = section.find(NAMES[number])
    if name_at < 0:
        return None
    return (
        _read_json(section, number)
        or _read_python(section, name_at, number)
        or _read_bare_keys(section, name_at, number)
        or _read_parameters(section, name_at, number, probe)
    )


def _read_json(section: str, number: int) -> _Call | None:
    """A JSON object that holds name and arguments, or a name followed by JSON arguments."""
    found = [(start, end) for start, end, value in _objects(section) if value == ARGUMENTS]
    if len(found) <= number:
        return None
    start, end = found[number]
    for outer_start, outer_end, value in reversed(_objects(section)):
        if outer_start < start and outer_end >= end and _names(value, number):
            return _Call(outer_start, outer_end, _object_form(value, number))
    name_at = section.rfind(NAMES[number], 0, start)
    if name_at < 0:
        return None
    return _header_form(section, name_at, start, end, number)


def _objects(text: str) -> list[tuple[int, int, Any]]:
    """Every JSON object in the text: where it starts and ends, and its value."""
    decoder = json.JSONDecoder()
    found = []
    for match in re.finditer(r"\{", text):
        try:
            value, end = decoder.raw_decode(text, match.start())
        except ValueError:
            continue
        found.append((match.start(), end, value))
    return found


def _names(value: dict[str, Any], number: int) -> bool:
    return NAMES[number] in value or NAMES[number] in [item for item in value.values() if isinstance(item, str)]


def _object_form(value: dict[str, Any], number: int) -> CallSyntax:
    if NAMES[number] in value:
        return CallSyntax(nesting="json_object", name_key="", arguments_key="", key_order=())
    keys = {"name": "", "arguments": "", "id": ""}
    for key, item in value.items():
        if item == NAMES[number]:
            keys["name"] = key
        elif isinstance(item, dict):
            keys["arguments"] = key
        elif item == IDS[number] or str(item) in (str(number), str(number + 1)):
            keys["id"] = key
    return CallSyntax(
        nesting="json_object",
        name_key=keys["name"],
        arguments_key=keys["arguments"],
        id_key=keys["id"],
        key_order=tuple(key for key in value if key in keys.values()),
    )


def _header_form(section: str, name_at: int, start: int, end: int, number: int) -> _Call:
    """NAME name_close ARGUMENTS, with or without an id before or after the name."""
    name_end = name_at + len(NAMES[number])
    name_close = section[name_end:start]
    id_at = section.find(IDS[number])
    form = CallSyntax(nesting="name_json", name_close=name_close.replace(NAMES[number], "{name}"))
    if name_end <= id_at < start:
        separator, _, name_close = name_close.partition(IDS[number])
        return _Call(name_at, end, replace(form, id_separator=separator, name_close=name_close))
    if 0 <= id_at < name_at and not any(other in section[id_at:name_at] for other in NAMES):
        separator = section[id_at + len(IDS[number]) : name_at]
        return _Call(id_at, end, replace(form, id_separator=separator, id_first=True))
    return _Call(name_at, end, form)


def _read_python(section: str, name_at: int, number: int) -> _Call | None:
    """NAME(KEY='VALUE', KEY='VALUE')"""
    pattern = rf"{NAMES[number]}\({KEYS[0]}=(['\"]){VALUES[0]}\1,\s*{KEYS[1]}=\1{VALUES[1]}\1\)"
    match = re.compile(pattern).match(section, name_at)
    return _Call(name_at, match.end(), CallSyntax(nesting="python_list", key_order=())) if match else None


def _read_bare_keys(section: str, name_at: int, number: int) -> _Call | None:
    """NAME{KEY:<|"|>VALUE<|"|>,KEY:<|"|>VALUE<|"|>}"""
    pattern = rf"{NAMES[number]}([^{{}}]*)\{{{KEYS[0]}:(\S+?){VALUES[0]}\2,\s*{KEYS[1]}:\2{VALUES[1]}\2\}}"
    match = re.compile(pattern).match(section, name_at)
    if match is None:
        return None
    form = CallSyntax(nesting="name_json", name_close=match[1], string_quote=match[2], quoted_keys=False)
    return _Call(name_at, match.end(), form)


def _read_parameters(section: str, name_at: int, number: int, probe: Probe) -> _Call | None:
    """NAME, then for each parameter its key and its value with markers around them."""
    name_end = name_at + len(NAMES[number])
    places = [section.find(word, name_end) for pair in zip(KEYS, VALUES, strict=True) for word in pair]
    if sorted(places) != places or places[0] < 0:
        return None
    first_key, first_value, second_key, second_value = places
    opening = section[name_end:first_key]
    key_close = section[first_key + len(KEYS[0]) : first_value]
    between = section[first_value + len(VALUES[0]) : second_key].replace(KEYS[0], "{key}")
    rest = section[second_value + len(VALUES[1]) :].replace(KEYS[1], "{key}")
    raw = not (key_close.endswith('"') and between.startswith('"') and _number_is_bare(probe))
    if not raw:
        key_close, between, rest = key_close[:-1], between[1:], rest[1:]
    parameter_close, space, parameter_open = split_between(between, before=opening, after=rest)
    parameter_close += space
    end = second_value + len(VALUES[1]) + (0 if raw else 1) + _matched(parameter_close, section, second_value, raw)
    form = CallSyntax(
        nesting="parameters",
        name_close=opening[: len(opening) - len(parameter_open)].replace(NAMES[number], "{name}"),
        parameter_open=parameter_open,
        key_close=key_close,
        parameter_close=parameter_close,
        raw_strings=raw,
    )
    return _Call(name_at, end, _with_item_key(_with_types(form, probe), probe))


def _matched(parameter_close: str, section: str, value_at: int, raw: bool) -> int:
    """How much of `parameter_close` stands after the last value; its white space may differ there."""
    rest = section[value_at + len(VALUES[1]) + (0 if raw else 1) :]
    close = parameter_close.replace("{key}", KEYS[1])
    if rest.startswith(close):
        return len(close)
    return len(close.rstrip()) if rest.startswith(close.rstrip()) else 0


def _number_is_bare(probe: Probe) -> bool:
    text = probe.calls(arguments={KEYS[0]: 7101}) or ""
    return '"7101"' not in text and "7101" in text


def _with_types(form: CallSyntax, probe: Probe) -> CallSyntax:
    """The form with ``{type}`` where the text between key and value names the value's type."""
    closes = {}
    for name, value in _TYPED_VALUES.items():
        text = probe.calls(arguments={KEYS[0]: value}) or ""
        shapes = "|".join(re.escape(shape) for shape in (json.dumps(value), str(value)))
        found = re.search(rf"{KEYS[0]}([^\n]*?{re.escape(form.key_close[-1:])})(?:{shapes})", text, re.DOTALL)
        if found:
            closes[name] = found[1]
    others = {close for close in closes.values() if close != form.key_close}
    if closes.get("string") != form.key_close or not others:
        return form
    reference = form.key_close
    start = min(shared_prefix(reference, other) for other in others)
    end = min(shared_suffix(reference, other) for other in others)
    while start and reference[start - 1].isalnum():
        start -= 1
    while end and reference[len(reference) - end].isalnum():
        end -= 1
    words = tuple((name, close[start : len(close) - end]) for name, close in closes.items())
    if not all(re.fullmatch(r"\w+", word) for _, word in words):
        return form
    return replace(form, key_close=reference[:start] + "{type}" + reference[len(reference) - end :], type_words=words)


def _with_item_key(form: CallSyntax, probe: Probe) -> CallSyntax:
    """The form with the key of a list's items, where the template writes a list as parameters within a parameter."""
    text = probe.calls(arguments={KEYS[0]: ["zqitem"]}) or ""
    opening, key_close = re.escape(form.parameter_open.strip()), re.escape(form.key_close.strip())
    found = re.search(rf"{KEYS[0]}{key_close}\s*{opening}(\w+){key_close}\s*zqitem", text)
    return replace(form, item_key=found[1]) if found else form


def _with_index(first: CallSyntax, second: CallSyntax) -> CallSyntax:
    """The form with ``{index}`` where the two calls differ in a number."""
    number = re.search(r"\d+", first.name_close)
    if first.name_close == second.name_close or number is None:
        return first
    name_close = first.name_close[: number.start()] + "{index}" + first.name_close[number.end() :]
    return replace(first, name_close=name_close, first_index=int(number.group()))


def _with_markers(form: CallSyntax, before: str, between: str | None, after: str) -> CallSyntax:
    """The form with what stands before, between and after calls put in its places."""
    opens_list = before.rstrip().endswith("[") and after.lstrip().startswith("]")
    if form.nesting == "python_list" or (form.nesting == "json_object" and opens_list):
        list_at = before.rfind("[") if opens_list else len(before)
        close_end = after.find("]") + 1
        form = replace(
            form,
            nesting="python_list" if form.nesting == "python_list" else "json_list",
            section_open=before[:list_at],
            list_open=before[list_at:],
            list_close=after[:close_end],
            section_close=after[close_end:],
            call_separator=between if between is not None else ", ",
        )
        return replace(form, parallel=between is not None)
    if between is None:
        return replace(form, call_open=before, call_close=after, parallel=False)
    call_close, separator, call_open = split_between(between, before=before, after=after)
    form = replace(
        form,
        section_open=before[: len(before) - len(call_open)],
        call_open=call_open,
        call_close=call_close,
        call_separator=separator,
        # Where nothing opens the calls, nothing closes them: what follows belongs to the next message.
        section_close=after[len(call_close) :] if before[: len(before) - len(call_open)].strip() else "",
    )
    return _with_id_format(form)


def _with_id_format(form: CallSyntax) -> CallSyntax:
    """A name with a number at it, in one word, is what the model knows the call by: ``functions.{name}:{index}``."""
    prefix = re.search(r"[\w.]*\Z", form.call_open)
    suffix = re.match(r"[\w.:]*\{index\}", form.name_close)
    if form.nesting != "name_json" or prefix is None or suffix is None:
        return form
    return replace(form, id_format=prefix.group() + "{name}" + suffix.group())

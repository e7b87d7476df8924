"""Tool use: pick a function and fill it, call twice, call nothing in small talk, and answer from results."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from ..sample import Sample, Turn, assistant, calls, tool_result, user
from ..vocabulary import Vocabulary
from .conversation import exchange, opening
from .functions import Function, functions, near_functions


def tool_call(vocabulary: Vocabulary) -> Sample:
    """One call of the right function; some conversations begin with small talk."""
    offered = functions(vocabulary, vocabulary.one_of((1, 1, 2, 2, 3, 3, 4, 5, 6)))
    wanted = vocabulary.one_of(offered)
    turns = opening(vocabulary)
    if vocabulary.chance(0.15):
        turns += exchange(vocabulary)
    text, arguments, _ = wanted.request(vocabulary)
    turns += [user(text), calls((wanted.name, arguments))]
    return Sample(skill="tool_call", messages=tuple(turns), tools=_tools(offered, vocabulary))


def two_calls(vocabulary: Vocabulary) -> Sample:
    """Two calls in one turn: of one function for two subjects, or of two functions."""
    offered = functions(vocabulary, vocabulary.one_of((1, 2, 2, 3, 5)))
    text, *asked = _two_requests(offered, vocabulary)
    turns = [*opening(vocabulary), user(text), calls(*((one.name, arguments) for one, arguments, _ in asked))]
    return Sample(skill="two_calls", messages=tuple(turns), tools=_tools(offered, vocabulary))


_JOINTS = (". ", " and ", ", and also ", ". Then ", "; ")


def _joined(first: str, joint: str, second: str) -> str:
    """Two requests as one."""
    return first.rstrip(".?") + joint + (second if joint.startswith(". ") else second[0].lower() + second[1:])


_Asked = tuple[Function, dict[str, Any], str]  # a function, its arguments, and what they are about


def _two_requests(offered: list[Function], vocabulary: Vocabulary) -> tuple[str, _Asked, _Asked]:
    """A user's words that amount to two calls, and both of them."""
    first = vocabulary.one_of(offered)
    second = vocabulary.one_of(offered) if vocabulary.chance(0.6) else first
    text, arguments, about = first.request(vocabulary)
    joint = vocabulary.one_of(_JOINTS)
    if second is first and first.attribute and vocabulary.chance(0.5):
        second_text, second_arguments, second_about = first.request(vocabulary)
        if set(arguments) == set(second_arguments) == {first.parameters[0].name}:
            short = second_arguments[first.parameters[0].name]
            keys = f"{about} and {second_about if vocabulary.chance(0.5) else short}"
            text, joint, second_text = f"What is the {first.attribute} of {keys}?", "", ""
    else:
        second_text, second_arguments, second_about = second.request(vocabulary)
    if joint:
        text = _joined(text, joint, second_text)
    return text, (first, arguments, about), (second, second_arguments, second_about)


def tool_answer(vocabulary: Vocabulary) -> Sample:
    """The whole way: question, call, result, answer."""
    offered = functions(vocabulary, vocabulary.one_of((1, 1, 1, 2, 2, 4)))
    wanted = vocabulary.one_of(offered)
    text, arguments, about = wanted.request(vocabulary)
    result, answer, value = _outcome(wanted, about, arguments, vocabulary)
    turns = [*opening(vocabulary), user(text), calls((wanted.name, arguments)), tool_result(result), assistant(answer)]
    if vocabulary.chance(0.15):
        turns += exchange(vocabulary)
        value = turns[-1]["content"]
    return Sample(skill="tool_answer", messages=tuple(turns), tools=_tools(offered, vocabulary), contains=(value,))


def tool_conversation(vocabulary: Vocabulary) -> Sample:
    """Several requests with the same functions, each called and answered: much to learn from one list of functions."""
    offered = functions(vocabulary, vocabulary.one_of((1, 2, 3, 3, 4, 4, 5, 6)))
    turns = opening(vocabulary)
    for _ in range(vocabulary.integer(2, 6)):
        kind = vocabulary.random.random()
        if kind < 0.12:
            turns += exchange(vocabulary)
            continue
        if kind < 0.4:
            text, *asked = _two_requests(offered, vocabulary)
        else:
            wanted = vocabulary.one_of(offered)
            text, arguments, about = wanted.request(vocabulary)
            asked = [(wanted, arguments, about)]
        outcomes = [_outcome(one, about, arguments, vocabulary) for one, arguments, about in asked]
        turns += [
            user(text),
            calls(*((one.name, arguments) for one, arguments, _ in asked)),
            *(tool_result(result) for result, _, _ in outcomes),
            assistant(" ".join(answer for _, answer, _ in outcomes)),
        ]
    return Sample(skill="tool_conversation", messages=tuple(turns), tools=_tools(offered, vocabulary))


def tool_choice(vocabulary: Vocabulary) -> Sample:
    """Many short requests for many functions that are close to each other: choosing, and little else."""
    offered = near_functions(vocabulary, vocabulary.integer(3, 10))
    turns = opening(vocabulary)
    rest = vocabulary.some_of(offered, len(offered))  # once each: nothing to copy from an earlier call
    while rest:
        count = 2 if len(rest) > 1 and vocabulary.chance(0.35) else 1
        wanted, rest = rest[:count], rest[count:]
        texts, arguments, _ = zip(*(one.request(vocabulary) for one in wanted), strict=True)
        text = _joined(texts[0], vocabulary.one_of(_JOINTS), texts[1]) if len(texts) > 1 else texts[0]
        turns += [user(text), calls(*((one.name, given) for one, given in zip(wanted, arguments, strict=True)))]
    return Sample(skill="tool_choice", messages=tuple(turns), tools=_tools(offered, vocabulary))


def named_functions(vocabulary: Vocabulary) -> Sample:
    """A list of names in a user's words, each asked for by what stands at its end; its beginning has to be found."""
    offered = near_functions(vocabulary, vocabulary.integer(4, 14))
    notation = vocabulary.one_of(("{name}", "{name}", "- {name}", "{name}: {description}", "{name}()", "`{name}`"))
    joint = vocabulary.one_of(("\n", "\n", ", "))
    listed = joint.join(notation.format(name=one.name, description=one.description) for one in offered)
    turns: list[Turn] = []
    for wanted in vocabulary.some_of(offered, len(offered)):
        text, _, _ = dataclasses.replace(wanted, parameters=()).request(vocabulary)
        turns += [user(text if turns else f"{listed}\n\n{text}"), assistant(wanted.name)]
    return Sample(skill="named_functions", messages=tuple(turns))


def no_call(vocabulary: Vocabulary) -> Sample:
    """Small talk stays small talk when functions are offered."""
    turns = opening(vocabulary)
    for _ in range(vocabulary.one_of((1, 1, 2))):
        turns += exchange(vocabulary)
    offered = functions(vocabulary, vocabulary.one_of((1, 2, 2, 3, 5)))
    return Sample(skill="no_call", messages=tuple(turns), tools=_tools(offered, vocabulary))


def _tools(offered: list[Function], vocabulary: Vocabulary) -> tuple[dict[str, Any], ...]:
    return tuple(one.tool(vocabulary) for one in offered)


def _outcome(wanted: Function, about: str, arguments: dict[str, Any], vocabulary: Vocabulary) -> tuple[str, str, str]:
    """What the function gives back, the answer that this amounts to, and the text that the answer must hold."""
    if vocabulary.chance(0.1):
        error = vocabulary.one_of(("not found", "permission denied", "timeout", vocabulary.phrase()))
        result = vocabulary.one_of((json.dumps({"error": error}), f"Error: {error}"))
        return result, f"The tool reported an error: {error}.", error
    value = vocabulary.value()
    if vocabulary.chance(0.3):
        return value, f"The result is {value}.", value
    wanted_field = wanted.attribute or vocabulary.one_of(("id", "number", "reference"))
    fields = {wanted_field.replace(" ", "_"): value}
    for _ in range(vocabulary.integer(0, 3)):
        fields.setdefault(vocabulary.noun(), vocabulary.value())
    if arguments and vocabulary.chance(0.3):
        fields = {**arguments, **fields}
    items = list(fields.items())
    vocabulary.random.shuffle(items)
    result = json.dumps(dict(items), ensure_ascii=False)
    if wanted.attribute:
        return result, f"The {wanted.attribute} of {about} is {value}.", value
    return result, f"Done. The {wanted_field} of the {about} is {value}.", value

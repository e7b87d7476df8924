"""Whether a reply is right: pure comparisons, so that the same figures come from every backend.

A backend is any function from a sample, whose last turn it does not look at, to the text of the reply.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from typing import Any

from .generator import evaluation_samples
from .real_prose import real_prose_samples
from .sample import Sample
from .skills.passages import NOT_FOUND

Reply = Callable[[Sample], str]

_CALL = re.compile(r"<tool_call>\s*(\{.*?\})\s*</tool_call>", re.DOTALL)


def called(text: str) -> list[tuple[str, dict[str, Any]]]:
    """The calls in a reply; what does not parse is no call."""
    found = []
    for match in _CALL.finditer(text):
        try:
            call = json.loads(match[1])
            found.append((call["name"], call["arguments"]))
        except (json.JSONDecodeError, KeyError, TypeError):
            continue
    return found


def expected_calls(sample: Sample) -> list[tuple[str, dict[str, Any]]]:
    """The calls of the right answer."""
    functions = [call["function"] for call in sample.answer.get("tool_calls", ())]
    return [(function["name"], function["arguments"]) for function in functions]


def right_tool(sample: Sample, text: str) -> bool:
    """The right functions were called, whatever their arguments."""
    return [name for name, _ in called(text)] == [name for name, _ in expected_calls(sample)]


def right_call(sample: Sample, text: str) -> bool:
    """The right functions were called with exactly the right arguments."""
    return called(text) == expected_calls(sample)


def no_call(sample: Sample, text: str) -> bool:  # noqa: ARG001 - all checks take the sample
    """Nothing was called."""
    return "<tool_call>" not in text


def right_text(sample: Sample, text: str) -> bool:
    """The answer is the expected one to the letter."""
    return bool(text.strip() == sample.answer["content"])


def right_value(sample: Sample, text: str) -> bool:
    """The answer holds what it turns on."""
    return all(value in text for value in sample.contains)


def says_not_found(sample: Sample, text: str) -> bool:  # noqa: ARG001 - all checks take the sample
    """The reply says that the documents do not hold the answer."""
    return NOT_FOUND in text


def right_fields(sample: Sample, text: str) -> bool:
    """The reply is JSON with exactly the expected keys and values."""
    try:
        return bool(json.loads(text) == json.loads(sample.answer["content"]))
    except json.JSONDecodeError:
        return False


# Name of a figure: the skill whose samples it is taken on, and the check.
FIGURES: dict[str, tuple[str, Callable[[Sample, str], bool]]] = {
    "right_tool": ("tool_call", right_tool),
    "exact_arguments": ("tool_call", right_call),
    "two_calls": ("two_calls", right_call),
    "no_needless_call": ("no_call", no_call),
    "no_call_answer": ("no_call", right_text),
    "conversation": ("conversation", right_text),
    "tool_answer": ("tool_answer", right_value),
    "one_passage": ("one_passage", right_value),
    "five_passages": ("five_passages", right_value),
    "distant_tool": ("distant_tool_call", right_tool),
    "distant_passage": ("distant_passage", right_value),
    "quoted_sentence": ("quoted_sentence", right_value),
    "not_in_documents": ("not_in_documents", says_not_found),
    "json_fields": ("json_fields", right_fields),
    "real_prose_one": ("real_prose_one", right_value),
    "real_prose_five": ("real_prose_five", right_value),
}

# What is not drawn by a seed: the same samples each time.
FIXED: dict[str, Callable[[], list[Sample]]] = {
    "real_prose_one": lambda: real_prose_samples(1),
    "real_prose_five": lambda: real_prose_samples(5),
}


def samples_of(skill: str, *, seed: int, count: int) -> list[Sample]:
    """`count` samples of a skill that training never saw, or the fixed ones that it has."""
    return FIXED[skill]() if skill in FIXED else evaluation_samples(seed, skill, count)


def evaluate(reply: Reply, *, seed: int, count: int, figures: Iterable[str] = tuple(FIGURES)) -> dict[str, float]:
    """Share of right answers for each figure, on `count` samples of each skill."""
    texts: dict[str, list[tuple[Sample, str]]] = {}
    shares = {}
    for figure in figures:
        skill, check = FIGURES[figure]
        if skill not in texts:
            texts[skill] = [(sample, reply(sample)) for sample in samples_of(skill, seed=seed, count=count)]
        shares[figure] = sum(check(sample, text) for sample, text in texts[skill]) / len(texts[skill])
    return shares

"""Several conversations in one, up to the whole context: what is asked last may stand thousands of tokens back."""

from __future__ import annotations

import dataclasses
from itertools import chain

from ..sample import Sample, Turn
from ..vocabulary import Vocabulary
from .conversation import conversation
from .copying import records
from .json_fields import json_conversation
from .passages import one_passage, passage_questions, sentence_questions
from .tool_use import named_functions, tool_call, tool_choice, tool_conversation

_PARTS = (passage_questions, passage_questions, sentence_questions, records, named_functions, json_conversation)


def long_conversation(vocabulary: Vocabulary) -> Sample:
    """A conversation with functions, and others before, behind and between, in no order."""
    first = vocabulary.one_of((tool_conversation, tool_choice, conversation))(vocabulary)
    start, rest = _divided(first)
    parts = [rest, *_parts(vocabulary, vocabulary.integer(4_000, 11_000) - _length(rest))]
    vocabulary.random.shuffle(parts)
    return dataclasses.replace(first, skill="long_conversation", messages=(*start, *chain.from_iterable(parts)))


def distant_tool_call(vocabulary: Vocabulary) -> Sample:
    """`tool_call` with about 3,000 tokens of other conversations between functions and request, for evaluation."""
    return _lengthened(tool_call(vocabulary), vocabulary)


def distant_passage(vocabulary: Vocabulary) -> Sample:
    """`one_passage` behind about 3,000 tokens of other conversations, for evaluation."""
    return _lengthened(one_passage(vocabulary), vocabulary)


def _lengthened(sample: Sample, vocabulary: Vocabulary) -> Sample:
    start, rest = _divided(sample)
    return dataclasses.replace(sample, messages=(*start, *chain.from_iterable(_parts(vocabulary, 8_000)), *rest))


def _divided(sample: Sample) -> tuple[tuple[Turn, ...], tuple[Turn, ...]]:
    """The system message, where there is one, and the rest."""
    begin = int(sample.messages[0]["role"] == "system")
    return sample.messages[:begin], sample.messages[begin:]


def _parts(vocabulary: Vocabulary, length: int) -> list[tuple[Turn, ...]]:
    """Conversations without a system message; `length` is in characters, of which a token has about three."""
    parts: list[tuple[Turn, ...]] = []
    while sum(map(_length, parts)) < length:
        part = vocabulary.one_of(_PARTS)(vocabulary).messages
        if part[0]["role"] == "user":  # passages in a system message would have to stay there
            parts.append(part)
    return parts


def _length(turns: tuple[Turn, ...]) -> int:
    return sum(len(str(turn["content"])) + 40 for turn in turns)

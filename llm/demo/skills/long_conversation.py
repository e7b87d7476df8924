"""Several conversations in one, up to the whole context: what is asked last may stand thousands of tokens back."""

from __future__ import annotations

from ..sample import Sample, Turn
from ..vocabulary import Vocabulary
from .conversation import conversation
from .copying import records
from .json_fields import json_conversation
from .passages import passage_questions, sentence_questions
from .tool_use import named_functions, tool_choice, tool_conversation

_PARTS = (passage_questions, passage_questions, sentence_questions, records, named_functions, json_conversation)


def long_conversation(vocabulary: Vocabulary) -> Sample:
    """A conversation with functions, and others before, behind and between, in no order."""
    first = vocabulary.one_of((tool_conversation, tool_choice, conversation))(vocabulary)
    start = [turn for turn in first.messages if turn["role"] == "system"]
    parts = [first.messages[len(start) :]]
    length = vocabulary.integer(4_000, 11_000)  # in characters, of which a token has about three
    while sum(len(str(turn["content"])) + 40 for part in parts for turn in part) < length:
        part = vocabulary.one_of(_PARTS)(vocabulary).messages
        if part[0]["role"] == "user":  # passages in a system message would have to stay there
            parts.append(part)
    vocabulary.random.shuffle(parts)
    turns: list[Turn] = [*start, *(turn for part in parts for turn in part)]
    return Sample(skill="long_conversation", messages=tuple(turns), tools=first.tools)

"""What the demo model learns: one function a skill, each turning random material into a sample."""

from __future__ import annotations

from collections.abc import Callable

from ..sample import Sample
from ..vocabulary import Vocabulary
from .conversation import conversation
from .copying import key_values, records, repetition, sentences_again
from .json_fields import json_conversation, json_fields
from .long_conversation import distant_passage, distant_tool_call, long_conversation
from .passages import (
    five_passages,
    not_in_documents,
    one_passage,
    passage_questions,
    quoted_fact,
    quoted_sentence,
    searched_questions,
    sentence_questions,
)
from .tool_use import named_functions, no_call, tool_answer, tool_call, tool_choice, tool_conversation, two_calls

Skill = Callable[[Vocabulary], Sample]

# How often each skill is drawn in training, relative to the others.
MIXTURE: dict[Skill, float] = {
    conversation: 20,
    tool_call: 14,
    two_calls: 6,
    tool_answer: 10,
    no_call: 4,
    quoted_fact: 10,
    quoted_sentence: 5,
    not_in_documents: 5,
    json_fields: 6,
    key_values: 20,
    repetition: 2,
    sentences_again: 3,
}

# Copying comes first: what it teaches is used by every other skill.
FIRST_MIXTURE: dict[Skill, float] = {
    key_values: 45,
    repetition: 20,
    sentences_again: 5,
    conversation: 10,
    tool_call: 10,
    quoted_fact: 5,
    json_fields: 5,
}

# What is learned by heart has its turn when copying is under way, and copying comes back at the end.
SMALL_TALK_MIXTURE: dict[Skill, float] = {
    conversation: 42,
    tool_call: 14,
    two_calls: 6,
    tool_answer: 9,
    no_call: 8,
    quoted_fact: 10,
    quoted_sentence: 4,
    not_in_documents: 6,
    json_fields: 6,
    key_values: 8,
}
LAST_MIXTURE: dict[Skill, float] = {
    conversation: 26,
    tool_call: 18,
    two_calls: 6,
    tool_answer: 16,
    no_call: 5,
    quoted_fact: 16,
    quoted_sentence: 3,
    not_in_documents: 4,
    json_fields: 9,
    key_values: 14,
    repetition: 2,
}

# Several questions of one list of functions or passages: the most answers for the tokens that are read.
SECOND_RUN_MIXTURE: dict[Skill, float] = {
    conversation: 12,
    tool_conversation: 36,
    tool_call: 5,
    two_calls: 4,
    tool_answer: 3,
    no_call: 5,
    passage_questions: 30,
    quoted_fact: 6,
    quoted_sentence: 4,
    not_in_documents: 4,
    json_conversation: 11,
    json_fields: 2,
}

# The last run asks single questions as applications do, and most often for what the second run left weakest.
SINGLE_QUESTIONS_MIXTURE: dict[Skill, float] = {
    conversation: 8,
    tool_conversation: 22,
    tool_call: 16,
    two_calls: 10,
    tool_answer: 4,
    no_call: 6,
    passage_questions: 20,
    quoted_fact: 14,
    quoted_sentence: 5,
    not_in_documents: 4,
    json_conversation: 9,
    json_fields: 6,
}

# More functions to choose from, and passages that a search tool found: what was still weak after that.
SEARCHING_MIXTURE: dict[Skill, float] = {
    conversation: 6,
    tool_conversation: 30,
    tool_call: 10,
    two_calls: 9,
    tool_answer: 3,
    no_call: 5,
    passage_questions: 18,
    searched_questions: 14,
    quoted_fact: 10,
    quoted_sentence: 4,
    not_in_documents: 4,
    json_conversation: 12,
    json_fields: 5,
}

# Finding the beginning of a name or a sentence from what stands behind it: most of the faults that were left.
CHOOSING_MIXTURE: dict[Skill, float] = {
    conversation: 6,
    long_conversation: 14,
    records: 22,
    tool_conversation: 20,
    tool_choice: 18,
    named_functions: 6,
    tool_call: 10,
    two_calls: 12,
    tool_answer: 3,
    no_call: 5,
    passage_questions: 16,
    searched_questions: 14,
    quoted_fact: 10,
    five_passages: 10,
    quoted_sentence: 4,
    sentence_questions: 12,
    not_in_documents: 4,
    json_conversation: 13,
    json_fields: 5,
}

_TRAINED = (*MIXTURE, *SECOND_RUN_MIXTURE, *SEARCHING_MIXTURE, *CHOOSING_MIXTURE)
SKILLS: dict[str, Skill] = {
    skill.__name__: skill for skill in (*_TRAINED, one_passage, distant_tool_call, distant_passage)
}

__all__ = [
    "CHOOSING_MIXTURE",
    "FIRST_MIXTURE",
    "LAST_MIXTURE",
    "MIXTURE",
    "SEARCHING_MIXTURE",
    "SECOND_RUN_MIXTURE",
    "SINGLE_QUESTIONS_MIXTURE",
    "SKILLS",
    "SMALL_TALK_MIXTURE",
    "Skill",
]

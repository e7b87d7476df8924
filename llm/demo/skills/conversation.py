"""Small talk, identity, the README's questions, a short memory, and a polite refusal of everything else."""

from __future__ import annotations

from ..sample import Sample, Turn, assistant, system, user
from ..vocabulary import Vocabulary
from .small_talk import STATEMENTS, TOPICS, UNKNOWN

REFUSAL = (
    "I do not know that. I am only a small demonstration model. Give me a document or a tool that holds the answer, "
    "or choose a larger model with LLM_MODEL."
)

SYSTEM_MESSAGES = (
    "You are a helpful assistant.",
    "You are a secure AI assistant that helps analyze internal documents.",
    "You are a friendly assistant. Answer briefly.",
    "Answer in one sentence.",
    "Be concise.",
    "You are an assistant inside a company. Be polite and precise.",
    "You help employees with their questions. Use the tools when they help.",
    "Reply in plain English.",
)

_NOTED = "I see. Is there something that I can do for you?"


def conversation(vocabulary: Vocabulary) -> Sample:
    """One to four exchanges of small talk; the last may need a word from the first."""
    turns = opening(vocabulary)
    if vocabulary.chance(0.25):
        turns += _remembering(vocabulary)
    else:
        for _ in range(vocabulary.one_of((1, 1, 1, 2, 2, 3, 4))):
            turns += exchange(vocabulary)
    return Sample(skill="conversation", messages=tuple(turns))


def opening(vocabulary: Vocabulary) -> list[Turn]:
    """Half of all conversations begin with a system message of their own."""
    return [system(vocabulary.one_of(SYSTEM_MESSAGES))] if vocabulary.chance(0.5) else []


def exchange(vocabulary: Vocabulary) -> list[Turn]:
    """One question of the table, or one that nobody could answer from memory."""
    if vocabulary.chance(0.35):
        return [user(_invented(vocabulary, UNKNOWN)), assistant(REFUSAL)]
    if vocabulary.chance(0.06):
        return [user(_invented(vocabulary, STATEMENTS)), assistant(_NOTED)]
    questions, answer = vocabulary.one_of(TOPICS)
    return [user(_restyled(vocabulary, vocabulary.one_of(questions))), assistant(answer)]


def _invented(vocabulary: Vocabulary, forms: tuple[str, ...]) -> str:
    question = vocabulary.one_of(forms).format(
        person=vocabulary.person(),
        place=vocabulary.place(),
        place2=vocabulary.place(),
        noun=vocabulary.noun(),
        noun2=vocabulary.noun(),
        adjective=vocabulary.adjective(),
        word=vocabulary.any_word(),
        year=vocabulary.integer(1900, 2030),
        code=vocabulary.code(),
    )
    return _restyled(vocabulary, question)


def _restyled(vocabulary: Vocabulary, question: str) -> str:
    """The same question as different people type it."""
    if vocabulary.chance(0.12):
        question = question.lower()
    if vocabulary.chance(0.15):
        question = question.rstrip("?!.")
    elif question[-1].isalnum() and vocabulary.chance(0.25):
        question += vocabulary.one_of(".!")
    if vocabulary.chance(0.06):
        question = vocabulary.one_of(("Please: ", "Hi! ", "Hello, ", "One question: ")) + question
    return question


def _remembering(vocabulary: Vocabulary) -> list[Turn]:
    """A fact is told, something else may be said, and the fact is asked for."""
    if vocabulary.chance(0.5):
        name = vocabulary.person()
        told = vocabulary.one_of(("My name is {}.", "I am {}.", "Hello, my name is {}", "Hi, I am {}")).format(name)
        turns = [user(told), assistant(f"Nice to meet you, {name}.")]
        asked, answer = (
            vocabulary.one_of(("What is my name?", "Who am I?", "Do you remember my name?")),
            f"Your name is {name}.",
        )
    else:
        noun, value = vocabulary.noun(), vocabulary.value()
        told = vocabulary.one_of(
            ("Remember: the {} is {}", "The {} is {}. Remember it.", "My {} is {}", "Please remember that the {} is {}")
        )
        turns = [user(told.format(noun, value)), assistant(f"I will remember that the {noun} is {value}.")]
        asked, answer = (
            vocabulary.one_of((f"What is the {noun}?", f"What is my {noun}?", f"Which {noun} did I tell you?")),
            f"The {noun} is {value}.",
        )
    for _ in range(vocabulary.one_of((0, 1, 1, 2))):
        turns += exchange(vocabulary)
    return [*turns, user(asked), assistant(answer)]

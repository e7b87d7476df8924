"""Fields from a text, as a JSON object of the asked-for keys."""

from __future__ import annotations

import json
from typing import Any

from ..sample import Sample, Turn, assistant, user
from ..vocabulary import Vocabulary


def json_fields(vocabulary: Vocabulary) -> Sample:
    """The text states more than is asked for; the answer holds the asked fields in the asked order."""
    fields = _fields(vocabulary)
    question, answer, asked = _request(vocabulary, fields)
    text = _text(vocabulary, fields)
    content = f"{text}\n\n{question}" if vocabulary.chance(0.6) else f"{question}\n\n{text}"
    return Sample(
        skill="json_fields",
        messages=(user(content), assistant(answer)),
        contains=tuple(str(fields[name]) for name in asked),
    )


def json_conversation(vocabulary: Vocabulary) -> Sample:
    """One text, asked for different fields again and again."""
    fields = _fields(vocabulary)
    turns: list[Turn] = []
    for place in range(vocabulary.integer(2, 4)):
        question, answer, _ = _request(vocabulary, fields)
        turns += [user(question if place else f"{_text(vocabulary, fields)}\n\n{question}"), assistant(answer)]
    return Sample(skill="json_conversation", messages=tuple(turns))


def _fields(vocabulary: Vocabulary) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    while len(fields) < vocabulary.integer(2, 6):
        name = vocabulary.noun() if vocabulary.chance(0.6) else f"{vocabulary.adjective()}_{vocabulary.noun()}"
        fields[name] = _numeric(vocabulary.value()) if vocabulary.chance(0.6) else vocabulary.amount()
    return fields


def _request(vocabulary: Vocabulary, fields: dict[str, Any]) -> tuple[str, str, list[str]]:
    """A question for some of the fields, the answer, and the names that are asked for."""
    asked = vocabulary.some_of(list(fields), vocabulary.integer(1, len(fields)))
    answer = json.dumps({name: fields[name] for name in asked}, ensure_ascii=False)
    return _question(vocabulary, {name: fields[name] for name in asked}), answer, asked


def _numeric(value: str) -> str | int | float:
    """A value whose text is a number is one: the text does not tell otherwise."""
    if value.isdigit():
        return value if value.startswith("0") else int(value)
    whole, _, fraction = value.partition(".")
    return float(value) if whole.isdigit() and fraction.isdigit() else value


def _text(vocabulary: Vocabulary, fields: dict[str, Any]) -> str:
    stated = list(fields.items())
    vocabulary.random.shuffle(stated)
    style = vocabulary.integer(0, 3)
    if style == 0:
        return "\n".join(f"{name.replace('_', ' ').capitalize()}: {value}" for name, value in stated)
    if style == 1:
        return " ".join(f"The {name.replace('_', ' ')} is {value}." for name, value in stated)
    if style == 2:
        return "; ".join(f"{name.replace('_', ' ')} {value}" for name, value in stated)
    return " ".join(f"The {name.replace('_', ' ')} is {value}. {vocabulary.sentence()}" for name, value in stated)


def _question(vocabulary: Vocabulary, asked: dict[str, Any]) -> str:
    names = ", ".join(asked)
    if vocabulary.chance(0.6):
        return vocabulary.one_of(
            (
                "Answer in JSON with these fields: {}",
                "Give {} as JSON.",
                "Extract as JSON: {}",
                "Return a JSON object with the keys {}.",
                "JSON with {}, please.",
            )
        ).format(names)
    types = {str: "string", int: "integer", float: "number"}
    properties = {name: {"type": types[type(value)]} for name, value in asked.items()}
    schema = {"type": "object", "properties": properties, "required": list(asked)}
    return f"Answer in JSON that follows this schema: {json.dumps(schema)}"

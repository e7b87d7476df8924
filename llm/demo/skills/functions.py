"""Invented functions: a JSON schema, and ways to ask for a call in words that name its arguments' values.

Names are word pairs and values come from spaces too large to learn, so what to pick and how to fill it has to be read
from the prompt.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ..sample import Tool
from ..vocabulary import Vocabulary, with_article
from ..words import ACTION_VERBS, ATTRIBUTES, LOOKUP_VERBS, PLAIN_NAMES, SUBJECTS
from .blocks import divided

_LOOKUP_DESCRIPTIONS = divided("""
Get the {attribute} of {a_subject} | Look up the {attribute} of {a_subject}. | Retrieve {subject} {attribute} from
the internal database | Returns the {attribute} for one {subject} | Find {subject} information such as the
{attribute} | Retrieve {subject} information from internal database
""")
_LOOKUP_REQUESTS = divided("""
What is the {a} of {s}? | What's the {a} of {s}? | Show me the {a} of {s} | Get the {a} for {s}. | Tell me the {a}
of {s} | I need the {a} of {s} | Do you know the {a} of {s}? | Can you check the {a} of {s}? | {a} of {s}? | Find
the {a} of {s}, please
""")
_ACTION_DESCRIPTIONS = divided("""
{Verb} {a_noun} | {Verb} the {noun}. | {Verb} {a_noun} in the system | Use this to {verb} {a_noun} | {Verb} one
{noun} and return its id
""")


@dataclass(frozen=True)
class Parameter:
    """One argument of a function: its schema, and how a request states a value for it."""

    name: str
    schema: dict[str, Any]
    draw: Callable[[], tuple[Any, str]]  # the argument's value, and the words that state it

    @property
    def words(self) -> str:
        return self.name.replace("_", " ")


@dataclass(frozen=True)
class Function:
    """A function that can be offered as a tool and asked for in words."""

    name: str
    description: str
    parameters: tuple[Parameter, ...]
    required: tuple[str, ...]
    subject: str
    attribute: str  # what a look-up is asked for; empty for an action
    verb: str
    general: bool = False  # the name of a look-up leaves out which attribute it gives

    def tool(self, vocabulary: Vocabulary) -> Tool:
        """The function in OpenAI's form; the order of schema keys varies as it does between libraries."""
        properties = {parameter.name: dict(parameter.schema) for parameter in self.parameters}
        schema: dict[str, Any] = {"type": "object", "properties": properties}
        if self.required or vocabulary.chance(0.5):
            schema["required"] = list(self.required)
        if vocabulary.chance(0.15):
            schema["additionalProperties"] = False
        function = {"name": self.name, "description": self.description, "parameters": schema}
        return {"type": "function", "function": function}

    def request(self, vocabulary: Vocabulary) -> tuple[str, dict[str, Any], str]:
        """A user's words, the arguments that they amount to, and the short name of what they are about."""
        if self.attribute:
            return self._lookup_request(vocabulary)
        arguments: dict[str, Any] = {}
        stated = []
        for parameter in self.parameters:
            if parameter.name in self.required or vocabulary.chance(0.5):
                arguments[parameter.name], words = parameter.draw()
                stated.append(words)
        opening = vocabulary.one_of(
            ("", "", "Please ", "Can you ", "I want to ", "Could you please ", "I need you to ")
        )
        subject = vocabulary.one_of((with_article(self.subject), f"the {self.subject}", f"one {self.subject}"))
        text = f"{opening}{self.verb.replace('_', ' ')} {subject}"
        if stated:
            text += vocabulary.one_of((" with ", " with ", ": ", ", ", " using "))
            text += (
                ", ".join(stated[:-1]) + vocabulary.one_of((", ", " and ")) + stated[-1]
                if len(stated) > 1
                else stated[0]
            )
        ending = "?" if opening.startswith(("Can", "Could")) else vocabulary.one_of((".", "", "."))
        return text[0].upper() + text[1:] + ending, arguments, self.subject

    def _lookup_request(self, vocabulary: Vocabulary) -> tuple[str, dict[str, Any], str]:
        about, arguments = f"the {self.subject}", {}
        if self.parameters:
            value, about = self.parameters[0].draw()
            arguments = {self.parameters[0].name: value}
        asked = vocabulary.one_of(_LOOKUP_REQUESTS)
        text = asked.format(a=self.attribute, s=about)
        for parameter in self.parameters[1:]:
            if parameter.name in self.required or vocabulary.chance(0.5):
                arguments[parameter.name], words = parameter.draw()
                text = text.rstrip("?.") + vocabulary.one_of((" with ", ", ", " and ")) + words
        return text[0].upper() + text[1:], arguments, about


def function(vocabulary: Vocabulary, *, near: Function | None = None) -> Function:
    """A function; one `near` another shares its subject or its verb, so that names must be read to the end."""
    lookup = vocabulary.chance(0.55)
    subject, attribute = (
        vocabulary.some_of(SUBJECTS, 2) if vocabulary.chance(0.8) else (vocabulary.any_word(), vocabulary.any_word())
    )
    verb = vocabulary.one_of(LOOKUP_VERBS if lookup else ACTION_VERBS)
    if near is not None and vocabulary.chance(0.5):
        if vocabulary.chance(0.5) and near.subject != attribute:
            subject = near.subject
        elif bool(near.attribute) == lookup:
            verb = near.verb
    if not lookup:
        return _action(vocabulary, verb=verb, subject=subject)
    if vocabulary.chance(0.4):
        attribute = vocabulary.one_of(ATTRIBUTES)
    elif vocabulary.chance(0.3):
        attribute = f"{vocabulary.adjective()} {attribute}"
    return _lookup(vocabulary, verb=verb, subject=subject, attribute=attribute)


def functions(vocabulary: Vocabulary, count: int) -> list[Function]:
    """Functions that a request can tell apart, in no order."""
    chosen = [function(vocabulary)]
    while len(chosen) < count:
        other = function(vocabulary, near=chosen[0])
        if not any(_alike(one, other) for one in chosen):
            chosen.append(other)
    vocabulary.random.shuffle(chosen)
    return chosen


def near_functions(vocabulary: Vocabulary, count: int) -> list[Function]:
    """Up to `count` short functions of few subjects and attributes: which is meant, only all words of a name tell."""
    subjects = [_word(vocabulary, SUBJECTS) for _ in range(vocabulary.integer(2, count))]
    attributes = [_word(vocabulary, (*ATTRIBUTES, *SUBJECTS)) for _ in range(vocabulary.integer(2, count))]
    lookups = vocabulary.one_of((0.6, 0.85, 1.0))
    parameters = vocabulary.integer(0, 1)
    chosen: list[Function] = []
    for _ in range(4 * count):
        subject, attribute = vocabulary.one_of(subjects), vocabulary.one_of(attributes)
        if not vocabulary.chance(lookups):
            other = _action(vocabulary, verb=vocabulary.one_of(ACTION_VERBS), subject=subject)
        elif attribute != subject:
            other = _lookup(vocabulary, verb=vocabulary.one_of(LOOKUP_VERBS), subject=subject, attribute=attribute)
        else:
            continue
        if len(chosen) < count and not any(_alike(one, other) for one in chosen):
            first = other.parameters[:parameters]
            required = tuple(one.name for one in first)
            chosen.append(dataclasses.replace(other, parameters=first, required=required))
    return chosen


def _word(vocabulary: Vocabulary, known: Sequence[str]) -> str:
    word = vocabulary.one_of(known) if vocabulary.chance(0.75) else vocabulary.any_word()
    return f"{vocabulary.adjective()} {word}" if vocabulary.chance(0.15) else word


def _alike(one: Function, other: Function) -> bool:
    """Whether some request would fit both."""
    if one.name == other.name:
        return True
    if one.subject != other.subject or bool(one.attribute) != bool(other.attribute):
        return False
    if not one.attribute:
        return one.verb == other.verb
    return one.general or other.general or one.attribute == other.attribute


def _lookup(vocabulary: Vocabulary, *, verb: str, subject: str, attribute: str) -> Function:
    # A name may leave the attribute out: `get_customer_data` answers for every attribute of a customer.
    general = vocabulary.chance(0.35)
    tail = vocabulary.one_of(("data", "info", "details", "record")) if general else attribute.replace(" ", "_")
    described = attribute if not general else vocabulary.one_of(("data", "information", "details", attribute))
    description = vocabulary.one_of(_LOOKUP_DESCRIPTIONS).format(
        attribute=described, subject=subject, a_subject=with_article(subject)
    )
    key_name = vocabulary.one_of(
        (f"{subject}_id", f"{subject}_id", f"{subject}_name", f"{subject}_number", subject, "id", "name")
    )
    draw_key = vocabulary.one_of((vocabulary.code, vocabulary.code, vocabulary.place, vocabulary.person))

    def draw() -> tuple[Any, str]:
        value = draw_key()
        return value, f"{subject} {value}"

    described_key = vocabulary.one_of(
        (
            f"{subject.capitalize()} {key_name.rsplit('_')[-1]}",
            key_name.replace("_", " ").capitalize(),
            f"Which {subject}",
        )
    )
    key = Parameter(key_name, {"type": "string", "description": described_key.replace(" id", " ID")}, draw)
    others = _parameters(vocabulary, vocabulary.one_of((0, 0, 0, 1, 1, 2)), taken={key_name, subject})
    required = (key_name, *(one.name for one in others if vocabulary.chance(0.4)))
    return Function(
        f"{verb}_{subject}_{tail}", description, (key, *others), required, subject, attribute, verb, general
    )


def _action(vocabulary: Vocabulary, *, verb: str, subject: str) -> Function:
    noun = f"{vocabulary.adjective()} {subject}" if vocabulary.chance(0.2) else subject
    description = vocabulary.one_of(_ACTION_DESCRIPTIONS).format(
        verb=verb, Verb=verb.capitalize(), noun=noun, a_noun=with_article(noun)
    )
    parameters = _parameters(vocabulary, vocabulary.one_of((1, 1, 2, 2, 3, 4)), taken=set())
    required = tuple(one.name for one in parameters if vocabulary.chance(0.75)) or (parameters[0].name,)
    return Function(f"{verb}_{noun.replace(' ', '_')}", description, parameters, required, noun, "", verb)


def _parameters(vocabulary: Vocabulary, count: int, *, taken: set[str]) -> tuple[Parameter, ...]:
    parameters: list[Parameter] = []
    while len(parameters) < count:
        parameter = _parameter(vocabulary)
        if parameter.name not in taken:
            taken.add(parameter.name)
            parameters.append(parameter)
    return tuple(parameters)


def _parameter(vocabulary: Vocabulary) -> Parameter:
    name = vocabulary.noun()
    if vocabulary.chance(0.35):
        name = f"{name}_{vocabulary.one_of(('id', 'name', 'code', 'date', 'number', 'type', vocabulary.noun()))}"
    elif vocabulary.chance(0.15):
        name = vocabulary.one_of(PLAIN_NAMES)
    kind = vocabulary.one_of(("code", "text", "text", "integer", "number", "boolean", "enum", "date"))
    if kind == "boolean" and vocabulary.chance(0.7):
        name = vocabulary.adjective()
    words = name.replace("_", " ")
    described = vocabulary.one_of((words.capitalize(), f"The {words}", f"{words.capitalize()} to use", ""))

    def schema(**fields: Any) -> dict[str, Any]:
        return {**fields, "description": described} if described else fields

    def stated(value: str) -> str:
        return vocabulary.one_of(
            (f"{words} {value}", f"{words} {value}", f"{words}: {value}", f"the {words} {value}", f"{words} = {value}")
        )

    if kind == "boolean":

        def draw_boolean() -> tuple[Any, str]:
            if vocabulary.chance(0.5):
                return True, vocabulary.one_of((words, f"{words}: yes", f"{words} true", f"{words} on"))
            return False, vocabulary.one_of((f"not {words}", f"{words}: no", f"{words} false", f"{words} off"))

        return Parameter(name, schema(type="boolean"), draw_boolean)
    if kind == "enum":
        choices = [
            vocabulary.one_of((vocabulary.adjective, vocabulary.any_word))() for _ in range(vocabulary.integer(2, 4))
        ]

        def draw_choice() -> tuple[Any, str]:
            choice = vocabulary.one_of(choices)
            return choice, stated(choice)

        return Parameter(name, schema(type="string", enum=list(dict.fromkeys(choices))), draw_choice)
    if kind == "integer":

        def draw_integer() -> tuple[Any, str]:
            value = vocabulary.integer(0, 10 ** vocabulary.integer(1, 5))
            return value, stated(str(value))

        return Parameter(name, schema(type="integer"), draw_integer)
    if kind == "number":

        def draw_number() -> tuple[Any, str]:
            value = vocabulary.amount()
            return value, stated(str(value))

        return Parameter(name, schema(type="number"), draw_number)
    draw_text = {
        "code": vocabulary.code,
        "date": vocabulary.date,
        "text": vocabulary.one_of(
            (vocabulary.place, vocabulary.person, vocabulary.email, vocabulary.any_word, vocabulary.phrase)
        ),
    }[kind]

    def draw_string() -> tuple[Any, str]:
        value = draw_text()
        quote = '"' if " " in value and vocabulary.chance(0.5) else ""
        return value, stated(f"{quote}{value}{quote}")

    return Parameter(name, schema(type="string"), draw_string)

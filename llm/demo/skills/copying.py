"""Plain lists said twice, in another order: the shortest way to learn to look something up and copy it exactly.

Loss on every line of the second and third pass is the lesson; nothing here is a conversation.
"""

from __future__ import annotations

from collections.abc import Callable

from ..sample import Sample, Turn, assistant, user
from ..vocabulary import Vocabulary
from ..words import ACTION_VERBS, LOOKUP_VERBS


def key_values(vocabulary: Vocabulary) -> Sample:
    """Keys and values, repeated once or twice in shuffled order, each time in the same or another notation."""
    pairs = {_key(vocabulary): vocabulary.value() for _ in range(vocabulary.integer(3, 14))}
    lines = []
    for _ in range(vocabulary.integer(2, 3)):
        items = list(pairs.items())
        vocabulary.random.shuffle(items)
        notation = vocabulary.one_of(
            ("{}: {}", "{}: {}", "{} = {}", "{} {}", '"{}": "{}"', "the {} is {}", "- {} | {}")
        )
        lines += [notation.format(key, value) for key, value in items]
    return Sample(skill="key_values", text="\n".join(lines) + "\n")


def records(vocabulary: Vocabulary) -> Sample:
    """Rows whose beginning is asked for by what stands behind it: looking something up backwards."""
    fields = vocabulary.integer(1, 3)
    few = [vocabulary.any_word() for _ in range(vocabulary.integer(2, 5))] if vocabulary.chance(0.5) else None
    firsts = vocabulary.one_of((LOOKUP_VERBS, ACTION_VERBS, None, None))
    rows: dict[tuple[str, ...], str] = {}
    for _ in range(vocabulary.integer(3, 14)):
        rest = [vocabulary.any_word() for _ in range(fields)]
        if few is not None and fields > 1:
            rest[0] = vocabulary.one_of(few)
        rows[tuple(rest)] = vocabulary.one_of(firsts) if firsts is not None else vocabulary.any_word()
    between, end = vocabulary.one_of((("_", "\n"), ("_", "\n"), (" ", "\n"), (": ", "\n"), (" - ", "; "), ("_", ", ")))
    listed = end.join(between.join((first, *rest)) for rest, first in rows.items())
    asking = vocabulary.one_of(("{}", "{}?", "What begins {}?", "Find {}.", "I need {}"))
    joint = vocabulary.one_of((" ", " of the ", " of ", ", ", " and "))
    backwards, whole = vocabulary.chance(0.6), vocabulary.chance(0.4)
    turns: list[Turn] = []
    for behind, first in vocabulary.some_of(list(rows.items()), len(rows)):
        question = asking.format(joint.join(behind[::-1] if backwards else behind))
        answer = between.join((first, *behind)) if whole else first
        turns += [user(question if turns else f"{listed}\n\n{question}"), assistant(answer)]
    return Sample(skill="records", messages=tuple(turns))


def repetition(vocabulary: Vocabulary) -> Sample:
    """A run of unrelated words, codes and numbers, said twice or three times."""
    run = " ".join(vocabulary.value() for _ in range(vocabulary.integer(3, 12)))
    joint = vocabulary.one_of((" ", "\n", ", ", '" "', " - "))
    return Sample(skill="repetition", text=joint.join([run] * vocabulary.integer(2, 3)) + "\n")


def sentences_again(vocabulary: Vocabulary) -> Sample:
    """Sentences, repeated in shuffled order: after its first words each is known."""
    chosen = list(dict.fromkeys(vocabulary.sentence() for _ in range(vocabulary.integer(2, 5))))
    again = vocabulary.some_of(chosen, len(chosen))
    return Sample(skill="sentences_again", text="\n".join([*chosen, *again]) + "\n")


def _key(vocabulary: Vocabulary) -> str:
    if vocabulary.chance(0.5):
        return vocabulary.any_word()
    makers: tuple[Callable[[], str], ...] = (
        vocabulary.code,
        vocabulary.place,
        lambda: f"{vocabulary.noun()}_{vocabulary.noun()}",
        lambda: f"{vocabulary.adjective()} {vocabulary.noun()}",
    )
    return vocabulary.one_of(makers)()

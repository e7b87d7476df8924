"""Plain lists said twice, in another order: the shortest way to learn to look something up and copy it exactly.

Loss on every line of the second and third pass is the lesson; nothing here is a conversation.
"""

from __future__ import annotations

from collections.abc import Callable

from ..sample import Sample
from ..vocabulary import Vocabulary


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

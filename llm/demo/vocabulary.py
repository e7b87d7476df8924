"""Where the generator's names, codes, numbers and phrases come from: one seeded source, so a seed fixes every sample.

What must be copied (codes, names, values) is drawn from spaces so large that a model cannot learn it by heart.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeVar

from . import prose
from .words import ADJECTIVES, CODAS, FIRST_NAMES, MONTHS, NOUNS, ONSETS, VOWELS

Item = TypeVar("Item")

_UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class Vocabulary:
    """Random material of one sample."""

    def __init__(self, seed: object, *, held_out: bool = False) -> None:
        self.random = random.Random(str(seed))
        self.held_out = held_out

    def one_of(self, items: Sequence[Item]) -> Item:
        return self.random.choice(items)

    def some_of(self, items: Sequence[Item], count: int) -> list[Item]:
        return self.random.sample(items, count)

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def integer(self, low: int, high: int) -> int:
        return self.random.randint(low, high)

    def noun(self) -> str:
        return self.one_of(NOUNS)

    def adjective(self) -> str:
        return self.one_of(ADJECTIVES)

    def any_word(self) -> str:
        """A word of any kind: ours, the reference's, or one that does not exist."""
        kind = self.random.random()
        if kind < 0.4:
            return self.noun()
        if kind < 0.75:
            return self.one_of(prose.words())
        return self.invented_word()

    def invented_word(self) -> str:
        syllables = self.integer(2, 3)
        word = "".join(self.one_of(ONSETS) + self.one_of(VOWELS) for _ in range(syllables))
        return word + self.one_of(CODAS) if self.chance(0.5) else word

    def place(self) -> str:
        return self.invented_word().capitalize()

    def person(self) -> str:
        first = self.one_of(FIRST_NAMES) if self.chance(0.7) else self.place()
        return f"{first} {self.place()}" if self.chance(0.6) else first

    def code(self) -> str:
        """An identifier such as ``ABC123``, ``QF-20931``, ``88012`` or ``b7f2``."""
        letters = "".join(self.random.choices(_UPPER, k=self.integer(1, 4)))
        digits = "".join(self.random.choices("0123456789", k=self.integer(2, 5)))
        return self.one_of(
            (
                letters + digits,
                letters + digits,
                f"{letters}-{digits}",
                digits + letters,
                letters.lower() + digits,
                digits,
            )
        )

    def amount(self) -> int | float:
        if self.chance(0.6):
            return self.integer(1, 10 ** self.integer(1, 5))
        return self.integer(1, 10 ** self.integer(2, 5)) / self.one_of((10, 100))

    def date(self) -> str:
        return f"20{self.integer(10, 39)}-{self.integer(1, 12):02}-{self.integer(1, 28):02}"

    def spoken_date(self) -> str:
        return f"{self.integer(1, 28)} {self.one_of(MONTHS)} 20{self.integer(10, 39)}"

    def email(self) -> str:
        person, company = self.one_of(FIRST_NAMES).lower(), self.invented_word()
        return f"{person}.{company}@{self.invented_word()}.{self.one_of(('com', 'org', 'net'))}"

    def phrase(self) -> str:
        return " ".join(self.any_word() for _ in range(self.integer(2, 5)))

    def value(self) -> str:
        """Something worth copying, as text."""
        return str(
            self.one_of(
                (
                    self.code,
                    self.code,
                    self.place,
                    self.person,
                    self.amount,
                    self.date,
                    self.email,
                    self.phrase,
                    self.any_word,
                )
            )()
        )

    def sentence(self) -> str:
        return self.one_of(prose.sentences(held_out=self.held_out))

    def paragraph(self, sentences: int) -> list[str]:
        """Consecutive sentences of the reference, filled up with others where the paragraph is short."""
        found = list(self.one_of(prose.paragraphs(held_out=self.held_out))[:sentences])
        while len(found) < sentences:
            extra = self.sentence()
            if extra not in found:
                found.append(extra)
        return found


def with_article(words: str) -> str:
    """``a lamp``, ``an offer``."""
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"

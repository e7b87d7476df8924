"""Where the generator's names, codes, numbers and phrases come from: one seeded source, so a seed fixes every sample.

What must be copied (codes, names, values) is drawn from spaces so large that a model cannot learn it by heart.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeVar

from . import prose

Item = TypeVar("Item")

NOUNS = (
    "account address agenda agreement alarm album answer apartment archive article asset auction audit badge balance "
    "bank battery bill board boat book booking branch bridge budget building bus calendar call camera campaign car card "
    "case catalog center channel chapter chart city claim class client clinic clock coin color company contact contract "
    "country coupon course crop currency customer dataset deadline debt delivery department deposit desk device dish "
    "document domain door draft driver drug employee engine error estate event exam expense factory farm fee field file "
    "film fine firm flight flower folder forecast form friend fund game garden gate gift goal grade grant group guest "
    "harbor holiday hospital hotel house image incident index insurance inventory invoice island issue item job journal "
    "kitchen label laboratory lake lamp language lecture ledger lesson letter library license limit list loan location "
    "lock log machine mail manager map market meal medicine meeting member memo menu message meter mill mine model "
    "museum network news note notice office offer orchard order package page painting parcel park partner passport "
    "patient payment pension permit person phone photo pilot plan plant player policy port position post price printer "
    "prize product profile project property protocol quarter query quote rate receipt recipe record refund region "
    "reminder rent repair report request reservation resource restaurant result review reward risk road robot role room "
    "route salary sale sample schedule school score seat section sensor server service session ship shipment shop "
    "signal site song staff station statement stock store stream street student subscription supplier survey system "
    "table target task tax team tenant ticket timer tool tour town track trade train transfer treatment trip truck unit "
    "user vacation valve vehicle vendor version village visit visitor voucher wallet warehouse warranty weather "
    "website well window worker zone"
).split()
ADJECTIVES = (
    "active annual available average basic blue central cheap clean closed cold common current daily dark digital direct "
    "double dry early eastern empty fast final first fixed free fresh full general global good green gross hard heavy "
    "high hourly internal large last late light local long lower main major maximum mean medium minimum minor modern "
    "monthly narrow net new next northern old open outer own paid pending primary private public quick quiet rare red "
    "regional regular remote rough round safe second senior short simple small smooth soft solid southern special spare "
    "standard steady strong thin third total upper urgent vacant warm weekly western white wide yearly young"
).split()
FIRST_NAMES = (
    "Ada Adam Aisha Alan Alice Amir Ana Anna Ben Bob Carla Carlos Chen Clara Daniel David Diana Elena Emma Eric Eva Fatima "
    "Felix Frank Grace Hana Hugo Ines Ivan Jack James Jane Jin John Jonas Julia Karim Kate Laila Lars Laura Leo Lena Lina "
    "Lucas Maria Mark Marta Max Maya Mei Mia Mila Nadia Nina Noah Nora Olga Omar Oscar Paul Peter Petra Priya Ravi Rosa "
    "Ruth Sam Sara Sofia Tara Theo Tom Uma Vera Victor Wei Yara Yuki Zoe"
).split()
MONTHS = "January February March April May June July August September October November December".split()
_ONSETS = "b br c ch d dr f fl g gr h j k kl l m n p pr qu r s sh st t th tr v w y z".split()
_VOWELS = "a e i o u ai ea io ou a e i o".split()
_CODAS = "n r l s t m nd rk x ck th n r l".split()
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
        word = "".join(self.one_of(_ONSETS) + self.one_of(_VOWELS) for _ in range(syllables))
        return word + self.one_of(_CODAS) if self.chance(0.5) else word

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
        return f"{self.one_of(FIRST_NAMES).lower()}.{self.invented_word()}@{self.invented_word()}.{self.one_of(('com', 'org', 'net'))}"

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

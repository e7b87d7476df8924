"""The stream of samples: each place of it is the same for ever, and no state is carried from one to the next."""

from __future__ import annotations

import math
from collections.abc import Iterator

from .sample import Sample
from .skills import (
    CHOOSING_MIXTURE,
    FIRST_MIXTURE,
    LAST_MIXTURE,
    MIXTURE,
    SEARCHING_MIXTURE,
    SECOND_RUN_MIXTURE,
    SINGLE_QUESTIONS_MIXTURE,
    SKILLS,
    SMALL_TALK_MIXTURE,
)
from .vocabulary import Vocabulary

# Up to which place of the stream each mixture is drawn from.
_PHASES = (
    (3000, FIRST_MIXTURE),
    (9728, MIXTURE),
    (15872, SMALL_TALK_MIXTURE),
    (25_600, LAST_MIXTURE),
    (512_000, SECOND_RUN_MIXTURE),
    (1_024_000, SINGLE_QUESTIONS_MIXTURE),
    (2_048_000, SEARCHING_MIXTURE),
    (math.inf, CHOOSING_MIXTURE),
)


def training_sample(seed: int, index: int) -> Sample:
    """The sample at one place of the training stream of `seed`."""
    vocabulary = Vocabulary(f"train {seed} {index}")
    mixture = next(mixture for end, mixture in _PHASES if index < end)
    skill = vocabulary.random.choices(list(mixture), weights=list(mixture.values()))[0]
    return skill(vocabulary)


def training_stream(seed: int, *, start: int = 0) -> Iterator[Sample]:
    """Samples from `start` on, without end."""
    index = start
    while True:
        yield training_sample(seed, index)
        index += 1


def evaluation_samples(seed: int, skill: str, count: int) -> list[Sample]:
    """Samples of one skill that training never sees: another stream, and passages from held-out topics."""
    return [SKILLS[skill](Vocabulary(f"evaluate {seed} {skill} {index}", held_out=True)) for index in range(count)]

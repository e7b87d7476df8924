"""What goes to an engine and what comes back: plain data, so that an engine can live in another process."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from ..exceptions import RequestError

EngineFinish = Literal["stop", "length"]


def _number(name: str, value: object, low: float, high: float, *, low_open: bool = False) -> None:
    valid = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if not valid or not low <= value <= high or (low_open and value == low):  # type: ignore[operator]
        raise RequestError(
            f"{name}={value!r} is not allowed: a number {'above' if low_open else 'from'} {low:g} to {high:g}."
        )


def _integer(name: str, value: object, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise RequestError(f"{name}={value!r} is not allowed: a whole number from {low} to {high}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingParams:
    """How the next token is chosen. Filters apply in this order: penalties and logit_bias, mask, temperature,
    top_k, top_p, min_p.

    Args:
        temperature: 0 takes the likeliest token (greedy).
        top_k: keep the k likeliest tokens; 0 keeps all.
        top_p: keep the likeliest tokens that together reach this probability.
        min_p: keep tokens at least this fraction as likely as the likeliest.
        repeat_penalty: divides (positive) or multiplies (negative) logits of tokens seen lately; 1 is off.
        presence_penalty: subtracted once from logits of tokens seen lately.
        frequency_penalty: subtracted for each time that a token was seen lately.
        penalty_last_n: how many tokens back "lately" reaches; the prompt counts for repeat_penalty only.
        seed: same seed, same tokens; None takes a fresh one.
        logit_bias: (token id, addition) pairs.

    Raises:
        RequestError: names the argument, its value and what is allowed.
    """

    temperature: float = 0.7
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    repeat_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    penalty_last_n: int = 256
    seed: int | None = None
    logit_bias: tuple[tuple[int, float], ...] = ()

    def __post_init__(self) -> None:
        _number("temperature", self.temperature, 0.0, 100.0)
        _integer("top_k", self.top_k, 0, 1 << 30)
        _number("top_p", self.top_p, 0.0, 1.0, low_open=True)
        _number("min_p", self.min_p, 0.0, 1.0)
        _number("repeat_penalty", self.repeat_penalty, 0.0, 10.0, low_open=True)
        _number("presence_penalty", self.presence_penalty, -10.0, 10.0)
        _number("frequency_penalty", self.frequency_penalty, -10.0, 10.0)
        _integer("penalty_last_n", self.penalty_last_n, 0, 1 << 20)
        if self.seed is not None:
            _integer("seed", self.seed, 0, (1 << 63) - 1)
        for token, bias in self.logit_bias:
            _integer("logit_bias token", token, 0, 1 << 30)
            _number("logit_bias", bias, -1e4, 1e4)

    @property
    def has_penalties(self) -> bool:
        return self.repeat_penalty != 1.0 or self.presence_penalty != 0.0 or self.frequency_penalty != 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineRequest:
    """One generation.

    Args:
        prompt: token ids.
        max_tokens: the most tokens to generate.
        sampling: how to choose each.
        stop_tokens: ids that end the generation; they are not delivered.
        grammar: text of a grammar that the output must follow, in the form that the engine's constraint
            compiler reads; None leaves the output free.
        lookup: allow speculation by prompt lookup; None lets the engine decide.
    """

    prompt: tuple[int, ...] = field(repr=False)
    max_tokens: int
    sampling: SamplingParams = SamplingParams()
    stop_tokens: frozenset[int] = frozenset()
    grammar: str | None = field(default=None, repr=False)
    lookup: bool | None = None


@dataclass(frozen=True, slots=True)
class EngineOutput:
    """Tokens of one request since the last output. The last one has a finish reason or an error.

    Attributes:
        tokens: new token ids, without a stop token.
        finish: why it ended; None while it goes on.
        cached_tokens: prompt tokens that were taken from the prefix cache.
        error: set instead of `finish` when it ended without an answer.
    """

    tokens: tuple[int, ...] = ()
    finish: EngineFinish | None = None
    cached_tokens: int = 0
    error: BaseException | None = None

    @property
    def last(self) -> bool:
        return self.finish is not None or self.error is not None


class TokenConstraint(Protocol):
    """Which tokens may come next in one generation; the engine drives it, the grammar package implements it.

    Calls alternate: ask (`allows`, `fill_mask`, `forced_tokens`), then `advance` by the token taken.
    """

    def allows(self, token: int) -> bool:
        """Whether `token` may come next. An end token is allowed only where the grammar may end."""

    def fill_mask(self, mask: npt.NDArray[np.int32]) -> None:
        """Write the allowed tokens as a bit mask (bit t % 32 of word t // 32) into `mask`."""

    def forced_tokens(self) -> list[int]:
        """Tokens that must come next whatever the model says; usually none."""

    def advance(self, token: int) -> None:
        """Take a token that is allowed."""

    def rollback(self, count: int) -> None:
        """Take back the last `count` advanced tokens."""

    @property
    def finished(self) -> bool:
        """True when nothing but an end token may follow."""


class ConstraintCompiler(Protocol):
    """Turns a request's grammar text into a fresh constraint. Called off the event loop."""

    def __call__(self, grammar: str) -> TokenConstraint: ...

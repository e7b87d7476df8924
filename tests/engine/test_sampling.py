"""Sampling against a straightforward implementation that sorts everything."""

from __future__ import annotations

import math

import numpy as np
import pytest

from llm.engine.request import SamplingParams
from llm.engine.sampling import Sampler
from llm.exceptions import RequestError


def plain_filter(logits: np.ndarray, *, temperature: float, top_k: int, top_p: float, min_p: float) -> set[int]:
    """The tokens that may be drawn, by sorting the whole vocabulary."""
    weights = np.exp((logits - logits.max()).astype(np.float64) / temperature)
    order = np.argsort(-weights, kind="stable")
    if top_k:
        order = order[:top_k]
    kept = weights[order]
    cumulative = np.cumsum(kept) / kept.sum()
    count = int(np.searchsorted(cumulative, top_p)) + 1 if top_p < 1 else len(order)
    order, kept = order[:count], kept[:count]
    return {int(token) for token, weight in zip(order, kept, strict=True) if weight >= min_p}


@pytest.mark.parametrize("scale", [0.01, 1.0, 8.0])
@pytest.mark.parametrize("top_k", [0, 1, 7, 5000])
@pytest.mark.parametrize(("top_p", "min_p"), [(1.0, 0.0), (0.9, 0.0), (0.3, 0.0), (1.0, 0.2), (0.95, 0.05)])
def test_drawn_tokens_are_exactly_those_that_pass_the_filters(
    scale: float, top_k: int, top_p: float, min_p: float
) -> None:
    """However flat or peaked the distribution, no other token is drawn, and every likely one is."""
    logits = (np.random.default_rng(1).standard_normal(3000) * scale).astype(np.float32)
    expected = plain_filter(logits, temperature=0.8, top_k=top_k, top_p=top_p, min_p=min_p)
    sampler = Sampler(SamplingParams(temperature=0.8, top_k=top_k, top_p=top_p, min_p=min_p, seed=0), ())
    drawn = {sampler.sample(logits) for _ in range(1500)}
    assert drawn <= expected
    weights = {token: math.exp(float(logits[token] - logits.max()) / 0.8) for token in expected}
    assert {token for token in expected if weights[token] > 0.02 * sum(weights.values())} <= drawn


def test_draws_follow_the_probabilities() -> None:
    """Frequencies of 20,000 draws lie within five standard deviations of the softmax."""
    logits = np.log(np.array([0.5, 0.3, 0.15, 0.05], dtype=np.float32))
    sampler = Sampler(SamplingParams(temperature=1.0, seed=3), ())
    counts = np.bincount([sampler.sample(logits) for _ in range(20_000)], minlength=4)
    for count, probability in zip(counts, np.exp(logits), strict=True):
        assert abs(count - 20_000 * probability) < 5 * math.sqrt(20_000 * probability)


def test_penalties_lower_what_was_seen_and_leave_the_logits_alone() -> None:
    """repeat_penalty counts prompt and reply, presence and frequency the reply; the engine's buffer is not changed."""
    logits = np.array([2.0, 1.9, -1.0, 0.0], dtype=np.float32)
    before = logits.copy()
    assert Sampler(SamplingParams(temperature=0, repeat_penalty=1.5), (0,)).sample(logits) == 1
    sampler = Sampler(SamplingParams(temperature=0, frequency_penalty=0.06), (0, 0, 0))
    assert sampler.sample(logits) == 0
    sampler.accept(0)
    assert sampler.sample(logits) == 0
    sampler.accept(0)
    assert sampler.sample(logits) == 1
    assert (logits == before).all()


def test_logit_bias_can_ban_and_force() -> None:
    """A large negative bias removes a token, a large positive one makes it certain."""
    logits = np.array([2.0, 1.0, 0.0], dtype=np.float32)
    assert Sampler(SamplingParams(temperature=0, logit_bias=((0, -100.0),)), ()).sample(logits) == 1
    assert Sampler(SamplingParams(temperature=1.0, logit_bias=((2, 100.0),), seed=1), ()).sample(logits) == 2


class Only:
    """Allows one set of tokens."""

    finished = False

    def __init__(self, allowed: set[int]) -> None:
        self.allowed = allowed
        self.masks = 0

    def allows(self, token: int) -> bool:
        return token in self.allowed

    def fill_mask(self, mask: np.ndarray) -> None:
        self.masks += 1
        for token in self.allowed:
            mask[token // 32] |= np.int32(np.uint32(1 << (token % 32)).astype(np.int32))

    def forced_tokens(self) -> list[int]:
        return []

    def advance(self, token: int) -> None:
        assert token in self.allowed

    def rollback(self, count: int) -> None:
        raise NotImplementedError


def test_the_mask_is_asked_for_only_when_the_first_draw_is_refused() -> None:
    """An allowed likeliest token costs no mask; otherwise the likeliest allowed one is taken."""
    logits = np.zeros(100, dtype=np.float32)
    logits[40], logits[63] = 5.0, 4.0
    free = Only({40, 63})
    assert Sampler(SamplingParams(temperature=0), (), free).sample(logits) == 40
    assert free.masks == 0
    bound = Only({63, 95})
    assert Sampler(SamplingParams(temperature=0), (), bound).sample(logits) == 63
    assert bound.masks == 1
    warm = Sampler(SamplingParams(temperature=1.0, top_p=0.5, seed=2), (), Only({95}))
    assert {warm.sample(logits) for _ in range(20)} == {95}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temperature", math.nan), ("temperature", -0.1), ("temperature", math.inf), ("temperature", "hot"),
        ("top_p", 0), ("top_p", 5), ("top_p", math.nan), ("top_k", -1), ("top_k", 2.5), ("min_p", 1.5),
        ("repeat_penalty", 0), ("repeat_penalty", 1e9), ("presence_penalty", math.inf), ("frequency_penalty", 11),
        ("seed", -1), ("seed", 1 << 63), ("penalty_last_n", -5), ("top_k", True),
        ("logit_bias", ((1, math.nan),)), ("logit_bias", ((-1, 1.0),)),
    ],
)  # fmt: skip
def test_bad_values_are_refused_by_name(name: str, value: object) -> None:
    """Nothing but a finite number in its range gets near the device."""
    with pytest.raises(RequestError, match=name):
        SamplingParams(**{name: value})  # type: ignore[arg-type]

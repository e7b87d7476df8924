"""From logits to one token, in numpy, with the state that one generation keeps between tokens.

Filters run in the order that Hugging Face and vLLM use: penalties and bias, mask, temperature, top-k, top-p, min-p.
Top-k and top-p are exact without sorting the vocabulary: the tokens above a threshold are by construction the
likeliest ones, so the threshold is lowered until they hold k tokens or the mass that top-p asks for, and of those only
the ones around the last are sorted.
"""

from __future__ import annotations

from collections import Counter, deque

import numpy as np
import numpy.typing as npt

from .request import SamplingParams, TokenConstraint

Logits = npt.NDArray[np.float32]


class Sampler:
    """Chooses the tokens of one generation.

    The random state advances once for each draw, so the same seed gives the same tokens whatever else the
    engine computes meanwhile.
    """

    def __init__(
        self, params: SamplingParams, prompt: tuple[int, ...], constraint: TokenConstraint | None = None
    ) -> None:
        self._params = params
        self._random = np.random.default_rng(params.seed)
        self._constraint = constraint
        self._biased = np.array([token for token, _ in params.logit_bias], dtype=np.intp)
        self._bias = np.array([bias for _, bias in params.logit_bias], dtype=np.float32)
        self._plain = not params.has_penalties and not params.logit_bias
        lately = prompt[-params.penalty_last_n :] if params.has_penalties and params.penalty_last_n else ()
        self._lately: deque[int] = deque(lately, maxlen=params.penalty_last_n)
        self._generated: Counter[int] = Counter()

    def sample(self, logits: Logits) -> int:
        """The next token. `logits` is the engine's own buffer and is not written to."""
        if not self._plain:
            logits = self._adjust(logits)
        token = self._draw(logits)
        if self._constraint is not None and not self._constraint.allows(token):
            token = self._draw(self._masked(logits))
        return token

    def accept(self, token: int) -> None:
        """Remember a token that became part of the text."""
        if self._params.has_penalties:
            self._lately.append(token)
            self._generated[token] += 1
        if self._constraint is not None:
            self._constraint.advance(token)

    def _adjust(self, logits: Logits) -> Logits:
        logits = logits.copy()
        params = self._params
        if params.repeat_penalty != 1.0 and self._lately:
            seen = np.fromiter(set(self._lately), dtype=np.intp)
            values = logits[seen]
            logits[seen] = np.where(values > 0, values / params.repeat_penalty, values * params.repeat_penalty)
        if self._generated and (params.presence_penalty or params.frequency_penalty):
            seen = np.fromiter(self._generated.keys(), dtype=np.intp)
            counts = np.fromiter(self._generated.values(), dtype=np.float32)
            logits[seen] -= params.presence_penalty + params.frequency_penalty * counts
        if self._biased.size:
            np.add.at(logits, self._biased, self._bias)
        return logits

    def _masked(self, logits: Logits) -> Logits:
        assert self._constraint is not None
        mask = np.zeros((logits.size + 31) // 32, dtype=np.int32)
        self._constraint.fill_mask(mask)
        allowed = np.unpackbits(mask.view(np.uint8), bitorder="little", count=logits.size).view(np.bool_)
        return np.where(allowed, logits, np.float32(-np.inf))

    def _draw(self, logits: Logits) -> int:
        params = self._params
        best = int(logits.argmax())
        if params.temperature < 1e-5 or params.top_k == 1:
            return best
        weights = np.exp((logits - logits[best]) * np.float32(1.0 / params.temperature))
        tokens, kept = _likeliest(weights, params.top_k, params.top_p, params.min_p)
        cumulative = np.cumsum(kept, dtype=np.float64)
        position = int(np.searchsorted(cumulative, self._random.random() * cumulative[-1], side="right"))
        return int(tokens[min(position, len(tokens) - 1)])


def _likeliest(
    weights: Logits, top_k: int, top_p: float, min_p: float
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float32]]:
    """The tokens that pass top-k, then top-p of what is left, then min-p, with their weights, in no special order.

    Args:
        weights: unnormalised probabilities, the largest being 1.
    """
    by_number = 0 < top_k < weights.size
    if top_p >= 1.0 and not by_number:
        tokens = np.flatnonzero(weights >= min_p) if min_p > 0 else np.arange(weights.size)
        return tokens, weights[tokens]
    total = float(weights.sum(dtype=np.float64))
    threshold = 1e-2
    while True:
        tokens = np.flatnonzero(weights >= threshold)
        kept = weights[tokens]
        if len(tokens) >= top_k if by_number else float(kept.sum(dtype=np.float64)) >= top_p * total:
            break
        threshold *= 1e-2
        if threshold < 1e-30:
            tokens, kept = np.arange(weights.size), weights
            break
    if by_number:
        first = _first(kept, None, top_k)
        tokens, kept = tokens[first], kept[first]
        total = float(kept.sum(dtype=np.float64))
    if top_p < 1.0:
        first = _first(kept, kept, top_p * total)
        tokens, kept = tokens[first], kept[first]
    if min_p > 0:
        likely = kept >= min_p
        tokens, kept = tokens[likely], kept[likely]
    return tokens, kept


def _first(weights: Logits, amounts: Logits | None, goal: float) -> npt.NDArray[np.intp]:
    """Where the largest weights are, as many as it takes until their amounts reach a goal, in no special order.

    Only the weights around the last one are sorted: a flat distribution over a large vocabulary has a hundred thousand
    before it. The upper half of a float's bits, of which seven are of its fraction, puts positive ones into order.

    Args:
        weights: none is negative.
        amounts: of each weight; None counts them.
        goal: what the amounts come to.
    """
    ranks = np.ascontiguousarray(weights).view(np.int32) >> 16
    amount_of_rank = np.bincount(ranks, weights=amounts)[::-1]
    reached = np.cumsum(amount_of_rank)
    last = min(int(np.searchsorted(reached, goal)), len(reached) - 1)
    rank = len(reached) - 1 - last
    edge = np.flatnonzero(ranks == rank)
    edge = edge[np.argsort(-weights[edge], kind="stable")]
    within = np.cumsum(np.ones(len(edge)) if amounts is None else amounts[edge], dtype=np.float64)
    count = int(np.searchsorted(within, goal - (reached[last] - amount_of_rank[last]))) + 1
    return np.concatenate([np.flatnonzero(ranks > rank), edge[:count]])

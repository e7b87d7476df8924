"""What the next step computes, decided in pure code.

Every generation that decodes gets its token. What is left of the batch goes to those with more pending tokens
(prompts, mostly), in equal shares, so that a long prompt delays neither the tokens nor the prompts of others. While
somebody decodes, prompts together get only as many rows as fit a bounded time, but never so few that the prompts
themselves would suffer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .generation import Generation

STEP_SECONDS = 0.25
SMALLEST_CHUNK = 256  # smaller chunks cost a CPU several times as much per token
MOST_DRAFTING = 4
MOST_DRAFT_ROWS = 16


@dataclass(frozen=True, slots=True)
class Work:
    """Compute the next `count` pending tokens of a generation, and `draft` behind them."""

    generation: Generation
    count: int
    draft: tuple[int, ...] = ()

    @property
    def rows(self) -> int:
        return self.count + len(self.draft)

    @property
    def completes(self) -> bool:
        """Whether nothing is pending afterwards, so that a token can be sampled."""
        return self.count == self.generation.pending


class PromptPace:
    """How many prompt rows fit `STEP_SECONDS`, learnt from the steps so far."""

    def __init__(self, max_rows: int) -> None:
        self._max_rows = max_rows
        self._seconds_per_row: float | None = None

    def observe(self, rows: int, seconds: float) -> None:
        """Take note of a step that computed `rows` prompt rows in so many seconds; a few rows tell nothing."""
        if rows >= SMALLEST_CHUNK // 4:
            latest = seconds / rows
            known = self._seconds_per_row
            self._seconds_per_row = latest if known is None else 0.7 * known + 0.3 * latest

    @property
    def rows(self) -> int:
        if self._seconds_per_row is None:
            return min(self._max_rows, SMALLEST_CHUNK)
        return min(self._max_rows, max(SMALLEST_CHUNK, int(STEP_SECONDS / self._seconds_per_row)))


def plan_step(
    running: Sequence[Generation], *, max_rows: int, max_outputs: int, prompt_rows: int, drafts: bool
) -> list[Work]:
    """The work of one step.

    Args:
        running: generations that have a sequence, first come first.
        max_rows: rows of one batch.
        max_outputs: rows of one batch that may ask for logits.
        prompt_rows: rows for prompts while somebody decodes.
        drafts: whether drafts may be proposed.
    """
    decoding = [generation for generation in running if generation.pending == 1][: min(max_outputs, max_rows)]
    filling = [generation for generation in running if generation.pending > 1]
    proposals: list[tuple[int, ...]] = [()] * len(decoding)
    outputs_left = max_outputs - len(decoding)
    if drafts and not filling and 0 < len(decoding) <= MOST_DRAFTING:
        share = min(MOST_DRAFT_ROWS, outputs_left, max_rows - len(decoding)) // len(decoding)
        proposals = [_propose(generation, share) for generation in decoding]
    works = [Work(generation, 1, draft) for generation, draft in zip(decoding, proposals, strict=True)]
    rows_left = max_rows - sum(work.rows for work in works)
    if decoding:
        rows_left = min(rows_left, prompt_rows)
    shares = equal_shares([generation.pending for generation in filling], rows_left)
    for generation, share in zip(filling, shares, strict=True):
        if share == generation.pending:
            if outputs_left == 0:
                share -= 1
            else:
                outputs_left -= 1
        if share:
            works.append(Work(generation, share))
    return works


def equal_shares(demands: Sequence[int], budget: int) -> list[int]:
    """Divide `budget` so that nobody gets more than asked for and nobody could get more without taking it from
    one who has less (max-min fairness). Where there is less than one for each, the smallest demands come first."""
    shares = [0] * len(demands)
    left = budget
    order = sorted(range(len(demands)), key=lambda index: demands[index])
    for place, index in enumerate(order):
        shares[index] = min(demands[index], -(-left // (len(order) - place)))
        left -= shares[index]
    return shares


def _propose(generation: Generation, limit: int) -> tuple[int, ...]:
    if generation.lookup is None:
        return ()
    room = generation.most_tokens - len(generation.tokens) - 1
    return tuple(generation.lookup.propose(min(limit, room)))

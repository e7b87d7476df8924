"""Planning a step, sharing rows, pacing prompts, proposing drafts: pure decisions."""

from __future__ import annotations

import threading
from typing import Any, cast

import pytest

from llm.engine.compute_budget import ComputeBudget, available_threads
from llm.engine.generation import Generation
from llm.engine.prompt_lookup import LONGEST, PromptLookup
from llm.engine.request import EngineRequest
from llm.engine.scheduler import SMALLEST_CHUNK, PromptPace, equal_shares, plan_step


def generation(pending: int, *, computed: int = 0, lookup: PromptLookup | None = None) -> Generation:
    request = EngineRequest(prompt=(1,), max_tokens=1)
    unused = cast(Any, None)
    tokens = [1] * (computed + pending)
    return Generation(request, unused, unused, 10_000, tokens=tokens, computed=computed, lookup=lookup)


@pytest.mark.parametrize(
    ("demands", "budget", "shares"),
    [
        ([], 10, []),
        ([5, 5], 20, [5, 5]),
        ([100, 2, 100], 20, [9, 2, 9]),
        ([100, 100, 100], 10, [4, 3, 3]),
        ([7], 0, [0]),
        ([100, 2, 100, 2], 2, [0, 1, 0, 1]),
    ],
)
def test_rows_are_shared_so_that_nobody_waits_for_a_longer_one(
    demands: list[int], budget: int, shares: list[int]
) -> None:
    """Max-min fair: small demands are met, large ones divide the rest."""
    assert equal_shares(demands, budget) == shares


def test_who_decodes_always_gets_its_token() -> None:
    """Decoding rows come first; prompts get what is left, bounded while somebody decodes."""
    decoding, long, short = generation(1, computed=9), generation(500), generation(20)
    works = plan_step([long, decoding, short], max_rows=256, max_outputs=8, prompt_rows=64, drafts=True)
    assert [(work.generation, work.count) for work in works] == [(decoding, 1), (long, 44), (short, 20)]
    alone = plan_step([long, short], max_rows=256, max_outputs=8, prompt_rows=64, drafts=True)
    assert [work.count for work in alone] == [236, 20]


def test_outputs_never_exceed_the_device() -> None:
    """A prompt that would ask for one output too many leaves its last token for the next step."""
    works = plan_step([generation(3), generation(3)], max_rows=256, max_outputs=1, prompt_rows=64, drafts=True)
    assert sorted(work.count for work in works) == [2, 3]
    assert sum(work.completes for work in works) == 1


def test_the_pace_follows_the_device() -> None:
    """Rows for prompts fit a quarter of a second where they can, and are never too few nor more than a batch."""
    pace = PromptPace(2048)
    assert pace.rows == SMALLEST_CHUNK
    for _ in range(20):
        pace.observe(512, 0.25)
    assert pace.rows == 512
    for _ in range(40):
        pace.observe(2048, 0.01)
    assert pace.rows == 2048
    for _ in range(40):
        pace.observe(SMALLEST_CHUNK, 60.0)
    assert pace.rows == SMALLEST_CHUNK
    assert PromptPace(64).rows == 64


def test_lookup_proposes_what_followed_the_last_time() -> None:
    """The latest earlier occurrence of the last three tokens decides."""
    lookup = PromptLookup([1, 2, 3, 4, 5, 6, 1, 2, 3])
    assert lookup.propose(10) == [4, 5, 6]
    lookup.extend([9])
    assert lookup.propose(10) == []
    lookup.extend([1, 2, 3])
    assert lookup.propose(2) == [9, 1]


def test_lookup_grows_with_success_and_pauses_after_failures() -> None:
    """Right drafts get longer up to a bound; wrong ones stop being made for a while."""
    text = list(range(100))
    lookup = PromptLookup([*text, 0, 1, 2])
    lengths = []
    for _ in range(4):
        draft = lookup.propose(50)
        lengths.append(len(draft))
        lookup.learn(len(draft), len(draft))
    assert lengths == [3, 7, LONGEST, LONGEST]
    lookup.learn(LONGEST, 0)
    assert lookup.propose(50) == []
    lookup.extend([3, 4])
    assert len(lookup.propose(50)) == 3


def test_turns_are_taken_in_the_order_of_asking() -> None:
    """One holder at a time, first come first served, and the turn is passed on after an error too."""
    budget = ComputeBudget(2)
    order: list[int] = []
    threads = []

    def take(number: int) -> None:
        with budget.turn():
            order.append(number)

    def hold() -> None:
        with budget.turn() as count:
            assert count == 2
            for number in range(5):
                thread = threading.Thread(target=take, args=(number,))
                threads.append(thread)
                thread.start()
                while len(budget._waiting) <= number:  # the next asks only when this one waits
                    pass
            raise ValueError("inside")

    with pytest.raises(ValueError, match="inside"):
        hold()
    for thread in threads:
        thread.join()
    assert order == [0, 1, 2, 3, 4]


def test_the_budget_is_at_least_one_thread() -> None:
    """Whatever affinity and quota say."""
    assert available_threads() >= 1

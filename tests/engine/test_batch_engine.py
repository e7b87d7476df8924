"""What the engine's loop gives: each request what it would get alone, however many there are."""

from __future__ import annotations

import asyncio
import threading

import numpy as np
import pytest

from llm.engine.batch_engine import BatchEngine
from llm.engine.executor import TokenBatch
from llm.engine.request import EngineRequest, SamplingParams
from llm.exceptions import (
    ContextWindowError,
    RequestError,
)
from llm.testing.scripted_executor import ScriptedExecutor, reference
from tests.engine.engine_bench import GREEDY, MODEL, Bench, capabilities, collect, prompts


def test_one_request_gives_what_the_model_says() -> None:
    """A generation is the model's own continuation, token by token."""
    bench = Bench()

    async def work() -> None:
        tokens, last = await bench.generate([1, 2, 3], 40)
        assert tokens == reference(MODEL, [1, 2, 3], 40)
        assert last.finish == "length"

    bench.run(work)


@pytest.mark.parametrize("cells", [2048, 300, 130])
def test_many_requests_at_once_give_what_each_would_alone(cells: int) -> None:
    """Batching, waiting in the queue and preemption for want of memory change nobody's tokens."""
    bench = Bench(capabilities(cells=cells, window=min(512, cells)))

    async def work() -> None:
        many = [prompt[: 5 + index] for index, prompt in enumerate(prompts(32, 50))]
        results = await asyncio.gather(*(bench.generate(prompt, 60) for prompt in many))
        for prompt, (tokens, _) in zip(many, results, strict=True):
            assert tokens == reference(MODEL, prompt, 60)

    bench.run(work)
    if cells == 130:
        assert bench.engine.statistics()["preemptions"] > 0


def test_a_model_without_shared_or_shortened_memory_works() -> None:
    """Recurrent models run in the same loop, without sharing and without drafts."""
    bench = Bench(capabilities(can_share=False, can_truncate=False, cells=200, window=200))

    async def work() -> None:
        shared = prompts(1, 40)[0]
        many = [[*shared, index] for index in range(12)]
        results = await asyncio.gather(*(bench.generate(prompt, 30) for prompt in many))
        for prompt, (tokens, last) in zip(many, results, strict=True):
            assert tokens == reference(MODEL, prompt, 30)
            assert last.cached_tokens == 0

    bench.run(work)


def test_requests_that_arrive_together_compute_a_shared_prefix_once() -> None:
    """Eight requests with one system prompt cost it once, and `cached_tokens` says so exactly."""
    bench = Bench(capabilities(max_batch=64))

    async def work() -> None:
        shared = prompts(1, 200)[0]
        results = await asyncio.gather(*(bench.generate([*shared, index], 2) for index in range(8)))
        for index, (tokens, _) in enumerate(results):
            assert tokens == reference(MODEL, [*shared, index], 2)
        assert sorted(last.cached_tokens for _, last in results) == [0] + 7 * [200]
        # the prefix once, its own last token and one generated token for each of the eight
        assert bench.executor.computed_tokens == 200 + 8 + 8

    bench.run(work)


def test_a_second_turn_reuses_the_first() -> None:
    """A finished conversation stays in memory until its room is needed: the next turn computes only what is new."""
    bench = Bench()

    async def work() -> None:
        prompt = prompts(1, 100)[0]
        reply, _ = await bench.generate(prompt, 20)
        _, last = await bench.generate([*prompt, *reply, 5, 6], 3)
        assert last.cached_tokens == 119  # the last token of the reply was never computed

    bench.run(work)


def test_retired_prefixes_leave_least_recently_used_first() -> None:
    """When memory is full, the prefix that was not used for longest goes."""
    bench = Bench(capabilities(cells=330, window=330))

    async def work() -> None:
        first, second, third = prompts(3, 100)
        await bench.generate(first, 2)
        await bench.generate(second, 2)
        await bench.generate(first, 2)
        await bench.generate(third, 60)
        _, again = await bench.generate(first, 2)
        assert again.cached_tokens == 99
        _, gone = await bench.generate(second, 2)
        assert gone.cached_tokens == 0

    bench.run(work)


def test_a_long_prompt_does_not_stop_the_others() -> None:
    """While somebody decodes, every batch carries that token beside the prompt's rows."""
    seen: list[set[int]] = []
    sent = threading.Event()

    def watch(batch: TokenBatch) -> None:
        seen.append({int(s) for s in batch.sequences[: batch.size]})
        if len(seen) > 3:
            sent.wait(10)

    bench = Bench(before_compute=watch)

    async def work() -> None:
        running = bench.submit(prompts(1, 5)[0], 100)
        await running.next_outputs()
        long = bench.submit(prompts(1, 400, seed=1)[0], 2)
        sent.set()
        await collect(long)
        await collect(running)

    bench.run(work)
    with_prompt = [batch for batch in seen if len(batch) == 2]
    assert len(with_prompt) >= 400 // 64
    assert all(0 in batch for batch in seen)


def test_drafts_change_speed_and_never_text() -> None:
    """Prompt lookup on a repetitive model takes fewer steps for the same tokens, alone and in a batch."""
    cycle = list(range(30, 45))

    def next_token(tokens: list[int]) -> int:
        if len(tokens) % 37 == 0:
            return 3
        return cycle[len(tokens) % len(cycle)]

    def run(lookup: bool, requests: int) -> tuple[list[list[int]], int]:
        executor = ScriptedExecutor(next_token, capabilities())  # type: ignore[arg-type]
        engine = BatchEngine(lambda: executor, lookup=lookup, max_concurrency=8)

        async def work() -> list[list[int]]:
            async def one(index: int) -> list[int]:
                request = EngineRequest(prompt=(index, 1, 2), max_tokens=120, sampling=GREEDY)
                return (await collect(engine.submit(request)))[0]

            return await asyncio.gather(*(one(index) for index in range(requests)))

        try:
            results = asyncio.run(work())
            engine.check_integrity()
            return results, len(executor.batches)
        finally:
            engine.close()

    for requests in (1, 3):
        plain, plain_steps = run(False, requests)
        drafted, drafted_steps = run(True, requests)
        assert drafted == plain
        if requests == 1:  # how many meet in one batch is up to the machine
            assert drafted_steps < plain_steps / 2


def test_the_window_ends_a_generation() -> None:
    """Prompt and reply together never exceed the window; a prompt that leaves no room is refused with both numbers."""
    bench = Bench(capabilities(window=50))

    async def work() -> None:
        tokens, last = await bench.generate(list(range(49)), 100)
        assert (len(tokens), last.finish) == (1, "length")
        tokens, last = await bench.generate(list(range(40)), 100)
        assert (len(tokens), last.finish) == (10, "length")
        with pytest.raises(ContextWindowError) as caught:
            bench.submit(list(range(50)), 1)
        assert (caught.value.prompt_tokens, caught.value.context_window) == (50, 50)

    bench.run(work)


def test_stop_tokens_end_a_generation_and_are_not_delivered() -> None:
    """A stop token is neither in the tokens nor counted."""
    expected = reference(MODEL, [9, 9], 40)
    stop = expected[25]
    place = expected.index(stop)
    bench = Bench()

    async def work() -> None:
        tokens, last = await bench.generate([9, 9], 40, stop_tokens=frozenset([stop]))
        assert tokens == expected[:place]
        assert last.finish == "stop"

    bench.run(work)


@pytest.mark.parametrize(
    ("request_values", "message"),
    [
        ({"prompt": ()}, "empty"),
        ({"prompt": (211,)}, "outside 0 to 210"),
        ({"prompt": (-1,)}, "outside 0 to 210"),
        ({"max_tokens": 0}, "max_tokens=0"),
        ({"grammar": "start: x"}, "cannot follow a grammar"),
        ({"sampling": SamplingParams(logit_bias=((500, 1.0),))}, "logit_bias"),
    ],
)
def test_impossible_requests_are_refused_before_they_are_queued(
    request_values: dict[str, object], message: str
) -> None:
    """Each refusal says what is wrong, and the engine goes on."""
    bench = Bench()

    async def work() -> None:
        values = {"prompt": (1,), "max_tokens": 4, **request_values}
        with pytest.raises(RequestError, match=message):
            bench.engine.validate(EngineRequest(**values))  # type: ignore[arg-type]

    bench.run(work)


class OnlyEven:
    """A constraint that allows even tokens, forces 100 102 after an 8, and ends after twelve tokens."""

    def __init__(self, _: str = "") -> None:
        self.taken: list[int] = []

    def allows(self, token: int) -> bool:
        return token % 2 == 0

    def fill_mask(self, mask: np.ndarray) -> None:
        mask[:] = np.int32(0x55555555)

    def forced_tokens(self) -> list[int]:
        return [100, 102] if self.taken[-1] % 8 == 0 and self.taken[-1] != 0 else []

    def advance(self, token: int) -> None:
        assert self.allows(token)
        self.taken.append(token)

    def rollback(self, count: int) -> None:
        del self.taken[-count:]

    @property
    def finished(self) -> bool:
        return len(self.taken) >= 12


def test_a_constraint_is_obeyed_and_its_forced_tokens_skip_the_sampler() -> None:
    """Only allowed tokens come, forced ones without a draw, and the end of the grammar ends the generation."""
    bench = Bench(engine={"compile_constraint": OnlyEven})

    async def work() -> None:
        results = await asyncio.gather(*(bench.generate([index, 3], 40, grammar="even") for index in range(6)))
        for tokens, last in results:
            assert len(tokens) == 12
            assert all(token % 2 == 0 for token in tokens)
            assert last.finish == "stop"
        assert any(tokens[place : place + 2] == [100, 102] for tokens, _ in results for place in range(11))

    bench.run(work)


def test_a_constraint_that_breaks_ends_its_own_request_only() -> None:
    """The error reaches its caller; the request beside it finishes."""

    class Breaks(OnlyEven):
        def advance(self, token: int) -> None:
            raise RuntimeError(f"broken grammar at {token}")

    bench = Bench(engine={"compile_constraint": Breaks})

    async def work() -> None:
        free, bad = await asyncio.gather(
            bench.generate([1, 2], 20), bench.generate([3, 4], 20, grammar="x"), return_exceptions=True
        )
        assert isinstance(bad, RuntimeError)
        assert isinstance(free, tuple)
        assert free[0] == reference(MODEL, [1, 2], 20)

    bench.run(work)


def test_seeds_repeat_alone_and_in_a_batch() -> None:
    """A seeded generation is the same whatever runs beside it; another seed differs."""
    bench = Bench()
    warm = SamplingParams(temperature=20.0, seed=5)

    async def work() -> None:
        alone, _ = await bench.generate([1, 2], 30, sampling=warm)
        beside = await asyncio.gather(
            bench.generate([1, 2], 30, sampling=warm),
            *(bench.generate([index], 30, sampling=SamplingParams(temperature=20.0)) for index in range(5)),
        )
        assert beside[0][0] == alone
        other, _ = await bench.generate([1, 2], 30, sampling=SamplingParams(temperature=20.0, seed=6))
        assert other != alone

    bench.run(work)


def test_a_batch_smaller_than_its_requests_takes_turns() -> None:
    """Neither decoding rows nor drafts nor prompts ever exceed the batch."""
    bench = Bench(capabilities(max_batch=2, max_outputs=24))

    async def work() -> None:
        prompt = prompts(1, 40)[0]
        await bench.generate(prompt, 3)
        results = await asyncio.gather(*(bench.generate(prompt, 30) for _ in range(6)))
        assert all(tokens == reference(MODEL, prompt, 30) for tokens, _ in results)
        cycle, _ = await bench.generate([1, 2, 3] * 10, 20)
        assert cycle == reference(MODEL, [1, 2, 3] * 10, 20)

    bench.run(work)


def test_as_many_sequences_as_requests_are_enough() -> None:
    """When the only retired prefix is the one to be shared, it makes room for its reader."""
    bench = Bench(capabilities(max_sequences=4), engine={"max_concurrency": 4})

    async def work() -> None:
        prompt = prompts(1, 60)[0]
        await bench.generate(prompt, 2)
        others = [bench.submit([index, 5], 300) for index in range(3)]
        await asyncio.gather(*(stream.next_outputs() for stream in others))
        tokens, _ = await bench.generate(prompt, 10)
        assert tokens == reference(MODEL, prompt, 10)
        for stream in others:
            stream.stop()

    bench.run(work)

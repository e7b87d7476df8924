"""How requests end that do not end by themselves: stopped, refused, left, or struck by a failure."""

from __future__ import annotations

import asyncio
import random
import threading

import pytest

from llm.engine.executor import TokenBatch
from llm.exceptions import (
    EngineBusyError,
    EngineClosedError,
    EngineFailedError,
    GenerationCancelledError,
)
from llm.testing.scripted_executor import reference
from tests.engine.engine_bench import MODEL, Bench, capabilities, collect, prompts


def test_stopping_ends_a_request_before_its_next_token() -> None:
    """After `stop` nothing more is computed for a request, and its memory is free for others."""
    gate, reached = threading.Event(), threading.Event()

    def hold(batch: TokenBatch) -> None:
        if batch.positions[0] == 20:
            reached.set()
            gate.wait(10)

    bench = Bench(before_compute=hold)

    async def work() -> None:
        stream = bench.submit([1, 2, 3], 400)
        await asyncio.to_thread(reached.wait, 10)
        stream.stop()
        stream.stop()
        gate.set()
        with pytest.raises(GenerationCancelledError):
            await collect(stream)
        assert bench.executor.computed_tokens <= 21
        assert bench.engine.statistics()["running"] == 0

    bench.run(work)


@pytest.mark.parametrize("truncates", [True, False])
def test_stopping_inside_a_prompt_repairs_the_batch(truncates: bool) -> None:
    """A stopped prompt interrupts the step it is computed in; the others of that step go on unharmed."""
    gate, reached = threading.Event(), threading.Event()

    def hold(batch: TokenBatch) -> None:
        if batch.size > 30 and not reached.is_set():
            reached.set()
            gate.wait(10)

    bench = Bench(capabilities(can_share=truncates, can_truncate=truncates), before_compute=hold)

    async def work() -> None:
        short = prompts(1, 6)[0]
        other = bench.submit(short, 50)
        await other.next_outputs()
        long = bench.submit(prompts(1, 300, seed=2)[0], 2)
        await asyncio.to_thread(reached.wait, 10)
        long.stop()
        gate.set()
        with pytest.raises(GenerationCancelledError):
            await collect(long)
        tokens, _ = await bench.generate(short, 50)
        assert tokens == reference(MODEL, short, 50)
        other.stop()

    bench.run(work)


def test_a_thousand_streams_left_at_random_points_leave_nothing_behind() -> None:
    """Sequences, cells, queues and threads are as before, and the next request gives what it should."""
    bench = Bench()

    async def work() -> None:
        random_numbers = random.Random(3)
        threads = threading.active_count()

        async def leave() -> None:
            stream = bench.submit(random_numbers.choice(many), random_numbers.randrange(1, 40))
            for _ in range(random_numbers.randrange(4)):
                if any(output.last for output in await stream.next_outputs()):
                    return
            stream.stop()

        many = prompts(10, 60)
        for _ in range(20):
            await asyncio.gather(*(leave() for _ in range(50)))
            await asyncio.to_thread(bench.engine.check_integrity)
        tokens, _ = await bench.generate(many[0], 20)
        assert tokens == reference(MODEL, many[0], 20)
        assert bench.engine.statistics()["waiting"] == 0
        assert threading.active_count() <= threads + 2  # the default executor of the event loop

    bench.run(work)


def test_a_full_queue_is_an_error_with_a_name() -> None:
    """Running plus waiting requests are bounded; one more is refused at once."""
    gate = threading.Event()
    bench = Bench(engine={"max_concurrency": 2, "max_queue": 3}, before_compute=lambda _: gate.wait(10) and None)

    async def work() -> None:
        streams = [bench.submit([index, 1], 2) for index in range(5)]
        with pytest.raises(EngineBusyError, match="5 requests"):
            bench.submit([7, 7], 2)
        gate.set()
        await asyncio.gather(*map(collect, streams))
        await bench.generate([7, 7], 2)

    bench.run(work)


def test_closing_ends_every_request_with_a_named_error() -> None:
    """Requests that run, wait or arrive later all learn that the model was closed."""
    steps, gate = iter(range(400)), threading.Event()
    bench = Bench(engine={"max_concurrency": 2}, before_compute=lambda _: next(steps) > 5 and gate.wait(10) and None)

    async def work() -> None:
        streams = [bench.submit([index, 1], 400) for index in range(6)]
        await streams[0].next_outputs()
        closing = asyncio.create_task(asyncio.to_thread(bench.engine.close))
        while not bench.engine._closed:  # noqa: ASYNC110 - an engine has no event for it
            await asyncio.sleep(0)
        gate.set()
        await closing
        results = await asyncio.gather(*map(collect, streams), return_exceptions=True)
        assert all(isinstance(result, EngineClosedError) for result in results)
        with pytest.raises(EngineClosedError):
            bench.submit([1], 1)

    bench.run(work)
    bench.engine.close()


def test_a_device_failure_ends_what_runs_and_spares_what_comes() -> None:
    """A batch that breaks fails its requests with the cause; the next request starts from clean memory."""
    broken, sent = iter([False, False, True]), threading.Event()

    def fail(_: TokenBatch) -> None:
        sent.wait(10)
        if next(broken, False):
            raise EngineFailedError("the device broke")

    bench = Bench(before_compute=fail)

    async def work() -> None:
        streams = [bench.submit([index, 1], 20) for index in range(3)]
        sent.set()
        results = await asyncio.gather(*map(collect, streams), return_exceptions=True)
        assert all(isinstance(result, EngineFailedError) for result in results)
        tokens, _ = await bench.generate([4, 5], 20)
        assert tokens == reference(MODEL, [4, 5], 20)

    bench.run(work)


def test_an_unexpected_error_is_never_silent() -> None:
    """A defect on the engine's thread reaches every caller instead of leaving them waiting."""

    def fail(_: TokenBatch) -> None:
        raise ZeroDivisionError

    bench = Bench(before_compute=fail)

    async def work() -> None:
        with pytest.raises(EngineFailedError, match="ZeroDivisionError"):
            await bench.generate([1, 2], 5)
        with pytest.raises(EngineClosedError):
            bench.submit([1], 1)

    bench.run(work)


def test_a_request_whose_event_loop_is_gone_is_stopped() -> None:
    """Nobody can read its tokens any more, so nothing is computed for it."""
    bench = Bench()

    async def abandon() -> None:
        bench.submit([1, 2, 3], 100_000)

    async def work() -> None:
        tokens, _ = await bench.generate([5], 3)
        assert tokens == reference(MODEL, [5], 3)

    asyncio.run(abandon())
    bench.run(work)
    assert bench.engine.statistics()["running"] == 0


def test_closing_in_a_step_that_fails_ends() -> None:
    """`close` returns, and nobody waits for ever."""
    reached, gate = threading.Event(), threading.Event()

    def fail(_: TokenBatch) -> None:
        reached.set()
        gate.wait(10)
        raise EngineFailedError("the device broke")

    bench = Bench(before_compute=fail)

    async def work() -> None:
        stream = bench.submit([1, 2], 20)
        await asyncio.to_thread(reached.wait, 10)
        closing = asyncio.create_task(asyncio.to_thread(bench.engine.close))
        while not bench.engine._closed:  # noqa: ASYNC110 - an engine has no event for it
            await asyncio.sleep(0)
        gate.set()
        await asyncio.wait_for(closing, 10)
        with pytest.raises(EngineFailedError):
            await collect(stream)

    bench.run(work)


def test_a_panic_ends_every_request_with_an_error_of_its_own() -> None:
    """What is no Exception reaches the callers too, and no two of them share a traceback."""

    class Panic(BaseException):
        pass

    sent = threading.Event()

    def panic(_: TokenBatch) -> None:
        sent.wait(10)
        raise Panic

    bench = Bench(before_compute=panic)

    async def work() -> None:
        streams = [bench.submit([index, 1], 20) for index in range(3)]
        sent.set()
        results = await asyncio.gather(*map(collect, streams), return_exceptions=True)
        failed = [result for result in results if isinstance(result, EngineFailedError)]
        assert failed
        assert all(isinstance(result, (EngineFailedError, EngineClosedError)) for result in results)
        assert len({id(result) for result in results}) == 3

    bench.run(work)

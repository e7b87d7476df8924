"""Cancelling a caller at any await leaves the pool clean and harms nobody else."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Coroutine, Generator
from functools import partial
from typing import Any

import pytest

from llm.llm_config import LLMConfig
from llm.pool import ModelPool
from llm.testing.fake_loader import FakeLoader

Named = Callable[..., LLMConfig]
Until = Callable[[Callable[[], bool]], Awaitable[None]]


class CancelledAt:
    """Awaits a coroutine and cancels it at its n-th suspension.

    Either at once, or `late`: when what it waits for is there and it was about to go on.
    """

    def __init__(self, coroutine: Coroutine[Any, Any, None], number: int, *, late: bool) -> None:
        self.coroutine = coroutine
        self.number = number
        self.late = late
        self.reached = False

    def __await__(self) -> Generator[Any, None, None]:
        steps = self.coroutine.__await__()
        resume: Callable[[], Any] = partial(next, steps)
        for number in itertools.count():
            try:
                awaited = resume()
            except StopIteration:
                return
            resume = partial(next, steps)
            if number == self.number:
                self.reached = True
                resume = partial(steps.throw, asyncio.CancelledError())
                if not self.late:
                    continue
            yield awaited


async def everything(pool: ModelPool, named: Named) -> None:
    """One caller that suspends in each way that the pool has."""
    async with pool.acquire_context(named("a")) as outer:
        async with pool.acquire_context(named("a", seed=1)):
            await asyncio.sleep(0)
        waiting = asyncio.ensure_future(pool.preload(named("b")))
        try:
            await asyncio.sleep(0)
            outer.close()
            await waiting
        finally:
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
    await pool.preload(named("c"))
    await pool.pin(named("a"))
    await pool.unpin(named("a"))
    await pool.unload(named("a"))
    await pool.preload(named("b"))
    await pool.unload_all(wait=True)
    await pool.preload(named("a"))
    await pool.close()


@pytest.mark.parametrize("late", [False, True], ids=["at the await", "as it goes on"])
@pytest.mark.parametrize("max_memory", [None, 10], ids=["by count", "by memory"])
def test_cancelled_at_every_await_the_pool_is_clean(named: Named, late: bool, max_memory: int | None) -> None:
    """Wherever the caller is cancelled, no lease and no place in the queue is left, and others are served."""

    async def main(number: int) -> bool:
        loader = FakeLoader()
        pool = ModelPool(max_memory=max_memory, loader=loader)
        attempt = CancelledAt(everything(pool, named), number, late=late)
        try:
            await attempt
        except asyncio.CancelledError:
            assert attempt.reached
        statistics = pool.statistics()
        assert statistics["leases"] == statistics["waiting"] == 0
        pool.check_integrity()
        if not statistics["closed"]:
            async with pool.acquire_context(named("other")):
                pool.check_integrity()
        await pool.close()
        assert loader.present == 0
        assert loader.faults == []
        return attempt.reached

    reached = [number for number in range(100) if asyncio.run(main(number))]
    assert reached == list(range(len(reached)))
    assert len(reached) > 10


def test_a_lease_granted_in_the_instant_of_cancellation_is_returned(
    loader: FakeLoader, named: Named, until: Until
) -> None:
    """The ledger says yes and the task is cancelled before it runs again: the model is free for the next."""

    async def main() -> None:
        async with ModelPool(loader=loader) as pool:
            first = await pool.acquire(named("a"))
            unlucky = asyncio.create_task(pool.acquire(named("b")))
            await asyncio.sleep(0)
            next_one = asyncio.create_task(pool.acquire(named("c")))
            await asyncio.sleep(0)
            first.close()
            await until(lambda: pool.statistics()["leases"] == 1)
            assert not unlucky.done()
            unlucky.cancel()
            with pytest.raises(asyncio.CancelledError):
                await unlucky
            (await next_one).close()
            pool.check_integrity()

    asyncio.run(main())


def test_the_load_goes_on_when_everybody_who_wanted_it_has_left(loader: FakeLoader, named: Named) -> None:
    """The load belongs to the pool; the model is there, idle, for whoever asks next."""

    async def main() -> None:
        async with ModelPool(loader=loader) as pool:
            gate = loader.hold("a")
            task = asyncio.create_task(pool.acquire(named("a")))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert pool.statistics()["loading"] == 1
            gate.set()
            await pool.preload(named("a"))

    asyncio.run(main())
    assert loader.count("load") == 1


def test_a_cancelled_waiter_lets_those_behind_it_go_on(loader: FakeLoader, named: Named) -> None:
    """Who waited behind it for a model that is there is served at once."""
    now = 0.0

    async def main() -> None:
        nonlocal now
        async with ModelPool(loader=loader, clock=lambda: now) as pool:
            # In a task of its own, so that this task does not count as a holder of the model.
            held = await asyncio.create_task(pool.acquire(named("a")))
            first = asyncio.create_task(pool.acquire(named("b")))
            await asyncio.sleep(0)
            now = 100.0
            behind = asyncio.create_task(pool.preload(named("a")))
            await asyncio.sleep(0)
            assert pool.statistics()["waiting"] == 2
            first.cancel()
            await asyncio.wait({first, behind})
            assert behind.exception() is None
            held.close()

    asyncio.run(main())

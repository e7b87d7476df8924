"""Who gets a model first, and what has to go for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from llm.exceptions import ModelNotFoundError, PoolCapacityError, PoolError, PoolTimeoutError
from llm.llm_config import LLMConfig
from llm.pool import ModelPool
from llm.testing.fake_loader import FakeLoader

Named = Callable[..., LLMConfig]
Until = Callable[[Callable[[], bool]], Awaitable[None]]


def test_waiters_are_served_in_the_order_of_their_coming(loader: FakeLoader, named: Named) -> None:
    """Ten callers want ten models in one place: first come, first served."""
    order: list[str] = []

    async def main() -> None:
        async with ModelPool(loader=loader) as pool:

            async def caller(name: str) -> None:
                async with pool.acquire_context(named(name)):
                    order.append(name)

            await asyncio.gather(*(caller(name) for name in "hgfedcbaji"))

    asyncio.run(main())
    assert "".join(order) == "hgfedcbaji"


def test_steady_use_of_one_model_starves_nobody(loader: FakeLoader, named: Named) -> None:
    """One user after another holds a model without a gap; who wants another model gets its turn after ten seconds."""
    now = 0.0

    async def main() -> None:
        nonlocal now
        async with ModelPool(loader=loader, patience=10.0, clock=lambda: now) as pool:
            held = await asyncio.create_task(pool.acquire(named("popular")))
            wanted = asyncio.create_task(pool.preload(named("rare")))
            await asyncio.sleep(0)
            for second in range(20):
                now = float(second)
                successor = asyncio.create_task(pool.acquire(named("popular")))
                await asyncio.sleep(0)
                if not successor.done():
                    break
                held.close()
                held = successor.result()
            assert now == 10.0
            held.close()
            await wanted
            (await successor).close()

    asyncio.run(main())
    assert [name for step, name in loader.steps if step == "load"] == ["popular", "rare", "popular"]


def test_a_child_task_of_a_holder_gets_the_model_at_once(loader: FakeLoader, named: Named) -> None:
    """An agent's tools run in tasks of their own; they do not wait for those who wait for the agent."""
    now = 0.0

    async def main() -> None:
        nonlocal now
        async with ModelPool(loader=loader, acquire_timeout=0, clock=lambda: now) as pool:
            async with pool.acquire_context(named("a")):
                other = asyncio.create_task(pool.preload(named("b"), timeout=60))
                await asyncio.sleep(0)
                now = 1000.0
                await asyncio.create_task(pool.preload(named("a")))
                assert not other.done()
            await other

    asyncio.run(main())


def test_memory_is_a_limit_of_its_own(loader: FakeLoader, named: Named) -> None:
    """Three models fit by count but not by bytes: the least recently used goes before the third is loaded."""
    loader.sizes = {"a": 4, "b": 4, "c": 4}

    async def main() -> None:
        async with ModelPool(max_models=3, max_memory=10, loader=loader) as pool:
            for name in "aabc":
                await pool.preload(named(name))
                pool.check_integrity()
            assert [model["model_name"] for model in pool.statistics()["models"]] == ["b", "c"]
            assert pool.statistics()["memory_bytes"] == 8

    asyncio.run(main())
    assert loader.most_memory == 8
    assert loader.steps[:6] == [
        ("estimate", "a"),
        ("load", "a"),
        ("estimate", "b"),
        ("load", "b"),
        ("estimate", "c"),
        ("close", "a"),
    ]


def test_a_model_that_can_never_fit_is_refused_at_once(loader: FakeLoader, named: Named) -> None:
    """It is not loaded, nothing is evicted for it, and the error has both numbers."""
    loader.sizes = {"huge": 1_000_001}

    async def main() -> None:
        async with ModelPool(max_memory=1_000_000, loader=loader) as pool:
            async with pool.acquire_context(named("small")):
                with pytest.raises(PoolCapacityError, match="'huge' needs 1,000,001 bytes and max_memory is 1,000,000"):
                    await pool.acquire(named("huge"), timeout=60)
            assert pool.statistics()["evictions"] == 0

    asyncio.run(main())
    assert loader.count("load", "huge") == 0


def test_an_underestimated_model_waits_for_the_room_it_really_needs(
    loader: FakeLoader, named: Named, until: Until
) -> None:
    """It took more than was said and others hold the rest: it is closed, and loaded again when there is room."""
    loader.sizes = {"a": 4, "b": 8}
    loader.estimates = {"b": 2}

    async def main() -> None:
        async with ModelPool(max_models=2, max_memory=10, loader=loader) as pool:
            held = await pool.acquire(named("a"))
            task = asyncio.create_task(pool.acquire(named("b")))
            await until(lambda: loader.count("close", "b") == 1 and len(pool.statistics()["models"]) == 1)
            pool.check_integrity()
            assert pool.statistics()["waiting"] == 1
            held.close()
            (await task).close()

    asyncio.run(main())
    assert loader.count("load", "b") == 2


def test_a_model_that_cannot_be_measured_fails_its_own_callers(loader: FakeLoader, named: Named) -> None:
    """No such model: those who want it learn it, the next who comes asks again."""
    loader.fail("gone", ModelNotFoundError("No such model: 'gone'."), step="estimate")

    async def main() -> None:
        async with ModelPool(max_memory=10, loader=loader) as pool:
            gate = loader.hold("gone", "estimate")
            tasks = [asyncio.create_task(pool.preload(named(name))) for name in ("gone", "gone", "a")]
            await asyncio.sleep(0)
            assert pool.statistics()["waiting"] == 3
            gate.set()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            assert [type(result) for result in results] == [ModelNotFoundError, ModelNotFoundError, type(None)]
            await pool.preload(named("gone"))

    asyncio.run(main())
    assert loader.count("estimate", "gone") == 2


def test_a_pinned_model_stays_until_it_is_unpinned(loader: FakeLoader, named: Named) -> None:
    """It is neither evicted nor unloaded; pinning loads it if need be."""

    async def main() -> None:
        async with ModelPool(loader=loader, acquire_timeout=0) as pool:
            await pool.pin(named("a"))
            with pytest.raises(PoolTimeoutError, match="holds 'a' idle and pinned"):
                await pool.acquire(named("b"))
            with pytest.raises(PoolError, match="'a' is pinned and was not unloaded"):
                await pool.unload(named("a"), wait=True)
            assert await pool.unload_all(wait=True) == 0
            assert loader.count("close") == 0
            assert await pool.unpin(named("a", temperature=0.1))
            assert not await pool.unpin(named("a"))
            assert not await pool.unpin(named("never seen"))
            await pool.preload(named("b"), timeout=60)

    asyncio.run(main())

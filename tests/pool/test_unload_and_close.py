"""Taking models back: unload, unload_all, close."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from llm.exceptions import EngineClosedError, HandleReleasedError, PoolClosedError, PoolError
from llm.llm_config import LLMConfig
from llm.pool import ModelPool
from llm.testing.fake_loader import FakeLoader, FakeModel

Named = Callable[..., LLMConfig]
Until = Callable[[Callable[[], bool]], Awaitable[None]]


def test_unload_returns_when_the_memory_is_free(loader: FakeLoader, named: Named) -> None:
    """True when the model has been closed, False when there was none."""

    async def main() -> None:
        async with ModelPool(loader=loader) as pool:
            await pool.preload(named("a"))
            assert await pool.unload(named("a", temperature=0.1))
            assert loader.present == 0
            assert not await pool.unload(named("a"))

    asyncio.run(main())


def test_unload_refuses_what_is_in_use_unless_it_may_wait(loader: FakeLoader, named: Named) -> None:
    """Held or loading: an error that says so; with wait=True the model goes when it is given back."""

    async def main() -> None:
        async with ModelPool(loader=loader) as pool:
            gate = loader.hold("a")
            task = asyncio.create_task(pool.acquire(named("a")))
            await asyncio.sleep(0)
            with pytest.raises(PoolError, match="'a' is being loaded and was not unloaded"):
                await pool.unload(named("a"))
            gate.set()
            handle = await task
            with pytest.raises(PoolError, match="'a' has 1 lease and was not unloaded"):
                await pool.unload(named("a"))
            assert await pool.unload_all() == 0

            unloading = [asyncio.create_task(pool.unload(named("a"), wait=True)) for _ in range(2)]
            await asyncio.sleep(0)
            newcomer = asyncio.create_task(pool.acquire(named("a")))
            await asyncio.sleep(0)
            assert not newcomer.done()
            assert loader.count("close") == 0
            handle.close()
            assert await asyncio.gather(*unloading) == [True, True]
            (await newcomer).close()

    asyncio.run(main())
    assert loader.steps[:3] == [("load", "a"), ("close", "a"), ("load", "a")]


def test_unload_waits_for_a_load_as_well(loader: FakeLoader, named: Named) -> None:
    """Who asked before gets the model once; then it goes."""

    async def main() -> None:
        async with ModelPool(loader=loader) as pool:
            gate = loader.hold("a")
            preload = asyncio.create_task(pool.preload(named("a")))
            await asyncio.sleep(0)
            unloading = asyncio.create_task(pool.unload_all(wait=True))
            await asyncio.sleep(0)
            gate.set()
            await preload
            assert await unloading == 1

    asyncio.run(main())
    assert loader.steps == [("load", "a"), ("close", "a")]


def test_a_cancelled_unload_lets_others_have_the_model_again(loader: FakeLoader, named: Named) -> None:
    """Who lined up behind it is served at once, from the model that is there."""

    async def main() -> None:
        async with ModelPool(loader=loader) as pool:
            handle = await asyncio.create_task(pool.acquire(named("a")))
            unloading = asyncio.create_task(pool.unload(named("a"), wait=True))
            await asyncio.sleep(0)
            newcomer = asyncio.create_task(pool.preload(named("a")))
            await asyncio.sleep(0)
            unloading.cancel()
            await newcomer
            handle.close()

    asyncio.run(main())
    assert loader.count("load") == 1


def test_a_task_cannot_wait_for_itself(loader: FakeLoader, named: Named) -> None:
    """Unloading what the task itself holds is an error, not a standstill."""

    async def main() -> None:
        async with ModelPool(loader=loader) as pool, pool.acquire_context(named("a")):
            with pytest.raises(PoolError, match="'a' is held by this very task"):
                await pool.unload(named("a"), wait=True)
            with pytest.raises(PoolError, match="'a' is held by this very task"):
                await pool.unload_all(wait=True)

    asyncio.run(main())


def test_a_broken_model_is_loaded_anew(loader: FakeLoader, named: Named) -> None:
    """Nobody new gets it; it is closed when its last lease ends, pinned or not, and the next caller causes a load."""

    async def main() -> None:
        async with ModelPool(loader=loader) as pool:
            await pool.pin(named("a"))
            one, two = [await asyncio.create_task(pool.acquire(named("a"))) for _ in range(2)]
            broken = one.model
            one.mark_broken()
            newcomer = asyncio.create_task(pool.acquire(named("a")))
            await asyncio.sleep(0)
            assert not newcomer.done()
            one.close()
            with pytest.raises(HandleReleasedError):
                one.mark_broken()
            assert loader.count("close") == 0
            two.close()
            three = await newcomer
            assert three.model is not broken
            three.close()

    asyncio.run(main())
    assert loader.count("load") == 2


def test_close_refuses_those_who_wait_and_those_who_come(loader: FakeLoader, named: Named) -> None:
    """In the queue, at a load, or new: PoolClosedError. A load that was begun is finished and its model closed."""

    async def main() -> None:
        pool = ModelPool(loader=loader)
        gate = loader.hold("a")
        loading = asyncio.create_task(pool.acquire(named("a")))
        await asyncio.sleep(0)
        queued = asyncio.create_task(pool.acquire(named("b")))
        await asyncio.sleep(0)
        closing = asyncio.create_task(pool.close())
        await asyncio.wait({loading, queued})
        for task in (loading, queued):
            with pytest.raises(PoolClosedError, match="while this request waited"):
                await task
        with pytest.raises(PoolClosedError, match="'a' cannot be had: the pool is closed"):
            await pool.acquire(named("a"))
        assert not closing.done()
        assert repr(pool) == "<ModelPool is closing 1 model: 'a' loading>"
        gate.set()
        await closing
        await pool.close()
        assert pool.statistics()["closed"]
        pool.check_integrity()

    asyncio.run(main())
    assert loader.steps == [("load", "a"), ("close", "a")]


def test_close_waits_for_leases(loader: FakeLoader, named: Named, until: Until) -> None:
    """Idle and pinned models go at once, a held one when it is given back within the grace period."""

    async def main() -> None:
        pool = ModelPool(max_models=3, loader=loader)
        await pool.preload(named("idle"))
        await pool.pin(named("pinned"))
        handle = await pool.acquire(named("held"))
        closings = [asyncio.create_task(pool.close(grace=60)) for _ in range(3)]
        await until(lambda: loader.present == 1)
        assert loader.count("close", "held") == 0
        assert not handle.model.closed  # type: ignore[attr-defined]
        await handle.release()
        await asyncio.gather(*closings)

    asyncio.run(main())
    assert loader.count("close") == 3


def test_close_takes_models_back_when_grace_is_over(named: Named) -> None:
    """What is being generated ends with EngineClosedError, and the handle says that the pool was closed."""
    loader = FakeLoader()

    async def main() -> None:
        pool = ModelPool(loader=loader)
        handle = await pool.acquire(named("a"))
        model = handle.model
        assert isinstance(model, FakeModel)
        with pytest.raises(EngineClosedError), model.using():
            await pool.close(grace=0.001)
        with pytest.raises(PoolClosedError, match="pool was closed while this lease on 'a' was held"):
            _ = handle.model
        with pytest.raises(PoolClosedError):
            handle.track(print)
        assert repr(handle) == "<ModelHandle on 'a', ended by the closing of its pool>"
        await handle.release()
        pool.check_integrity()

    asyncio.run(main())
    assert loader.present == 0
    assert loader.faults == ["'a' was closed under 1 users"]


def test_a_cancelled_close_still_closes(named: Named, loader: FakeLoader) -> None:
    """Cancelling ends the waiting for leases, and the models are closed all the same."""

    async def main() -> None:
        pool = ModelPool(loader=loader)
        handle = await pool.acquire(named("a"))
        closing = asyncio.create_task(pool.close(grace=60))
        await asyncio.sleep(0)
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        with pytest.raises(PoolClosedError):
            _ = handle.model
        await pool.close()
        assert loader.present == 0

    asyncio.run(main())

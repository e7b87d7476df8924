"""The figures that the pool promises, at full size."""

from __future__ import annotations

import asyncio
import gc
import random
import threading
import weakref
from collections.abc import Awaitable, Callable

import pytest

from llm.exceptions import ModelLoadError
from llm.llm_config import LLMConfig
from llm.pool import ModelPool
from llm.pool.ledger import Lease
from llm.testing.fake_loader import FakeLoader, FakeModel

Named = Callable[..., LLMConfig]
Until = Callable[[Callable[[], bool]], Awaitable[None]]


def test_a_hundred_tasks_cause_one_load(loader: FakeLoader, named: Named) -> None:
    """100 tasks that ask for one cold model at once cause one estimate, one load, and get the same model."""

    async def main() -> None:
        async with ModelPool(max_memory=10, loader=loader) as pool:
            handles = await asyncio.gather(*(pool.acquire(named("a", seed=number)) for number in range(100)))
            assert len({id(handle.model) for handle in handles}) == 1
            assert [handle.config.seed for handle in handles] == list(range(100))
            pool.check_integrity()
            for handle in handles:
                handle.close()
            pool.check_integrity()

    asyncio.run(main())
    assert loader.steps == [("estimate", "a"), ("load", "a"), ("close", "a")]


@pytest.mark.parametrize("tasks", [1, 7, 50])
def test_five_hundred_acquires_of_eight_models_in_one_place(loader: FakeLoader, named: Named, tasks: int) -> None:
    """With max_models=1 a held model is never closed and there is never more than one, not even for a moment."""
    turns = random.Random(tasks)
    wanted = [f"m{turns.randrange(8)}" for _ in range(500)]

    async def main() -> None:
        async with ModelPool(max_models=1, loader=loader) as pool:

            async def caller() -> None:
                while wanted:
                    async with pool.acquire_context(named(wanted.pop())) as handle:
                        model = handle.model
                        assert isinstance(model, FakeModel)
                        with model.using():
                            await asyncio.sleep(0)
                            pool.check_integrity()

            await asyncio.gather(*(caller() for _ in range(tasks)))
            assert pool.statistics()["leases"] == 0

    asyncio.run(main())
    assert loader.most_present == 1
    assert loader.present == 0
    assert loader.count("load") == loader.count("close")


def test_a_hundred_tasks_learn_the_cause_of_one_failed_load(loader: FakeLoader, named: Named, until: Until) -> None:
    """One load, one error each; the next caller causes a new load."""
    loader.fail("a", ModelLoadError("broken"))
    gate = loader.hold("a")

    async def main() -> None:
        async with ModelPool(loader=loader) as pool:
            tasks = [asyncio.create_task(pool.acquire(named("a"))) for _ in range(100)]
            await until(lambda: pool.statistics()["models"] != [] and pool.statistics()["models"][0]["leases"] == 100)
            gate.set()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            assert [str(result) for result in results] == ["broken"] * 100
            assert loader.count("load") == 1
            await pool.preload(named("a"))

    asyncio.run(main())
    assert loader.count("load") == 2


def test_two_hundred_failing_loads_leave_the_capacity_intact(loader: FakeLoader, named: Named) -> None:
    """Between good loads, 200 loads fail; each fails its own caller with the cause, and both places stay usable."""
    loader.fail("bad", OSError("broken"), times=200)
    failures = 0

    async def main() -> None:
        nonlocal failures
        async with ModelPool(max_models=2, loader=loader) as pool:

            async def good(number: int) -> None:
                async with pool.acquire_context(named(f"good{number % 3}")) as handle:
                    assert not handle.released

            async def bad() -> None:
                with pytest.raises(ModelLoadError, match="broken"):
                    await pool.acquire(named("bad"))

            for number in range(200):
                await asyncio.gather(good(number), bad(), good(number + 1))
                pool.check_integrity()
            statistics = pool.statistics()
            failures = statistics["load_failures"]
            assert statistics["loading"] == statistics["leases"] == statistics["waiting"] == 0
            await pool.preload(named("bad"))  # its file has been mended meanwhile
            first, second = await asyncio.gather(pool.acquire(named("x")), pool.acquire(named("y")))
            first.close()
            second.close()

    asyncio.run(main())
    assert failures == 200
    assert loader.most_present == 2
    assert loader.present == 0


def test_a_waiter_cancelled_during_a_load_harms_nobody(loader: FakeLoader, named: Named, until: Until) -> None:
    """In 1,000 rounds one of three callers leaves during the load: one load, and the two others get the model."""
    choice = random.Random(8)

    async def main() -> None:
        async with ModelPool(loader=loader) as pool:
            for number in range(1000):
                name = f"m{number % 2}"
                gate = loader.hold(name)
                tasks = [asyncio.create_task(pool.acquire(named(name))) for _ in range(3)]
                await until(lambda: pool.statistics()["loading"] == 1)
                leaver = tasks.pop(choice.randrange(3))
                leaver.cancel()
                gate.set()
                for handle in await asyncio.gather(*tasks):
                    handle.close()
                with pytest.raises(asyncio.CancelledError):
                    await leaver
                pool.check_integrity()
                assert pool.statistics()["leases"] == pool.statistics()["waiting"] == 0

    asyncio.run(main())
    assert loader.count("load") == 1000
    assert loader.most_present == 1


def test_a_thousand_loads_and_unloads_leave_nothing_behind(loader: FakeLoader, named: Named) -> None:
    """No thread, no model and no lease survives; the task that did it all has not piled up its old leases."""
    models: weakref.WeakSet[FakeModel] = weakref.WeakSet()
    gc.collect()
    leases = sum(type(thing) is Lease for thing in gc.get_objects())

    async def main() -> None:
        pool = ModelPool(loader=loader)
        for _ in range(1000):
            async with pool.acquire_context(named("a")) as handle:
                assert isinstance(handle.model, FakeModel)
                models.add(handle.model)
            assert await pool.unload(named("a"))
        assert pool.statistics()["models"] == []
        gc.collect()
        assert len(models) == 0
        assert sum(type(thing) is Lease for thing in gc.get_objects()) - leases <= 1

    asyncio.run(main())
    assert loader.count("load") == loader.count("close") == 1000
    for thread in threading.enumerate():
        if thread.name in ("load a", "close a"):  # the last one may be about to end
            thread.join(10)
            assert not thread.is_alive()

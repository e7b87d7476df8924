"""One global pool, several event loops: one after another works, two at once is an error that says so."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from llm.exceptions import ModelLoadError, PoolError
from llm.llm_config import LLMConfig
from llm.pool import ModelPool
from llm.testing.fake_loader import FakeLoader

Named = Callable[..., LLMConfig]
Until = Callable[[Callable[[], bool]], Awaitable[None]]


def test_a_model_outlives_the_loop_that_asked_for_it(loader: FakeLoader, named: Named) -> None:
    """Ten asyncio.run calls use one global pool: the model is loaded once."""
    pool = ModelPool(loader=loader)

    async def main() -> None:
        async with pool.acquire_context(named("a")) as handle:
            assert not handle.released

    for _ in range(10):
        asyncio.run(main())
    asyncio.run(pool.close())
    assert loader.steps == [("load", "a"), ("close", "a")]


def test_a_load_outlives_the_loop_that_asked_for_it(loader: FakeLoader, named: Named) -> None:
    """The first run is stopped during the load; the second gets what that load brings."""
    pool = ModelPool(loader=loader)
    gate = loader.hold("a")

    async def impatient() -> None:
        task = asyncio.create_task(pool.acquire(named("a")))
        await asyncio.sleep(0)
        assert pool.statistics()["loading"] == 1
        assert not task.done()  # and asyncio.run cancels it

    async def patient() -> None:
        waiting = asyncio.create_task(pool.preload(named("a")))
        await asyncio.sleep(0)
        gate.set()
        await waiting
        pool.check_integrity()

    asyncio.run(impatient())
    asyncio.run(patient())
    asyncio.run(pool.close())
    assert loader.count("load") == 1


def test_a_load_may_end_while_no_loop_lives(loader: FakeLoader, named: Named) -> None:
    """Its outcome waits in the pool for the next call, from whatever loop that comes."""
    pool = ModelPool(loader=loader)
    gate = loader.hold("a")

    async def begin() -> None:
        asyncio.ensure_future(pool.preload(named("a")))  # noqa: RUF006 - asyncio.run cancels it
        await asyncio.sleep(0)

    asyncio.run(begin())
    gate.set()
    for thread in threading.enumerate():
        if thread.name == "load a":
            thread.join(10)
    assert pool.statistics()["loading"] == 1
    assert asyncio.run(pool.unload(named("a"))) is True
    assert loader.steps == [("load", "a"), ("close", "a")]


def test_waiters_of_a_loop_that_was_closed_are_forgotten(loader: FakeLoader, named: Named) -> None:
    """A loop is closed without ending its tasks; the next loop finds no trace of those who waited on it."""
    pool = ModelPool(loader=loader)
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda _loop, _context: None)  # asyncio complains of the tasks itself
    gate = loader.hold("a")
    tasks = [loop.create_task(pool.acquire(named(name))) for name in "ab"]
    loop.run_until_complete(asyncio.sleep(0))
    assert pool.statistics()["waiting"] == 1
    loop.close()

    async def main() -> None:
        waiting = asyncio.create_task(pool.preload(named("c")))
        await asyncio.sleep(0)
        assert pool.statistics()["waiting"] == 1
        gate.set()
        await waiting
        pool.check_integrity()
        await pool.close()

    asyncio.run(main())
    assert not any(task.done() for task in tasks)
    tasks.clear()
    gc.collect()
    assert loader.count("load") == 2


def test_a_lease_for_a_caller_of_a_closed_loop_is_not_lost(loader: FakeLoader, named: Named) -> None:
    """Its turn comes when its loop is closed already: the lease ends there and then."""
    pool = ModelPool(loader=loader)
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda _loop, _context: None)  # asyncio complains of the tasks itself
    held = loop.run_until_complete(pool.acquire(named("a")))
    unload = pool.unload(named("a"), wait=True)
    tasks = [loop.create_task(unload), loop.create_task(pool.acquire(named("a")))]
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    assert pool.statistics()["waiting"] == 1
    unload.close()  # nobody wants the model unloaded any more, so that the one in the queue may have it
    assert (pool.statistics()["waiting"], pool.statistics()["leases"]) == (0, 1)
    held.close()
    assert not any(task.done() for task in tasks)
    asyncio.run(pool.close())


def test_a_second_loop_at_the_same_time_is_refused(loader: FakeLoader, named: Named) -> None:
    """While one loop has a lease, a load or a waiter, another gets an error; afterwards it may have the pool."""
    pool = ModelPool(loader=loader)

    def elsewhere() -> None:
        asyncio.run(pool.preload(named("a")))

    async def main() -> None:
        gate = loader.hold("a")
        task = asyncio.create_task(pool.acquire(named("a")))
        await asyncio.sleep(0)
        with pytest.raises(PoolError, match="in use on another event loop"):
            await asyncio.to_thread(elsewhere)
        gate.set()
        handle = await task
        with pytest.raises(PoolError, match="in use on another event loop"):
            await asyncio.to_thread(elsewhere)
        handle.close()
        await asyncio.to_thread(elsewhere)
        await pool.close()

    asyncio.run(main())
    assert loader.count("load") == 1


def test_a_loop_that_pauses_keeps_its_waiters(loader: FakeLoader, named: Named) -> None:
    """Between two run_until_complete calls others who wait on that loop are not forgotten, so nobody else gets in."""
    pool = ModelPool(loader=loader)
    loop = asyncio.new_event_loop()
    gate = loader.hold("a")
    task = loop.create_task(pool.acquire(named("a")))
    loop.run_until_complete(asyncio.sleep(0))
    with pytest.raises(PoolError, match="in use on another event loop"):
        asyncio.run(pool.preload(named("a")))
    gate.set()
    loop.run_until_complete(task).close()
    loop.run_until_complete(pool.close())
    loop.close()


def test_a_process_can_end_during_a_load() -> None:
    """Ctrl-C during a download of gigabytes: the process does not wait for the thread that nobody can stop."""
    program = """
import asyncio
from llm.llm_config import LLMConfig
from llm.pool import ModelPool
from llm.testing.fake_loader import FakeLoader

async def main():
    loader = FakeLoader()
    loader.hold("a")
    task = asyncio.create_task(ModelPool(loader=loader).acquire(LLMConfig(model_name="a")))
    while not loader.steps:
        await asyncio.sleep(0)
    print("loading", not task.done())

asyncio.run(main())
"""
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, timeout=20)
    assert (done.returncode, done.stdout, done.stderr) == (0, "loading True\n", "")


def test_a_lease_may_be_given_back_from_any_thread(loader: FakeLoader, named: Named) -> None:
    """The giving back is handed over to the loop that uses the pool; the thread itself changes nothing."""

    async def main() -> None:
        async with ModelPool(loader=loader) as pool:
            handle = await pool.acquire(named("a"))
            waiting = asyncio.create_task(pool.preload(named("b"), timeout=10))
            await asyncio.sleep(0)
            thread = threading.Thread(target=handle.close)
            thread.start()
            thread.join()  # and the loop has had no chance to run
            assert handle.released
            assert pool.statistics()["leases"] == 1
            await waiting
            pool.check_integrity()

    asyncio.run(main())


def test_a_lease_may_be_given_back_when_no_loop_runs(loader: FakeLoader, named: Named) -> None:
    """A handle that was carried out of asyncio.run is closed like a file."""
    pool = ModelPool(loader=loader)
    handle = asyncio.run(pool.acquire(named("a")))
    handle.close()
    assert pool.statistics()["leases"] == 0
    asyncio.run(pool.close())


def test_no_thread_for_a_load_is_an_error_like_any_other(
    loader: FakeLoader, named: Named, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the system gives no more threads the caller is told, and the pool stays usable."""

    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async def main() -> None:
        async with ModelPool(loader=loader) as pool:
            with monkeypatch.context() as patch:
                patch.setattr(threading.Thread, "start", start)
                with pytest.raises(ModelLoadError, match="can't start new thread"):
                    await pool.acquire(named("a"))
            await pool.preload(named("a"))

    asyncio.run(main())

"""A lease as its holder sees it: the model while it lasts, an exception afterwards, never a crash."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Callable

import pytest

from llm.exceptions import HandleReleasedError
from llm.llm_config import LLMConfig
from llm.pool import ModelPool
from llm.testing.fake_loader import FakeLoader

Named = Callable[..., LLMConfig]


class Stream:
    """Something that is opened under a lease."""

    def __init__(self, log: list[Stream], *, error: Exception | None = None) -> None:
        self.log = log
        self.error = error

    def stop(self) -> None:
        self.log.append(self)
        if self.error is not None:
            raise self.error


def test_a_released_handle_is_an_exception_never_a_crash(loader: FakeLoader, named: Named) -> None:
    """Its model cannot be reached and nothing can be opened under it; config and repr still work."""

    async def main() -> None:
        async with ModelPool(loader=loader) as pool:
            async with pool.acquire_context(named("a", temperature=0.1)) as handle:
                assert repr(handle) == "<ModelHandle on 'a', held>"
                assert not handle.released
            with pytest.raises(HandleReleasedError, match="lease on 'a' was given back"):
                _ = handle.model
            with pytest.raises(HandleReleasedError):
                handle.track(print)
            assert handle.released
            assert handle.config.temperature == 0.1
            assert repr(handle) == "<ModelHandle on 'a', released>"
            await handle.release()
            handle.close()

    asyncio.run(main())


def test_giving_back_stops_what_was_opened_under_the_lease(loader: FakeLoader, named: Named) -> None:
    """Last opened first, each once; what has ended before and was untracked is left alone."""
    stopped: list[Stream] = []
    first, ended, last = Stream(stopped), Stream(stopped), Stream(stopped)

    async def main() -> None:
        async with ModelPool(loader=loader) as pool:
            async with pool.acquire_context(named("a")) as handle:
                for stream in (first, ended, last):
                    handle.track(stream.stop)
                handle.track(first.stop)
                handle.untrack(ended.stop)
                handle.untrack(ended.stop)
                assert stopped == []
            handle.close()
            handle.untrack(first.stop)

    asyncio.run(main())
    assert stopped == [last, first]


def test_a_stream_that_cannot_be_stopped_keeps_neither_the_others_nor_the_lease(
    loader: FakeLoader, named: Named
) -> None:
    """Its error comes out of the release, after every other stream was stopped and the model was given back."""
    stopped: list[Stream] = []
    streams = [Stream(stopped), Stream(stopped, error=ValueError("stuck")), Stream(stopped)]

    async def main() -> None:
        async with ModelPool(loader=loader) as pool:
            handle = await pool.acquire(named("a"))
            for stream in streams:
                handle.track(stream.stop)
            with pytest.raises(ValueError, match="stuck"):
                handle.close()
            assert handle.released
            assert pool.statistics()["leases"] == 0

    asyncio.run(main())
    assert stopped == streams[::-1]


def test_a_long_lease_collects_nothing(loader: FakeLoader, named: Named) -> None:
    """A thousand streams that have ended leave no reference in the handle."""
    alive: weakref.WeakSet[Stream] = weakref.WeakSet()

    async def main() -> None:
        async with ModelPool(loader=loader) as pool, pool.acquire_context(named("a")) as handle:
            for _ in range(1000):
                stream = Stream([])
                alive.add(stream)
                handle.track(stream.stop)
                handle.untrack(stream.stop)
            del stream
            gc.collect()
            assert len(alive) == 0

    asyncio.run(main())


def test_a_dropped_handle_gives_itself_back_and_complains(loader: FakeLoader, named: Named) -> None:
    """Forgetting to release costs a warning and stops what was opened, but the model does not stay taken."""
    stopped: list[Stream] = []

    async def main() -> None:
        async with ModelPool(loader=loader) as pool:
            handles = [await pool.acquire(named("a"))]
            handles[0].track(Stream(stopped).stop)
            with pytest.warns(ResourceWarning, match="lease on 'a' was dropped without being given back"):
                handles.clear()
            await pool.preload(named("b"), timeout=10)

    asyncio.run(main())
    assert len(stopped) == 1

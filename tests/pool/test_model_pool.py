"""What callers see of the pool: leases, sharing, errors, and what the pool tells about itself."""

from __future__ import annotations

import asyncio
import sys
import types
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from llm.exceptions import ConfigError, ModelLoadError, ModelNotFoundError, PoolBusyError, PoolTimeoutError
from llm.llm_config import LLMConfig
from llm.pool import ModelPool
from llm.testing.fake_loader import FakeLoader

Named = Callable[..., LLMConfig]
Until = Callable[[Callable[[], bool]], Awaitable[None]]


def test_sampling_settings_stay_with_the_caller_and_do_not_split_the_model(loader: FakeLoader, named: Named) -> None:
    """Two callers with different temperatures share the weights, and each handle keeps its own temperature."""

    async def main() -> None:
        async with ModelPool(loader=loader) as pool:
            cold, hot = await asyncio.gather(
                pool.acquire(named("a", temperature=0.0)), pool.acquire(named("a", temperature=1.5))
            )
            assert cold.model is hot.model
            assert (cold.config.temperature, hot.config.temperature) == (0.0, 1.5)
            await pool.release(cold)
            await pool.release(hot)

    asyncio.run(main())
    assert loader.count("load") == 1


@pytest.mark.parametrize("change", [{"n_ctx": 64}, {"n_batch": 64}, {"device": "cpu"}, {"n_gpu_layers": 0}])
def test_what_is_loaded_splits_models(loader: FakeLoader, named: Named, change: dict[str, object]) -> None:
    """Context, batch, device and layers decide what is in memory, so they make another model."""

    async def main() -> None:
        async with (
            ModelPool(max_models=2, loader=loader) as pool,
            pool.acquire_context(named("a")) as one,
            pool.acquire_context(named("a", **change)) as two,
        ):
            assert one.model is not two.model

    asyncio.run(main())


def test_leaving_the_block_by_an_error_gives_the_lease_back(loader: FakeLoader, named: Named) -> None:
    """The model is free for the next, and a second release does nothing."""

    async def main() -> None:
        async with ModelPool(loader=loader) as pool:
            with pytest.raises(KeyError):
                async with pool.acquire_context(named("a")) as handle:
                    raise KeyError
            assert handle.released
            assert pool.statistics()["leases"] == 0
            await pool.release(handle)
            async with pool.acquire_context(named("b")):
                pool.check_integrity()

    asyncio.run(main())


def test_a_slow_load_blocks_neither_the_loop_nor_other_models(loader: FakeLoader, named: Named) -> None:
    """While one model is being loaded, another is loaded and used."""

    async def main() -> None:
        async with ModelPool(max_models=2, loader=loader) as pool:
            gate = loader.hold("slow")
            slow = asyncio.create_task(pool.acquire(named("slow")))
            async with pool.acquire_context(named("quick")) as handle:
                assert not handle.released
                assert not slow.done()
                gate.set()
                (await slow).close()

    asyncio.run(main())


def test_an_error_of_the_library_comes_as_it_is(loader: FakeLoader, named: Named) -> None:
    """Callers catch ModelNotFoundError where the loader raised it."""
    loader.fail("a", ModelNotFoundError("No such model: 'a'."))

    async def main() -> None:
        async with ModelPool(loader=loader) as pool:
            with pytest.raises(ModelNotFoundError, match="No such model"):
                await pool.acquire(named("a"))

    asyncio.run(main())


@pytest.mark.parametrize("cause", [OSError("disk"), MemoryError("full"), StopIteration(), SystemExit(3)])
def test_a_foreign_error_is_the_cause_of_one_of_ours(loader: FakeLoader, named: Named, cause: BaseException) -> None:
    """Whatever a backend throws in its thread arrives as ModelLoadError, and the pool can be used on."""
    loader.fail("a", cause)

    async def main() -> None:
        async with ModelPool(loader=loader) as pool:
            with pytest.raises(ModelLoadError, match=f"'a' could not be loaded: {type(cause).__name__}") as caught:
                await pool.acquire(named("a"))
            assert caught.value.__cause__ is cause
            await pool.preload(named("a"))

    asyncio.run(main())


def test_a_model_that_cannot_be_closed_does_not_keep_its_place(
    loader: FakeLoader, named: Named, caplog: pytest.LogCaptureFixture
) -> None:
    """The failure is logged by name, and the next model is loaded."""
    loader.fail("a", OSError("stuck"), step="close")

    async def main() -> None:
        async with ModelPool(loader=loader) as pool:
            await pool.preload(named("a"))
            await pool.preload(named("b"))

    asyncio.run(main())
    assert "Closing 'a' failed" in caplog.text


def test_the_default_loader_is_asked_for_when_the_first_model_is_wanted(
    monkeypatch: pytest.MonkeyPatch, loader: FakeLoader, named: Named
) -> None:
    """Making a pool imports no backend; the first acquire asks `llm.factory` once."""
    asked: list[FakeLoader] = []

    def default_loader() -> FakeLoader:
        asked.append(loader)
        return loader

    factory = types.ModuleType("llm.factory")
    factory.default_loader = default_loader  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "llm.factory", factory)
    pool = ModelPool(max_models=2)
    assert asked == []

    async def main() -> None:
        await pool.preload(named("a"))
        await pool.preload(named("b"))
        await pool.close()

    asyncio.run(main())
    assert asked == [loader]


def test_a_timeout_names_who_holds_what(loader: FakeLoader, named: Named) -> None:
    """Nobody gave the model back in time; the caller learns who has it, and the queue is empty again."""

    async def main() -> None:
        async with ModelPool(acquire_timeout=0, loader=loader) as pool:
            async with pool.acquire_context(named("a")):
                with pytest.raises(PoolTimeoutError, match=r"holds 'a' with 1 lease.* itself holds 'a'"):
                    await pool.acquire(named("b"))
                with pytest.raises(TimeoutError):
                    await pool.acquire(named("b"), timeout=0.001)
                pool.check_integrity()
                assert pool.statistics()["waiting"] == 0
            await pool.preload(named("b"))

    asyncio.run(main())


def test_the_time_of_the_own_load_is_not_waiting(loader: FakeLoader, named: Named) -> None:
    """With no patience at all a model that has to be loaded first is still waited for."""

    async def main() -> None:
        async with ModelPool(acquire_timeout=0, loader=loader) as pool:
            gate = loader.hold("a")
            task = asyncio.create_task(pool.acquire(named("a")))
            for _ in range(5):
                await asyncio.sleep(0)
            assert pool.statistics()["loading"] == 1
            gate.set()
            (await task).close()

    asyncio.run(main())


def test_the_time_of_measuring_is_not_waiting(loader: FakeLoader, named: Named, until: Until) -> None:
    """To learn how large a model is may mean to download it; the time limit does not count that."""

    async def main() -> None:
        async with ModelPool(max_memory=10, acquire_timeout=0, loader=loader) as pool:
            gate = loader.hold("a", "estimate")
            task = asyncio.create_task(pool.preload(named("a")))
            await until(lambda: loader.count("estimate") == 1)
            for _ in range(5):
                await asyncio.sleep(0)
            gate.set()
            await task

    asyncio.run(main())


def test_no_timer_outlives_its_caller(loader: FakeLoader, named: Named, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether a caller was served, refused or cancelled: nothing keeps ticking for it."""
    timers: list[asyncio.TimerHandle] = []

    async def main() -> None:
        async with ModelPool(loader=loader, acquire_timeout=1000) as pool:
            loop = asyncio.get_running_loop()
            call_later = loop.call_later
            held = await pool.acquire(named("a"))

            def remember(*arguments: Any) -> asyncio.TimerHandle:
                timers.append(call_later(*arguments))
                return timers[-1]

            monkeypatch.setattr(loop, "call_later", remember)
            served, cancelled = [asyncio.create_task(pool.preload(named(name))) for name in "bc"]
            with pytest.raises(PoolTimeoutError):
                await pool.acquire(named("d"), timeout=0)
            cancelled.cancel()
            held.close()
            await asyncio.wait({served, cancelled})
            monkeypatch.undo()
            assert sorted(timer.when() > loop.time() for timer in timers) == [False, True, True]
            assert all(timer.cancelled() for timer in timers)

    asyncio.run(main())


def test_who_is_served_at_once_is_not_refused_for_a_long_queue(loader: FakeLoader, named: Named, until: Until) -> None:
    """The queue may be longer than its bound, when a model has to make way; that does not concern who need not wait."""
    loader.sizes = {"a": 4, "b": 8}
    loader.estimates = {"b": 2}

    async def main() -> None:
        async with ModelPool(max_models=2, max_memory=10, max_waiting=1, loader=loader) as pool:
            held = await pool.acquire(named("a"))
            gate = loader.hold("b")
            tasks = [asyncio.create_task(pool.preload(named("b")))]
            await until(lambda: loader.count("load", "b") == 1)
            tasks += [asyncio.create_task(pool.preload(named("b"))) for _ in range(3)]
            await asyncio.sleep(0)
            gate.set()
            await until(lambda: pool.statistics()["waiting"] == 4)
            (await pool.acquire(named("a"))).close()
            held.close()
            await asyncio.gather(*tasks)

    asyncio.run(main())


def test_one_more_than_max_waiting_is_refused(loader: FakeLoader, named: Named) -> None:
    """Of 64 callers with a queue of 16, exactly those beyond it are refused, at once; the others are served in turn."""

    async def main() -> None:
        async with ModelPool(max_waiting=16, loader=loader) as pool:
            held = await pool.acquire(named("held"))
            order: list[int] = []

            async def caller(number: int) -> None:
                async with pool.acquire_context(named(f"m{number}")):
                    order.append(number)

            tasks = [asyncio.create_task(caller(number)) for number in range(64)]
            for _ in range(3):
                await asyncio.sleep(0)
            refused = [number for number, task in enumerate(tasks) if task.done()]
            assert refused == list(range(16, 64))
            held.close()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            assert order == list(range(16))
            assert all(isinstance(results[number], PoolBusyError) for number in refused)

    asyncio.run(main())


def test_the_pool_tells_its_state_in_a_sentence_and_in_numbers(loader: FakeLoader, named: Named, until: Until) -> None:
    """repr reads like a sentence; statistics has the same as data, under both of its names."""

    async def main() -> None:
        pool = ModelPool(max_models=3, max_memory=1000, loader=loader)
        assert repr(pool) == "<ModelPool holds 0 of 3 models>"
        loader.sizes = {"a": 100, "b": 20}
        await pool.pin(named("b"))
        gate = loader.hold("c")
        async with pool.acquire_context(named("a")), pool.acquire_context(named("a", seed=1)):
            await pool.unpin(named("b"))
            await pool.pin(named("b"))
            loading = asyncio.create_task(pool.preload(named("c")))
            waiting = asyncio.create_task(pool.preload(named("b", n_ctx=64)))
            await until(lambda: pool.statistics()["loading"] == 1)
            assert repr(pool) == (
                "<ModelPool holds 3 of 3 models: 'a' with 2 leases, 'b' idle and pinned, 'c' loading; "
                "1 request waiting>"
            )
            numbers = pool.statistics()
            assert numbers == pool.get_stats()
            models = numbers["models"]
            assert {name: value for name, value in numbers.items() if name != "models"} == {
                "closed": False,
                "max_models": 3,
                "max_memory": 1000,
                "loaded": 2,
                "loading": 1,
                "closing": 0,
                "memory_bytes": 121,
                "leases": 2,
                "waiting": 1,
                "loads": 3,
                "load_failures": 0,
                "reuses": 2,
                "evictions": 0,
            }
            assert models[1] == {
                "model_name": "b",
                "backend": "llama_cpp",
                "state": "ready",
                "leases": 0,
                "pinned": True,
                "memory_bytes": 20,
            }
            gate.set()
            await loading
        await waiting
        await pool.close()
        assert repr(pool) == "<ModelPool is closed>"

    asyncio.run(main())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("max_models", 0),
        ("max_models", True),
        ("max_models", 1.5),
        ("max_memory", 0),
        ("max_memory", "8GB"),
        ("acquire_timeout", -1),
        ("acquire_timeout", float("nan")),
        ("patience", -0.1),
        ("max_waiting", 0),
    ],
)
def test_a_bad_argument_is_named(field: str, value: object) -> None:
    """The error says which argument, what it was and what is allowed."""
    with pytest.raises(ConfigError, match=f"{field}={value!r} is not allowed"):
        ModelPool(**{field: value})  # type: ignore[arg-type]


def test_a_bad_time_limit_of_a_call_is_named(loader: FakeLoader, named: Named) -> None:
    """timeout=-1 is refused before anything is queued."""
    pool = ModelPool(loader=loader)
    with pytest.raises(ConfigError, match="timeout=-1 is not allowed"):
        asyncio.run(pool.acquire(named("a"), timeout=-1))
    assert loader.steps == []

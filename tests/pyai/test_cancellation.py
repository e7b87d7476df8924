"""Whatever ends a run ends the generation, at its next token; the model then answers the next one."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest
from pydantic_ai import Agent, CancellationToken, RunContext
from pydantic_ai.exceptions import (
    ModelOverloadedError,
    ModelRequestTimeout,
    ModelTimeoutError,
    ModelUnavailableError,
    RunCancelled,
)
from pydantic_ai.messages import ModelRequest, PartDeltaEvent, PartStartEvent
from pydantic_ai.models import ModelRequestParameters, override_allow_model_requests

from llm import LLMConfig, ModelPool, create_runner
from llm.pyai import LocalLLMModel
from llm.testing.scripted_model import ScriptedLoader
from llm.testing.scripted_runner import ScriptedReply, ScriptedRunner

ENDLESS = "on and on " * 40
ASKED = [ModelRequest.user_text_prompt("Go")]
Ending = Callable[[Agent[None, str]], Coroutine[Any, Any, None]]


class Gate:
    """Lets an engine take a number of steps and then holds it, so that nothing depends on who is faster."""

    def __init__(self) -> None:
        self._steps = threading.Semaphore(0)
        self.taken = 0
        self.open = False

    def __call__(self, _: object) -> None:
        if not self.open:
            assert self._steps.acquire(timeout=60)
        self.taken += 1

    def allow(self, steps: int) -> None:
        for _ in range(steps):
            self._steps.release()

    def lift(self) -> None:
        self.open = True
        self._steps.release()


async def ends_by_break(agent: Agent[None, str]) -> None:
    async with agent.run_stream("Go") as result:
        async for _ in result.stream_text(delta=True, debounce_by=None):
            break


async def ends_by_cancel(agent: Agent[None, str]) -> None:
    async with agent.run_stream("Go") as result:
        async for _ in result.stream_text(delta=True, debounce_by=None):
            await result.cancel()
            break
        assert result.response.state == "interrupted"


async def ends_by_task_cancel(agent: Agent[None, str]) -> None:
    heard = asyncio.Event()

    async def read() -> None:
        async with agent.run_stream("Go") as result:
            async for _ in result.stream_text(delta=True, debounce_by=None):
                heard.set()

    task = asyncio.create_task(read())
    await heard.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def ends_by_error(agent: Agent[None, str]) -> None:
    async def read() -> None:
        async with agent.run_stream("Go") as result:
            async for _ in result.stream_text(delta=True, debounce_by=None):
                raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await read()


@pytest.mark.parametrize("end", [ends_by_break, ends_by_cancel, ends_by_task_cancel, ends_by_error])
def test_a_run_that_is_left_stops_generating(end: Ending) -> None:
    """However it is left; hardly a byte is generated that nobody reads, and the next run is answered."""

    async def main() -> None:
        runner = ScriptedRunner(lambda messages, *_: ENDLESS if messages[-1]["content"] == "Go" else "Yes", chunking=1)
        agent = Agent(LocalLLMModel(runner))
        await end(agent)
        for _ in range(3):  # what is under way ends at its next token
            await asyncio.sleep(0)
        assert runner.running == 0
        assert runner.handed_out < 100
        assert (await agent.run("Well?")).output == "Yes"

    asyncio.run(main())


def test_the_engine_frees_a_cancelled_run_within_a_token() -> None:
    """The engine, held after a known number of steps, takes none for the run once it is cancelled."""

    async def main() -> None:
        gate = Gate()
        loader = ScriptedLoader(lambda prompt: "Yes" if "Well?" in prompt else ENDLESS, before_compute=gate)
        async with ModelPool(loader=loader) as pool, pool.acquire_context(loader.config) as handle:
            agent = Agent(LocalLLMModel(create_runner(handle)))
            heard = asyncio.Event()

            async def read() -> None:
                async with agent.run_stream("Go") as result:
                    async for _ in result.stream_text(delta=True, debounce_by=None):
                        heard.set()

            task = asyncio.create_task(read())
            gate.allow(9)
            await heard.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            taken = gate.taken
            gate.lift()
            assert (await agent.run("Well?")).output == "Yes"
            assert gate.taken <= taken + 1 + len("Yes") + 3 + 9
            await asyncio.to_thread(loader.model.engine.check_integrity)

    asyncio.run(main())


def test_the_first_text_is_there_before_the_tenth_token() -> None:
    """The engine is held after nine steps; the text of the tokens so far has arrived."""

    async def main() -> None:
        gate = Gate()
        loader = ScriptedLoader(lambda _: ENDLESS, before_compute=gate)
        async with ModelPool(loader=loader) as pool, pool.acquire_context(loader.config) as handle:
            model = LocalLLMModel(create_runner(handle))
            gate.allow(9)
            async with model.request_stream(ASKED, None, ModelRequestParameters()) as stream:
                text = ""
                async for event in stream:
                    if isinstance(event, PartStartEvent):
                        text += event.part.content
                    elif isinstance(event, PartDeltaEvent):
                        text += event.delta.content_delta
                    if len(text) >= 5:
                        break
                assert ENDLESS.startswith(text)
                assert gate.taken <= 9
            gate.lift()

    asyncio.run(main())


def test_time_limits_stop_the_generation() -> None:
    """The framework's and ours; each has its own error."""

    async def main() -> None:
        gate = Gate()
        loader = ScriptedLoader(lambda _: ENDLESS, before_compute=gate)
        async with ModelPool(loader=loader) as pool, pool.acquire_context(loader.config) as handle:
            agent = Agent(LocalLLMModel(create_runner(handle)))
            with pytest.raises(ModelRequestTimeout):
                await agent.run("Go", model_settings={"request_timeout": 0.05})
            asyncio.get_running_loop().call_later(0.2, gate.lift)  # the engine goes on when the limit has passed
            with pytest.raises(ModelTimeoutError):
                await agent.run("Go", model_settings={"timeout": 0.05})
            await asyncio.to_thread(loader.model.engine.check_integrity)

    asyncio.run(main())


def test_a_full_queue_is_an_overload() -> None:
    """As FallbackModel and retries expect it."""

    async def main() -> None:
        gate = Gate()
        loader = ScriptedLoader(lambda _: "Yes", before_compute=gate)
        config = loader.config.replace(max_concurrency=1, max_queue=1)
        async with ModelPool(loader=loader) as pool, pool.acquire_context(config) as handle:
            agent = Agent(LocalLLMModel(create_runner(handle)))
            runs = [asyncio.create_task(agent.run("Go")) for _ in range(3)]
            done, _ = await asyncio.wait(runs, return_when=asyncio.FIRST_EXCEPTION)
            assert {type(run.exception()) for run in done} == {ModelOverloadedError}
            gate.lift()
            rest = await asyncio.gather(*runs, return_exceptions=True)
            assert sum(not isinstance(result, Exception) for result in rest) == 2

    asyncio.run(main())


def test_a_lease_that_has_ended_makes_the_model_unavailable() -> None:
    """Before a run and within one."""

    async def main() -> None:
        loader = ScriptedLoader(lambda _: "Yes")
        async with ModelPool(loader=loader) as pool:
            async with pool.acquire_context(loader.config) as handle:
                model = LocalLLMModel(create_runner(handle))
            with pytest.raises(ModelUnavailableError):
                await Agent(model).run("Go")

    asyncio.run(main())


def test_requests_can_be_forbidden() -> None:
    """By the framework's own switch, which tests of applications use."""
    agent = Agent(LocalLLMModel(ScriptedRunner(lambda *_: "Yes")))
    with override_allow_model_requests(False), pytest.raises(RuntimeError, match="not allowed"):
        asyncio.run(agent.run("Go"))


def test_a_pooled_model_is_leased_for_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once for all requests of all runs at a time; afterwards nobody holds it. The profile follows the loaded model."""

    async def main() -> None:
        loader = ScriptedLoader(lambda prompt: prompt.rsplit("user\n", 1)[1][0], window=3000)
        leases = []
        async with ModelPool(loader=loader) as pool:
            acquire = pool.acquire

            async def counted(config: LLMConfig, **options: Any) -> Any:
                leases.append(config)
                return await acquire(config, **options)

            monkeypatch.setattr(pool, "acquire", counted)
            model = LocalLLMModel.from_pool(pool, loader.config)
            assert model.model_name == "scripted"
            agent = Agent(model)
            results = await asyncio.gather(*(agent.run(letter) for letter in "abc"))
            assert [result.output for result in results] == ["a", "b", "c"]
            assert pool.statistics()["leases"] == 0
            assert model.context_window == 3000
            assert len(leases) == 1
            async with agent:
                assert pool.statistics()["leases"] == 1
                await agent.run("d")
                await agent.run("e")
            assert len(leases) == 2
            assert pool.statistics()["leases"] == 0

    asyncio.run(main())


def test_a_token_cancels_runs_from_elsewhere() -> None:
    """One token, several runs: the generations end, the history is kept, and the model answers the next run."""

    async def main() -> None:
        begun = asyncio.Event()

        def pieces(raw: bytes) -> Iterator[bytes]:
            for at in range(len(raw)):
                if at == 9:
                    begun.set()
                yield raw[at : at + 1]

        runner = ScriptedRunner(
            lambda messages, *_: ENDLESS if messages[-1]["content"] == "Go" else "Yes", chunking=pieces
        )
        agent = Agent(LocalLLMModel(runner))
        token = CancellationToken()
        runs = [asyncio.create_task(agent.run("Go", cancellation_token=token)) for _ in range(3)]
        await begun.wait()
        token.cancel()
        ended = await asyncio.gather(*runs, return_exceptions=True)
        assert {type(error) for error in ended} == {RunCancelled}
        assert all(isinstance(error.all_messages()[0], ModelRequest) for error in ended)
        for _ in range(3):
            await asyncio.sleep(0)
        assert runner.running == 0
        assert runner.handed_out < 300
        assert (await agent.run("Well?", cancellation_token=CancellationToken())).output == "Yes"
        with pytest.raises(RunCancelled):
            await agent.run("Well?", cancellation_token=token)

    asyncio.run(main())


def test_a_tool_cancels_its_run() -> None:
    """What was said up to then is in the history."""

    async def main() -> None:
        runner = ScriptedRunner(lambda *_: ScriptedReply(text="I stop.", calls=[("stop", {})]))
        agent = Agent(LocalLLMModel(runner))

        @agent.tool
        async def stop(ctx: RunContext[None]) -> str:
            ctx.cancel()
            await asyncio.Event().wait()
            return "never"

        with pytest.raises(RunCancelled) as caught:
            await agent.run("Go")
        assert "I stop." in str(caught.value.all_messages())
        assert runner.running == 0

    asyncio.run(main())

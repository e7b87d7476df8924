"""A local model among others: fallbacks, wrappers, many runs at once, and faces without a loop."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pydantic_ai import (
    Agent,
    InstrumentationSettings,
    UsageLimits,
)
from pydantic_ai.capabilities import Instrumentation
from pydantic_ai.exceptions import (
    ModelContextWindowExceededError,
)
from pydantic_ai.models.concurrency import ConcurrencyLimitedModel
from pydantic_ai.models.fallback import FallbackModel
from pydantic_ai.models.wrapper import WrapperModel

from llm import EngineFailedError, LLMConfig, ModelLoadError, ModelPool
from llm.exceptions import EngineBusyError, PoolTimeoutError
from llm.pyai import LocalLLMModel
from llm.testing.scripted_model import ScriptedLoader
from llm.testing.scripted_runner import ScriptedReply, ScriptedRunner
from tests.pyai.scripts import calls, count, run


def test_a_prompt_beyond_the_context_window(scripted: Any) -> None:
    """Is the error that compaction and fallbacks look for, whole and streamed."""
    small = scripted(lambda *_: "never", context_window=50)
    large = scripted(lambda *_: "answer")
    with pytest.raises(ModelContextWindowExceededError):
        run(Agent(small).run("x" * 100))
    agent = Agent(FallbackModel(small, large))
    assert run(agent.run("x" * 100)).output == "answer"

    async def work() -> None:
        async with agent.run_stream("x" * 100) as result:
            assert await result.get_output() == "answer"

    run(work())
    assert small.context_window == 50


def test_many_runs_at_once_on_one_model() -> None:
    """Each gets its own reply."""
    model = LocalLLMModel(ScriptedRunner(lambda messages, *_: messages[-1]["content"] * 3, chunking=1))
    agent = Agent(model)

    async def work() -> None:
        results = await asyncio.gather(*(agent.run(str(number)) for number in range(20)))
        assert [result.output for result in results] == [str(number) * 3 for number in range(20)]

    run(work())


def test_an_error_of_the_script_is_not_hidden(scripted: Any) -> None:
    """What is no error of ours passes through."""

    def broken(*_: Any) -> str:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(Agent(scripted(broken)).run("Go"))


def test_the_synchronous_face(scripted: Any) -> None:
    """run_sync and run_stream_sync, outside of any loop."""
    agent = Agent(scripted(lambda *_: "Hello there"))
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        assert agent.run_sync("Hi").output == "Hello there"
        with agent.run_stream_sync("Hi") as result:
            assert "".join(result.stream_text(delta=True, debounce_by=None)) == "Hello there"
    finally:
        asyncio.set_event_loop(None)
        loop.close()


def test_wrapped_models(scripted: Any) -> None:
    """A wrapper passes all of it on: text, streams, counts, the profile."""
    model = scripted(lambda *_: "ok")
    wrapped = WrapperModel(model)
    agent = Agent(wrapped)
    limits = UsageLimits(input_tokens_limit=1000, count_tokens_before_request=True)

    async def work() -> None:
        assert (await agent.run("Go", usage_limits=limits)).output == "ok"
        async with agent.run_stream("Go") as result:
            assert await result.get_output() == "ok"

    run(work())
    assert wrapped.model_id == "practorflow:scripted"
    assert wrapped.context_window == model.context_window


def test_a_limit_on_requests_at_a_time() -> None:
    """Two are answered at the same time, and the third waits for one of them."""
    most = inside = 0

    async def work() -> None:
        two = asyncio.Event()

        async def script(*_: object) -> str:
            nonlocal most, inside
            inside += 1
            most = max(most, inside)
            if inside == 2:
                two.set()
            await asyncio.wait_for(two.wait(), 30)
            for _ in range(100):  # room for a third
                await asyncio.sleep(0)
            inside -= 1
            return "on and on"

        agent = Agent(ConcurrencyLimitedModel(LocalLLMModel(ScriptedRunner(script, chunking=1)), limiter=2))
        results = await asyncio.gather(*(agent.run("Go") for _ in range(6)))
        assert {result.output for result in results} == {"on and on"}

    run(work())
    assert most == 2


@pytest.mark.parametrize("error", [EngineBusyError("full"), EngineFailedError("gone"), PoolTimeoutError("late")])
def test_another_model_answers_when_this_one_cannot(scripted: Any, error: Exception) -> None:
    """In the middle of a run with tools, with the same history."""

    def first(messages: list[Any], *_: Any) -> Any:
        if messages[-1]["role"] == "tool":
            return ScriptedReply(error=error)
        return calls(("count", {"city": "Rome"}))

    other = scripted(lambda messages, *_: f"{messages[-1]['content']} letters")
    result = run(Agent(FallbackModel(scripted(first), other), tools=[count]).run("Go"))
    assert result.output == "4 letters"
    assert [message["role"] for message in other.runner.requests[0][0]] == ["user", "assistant", "tool"]


@pytest.mark.parametrize("streamed", [False, True])
def test_traces_say_what_a_request_was_and_cost(scripted: Any, streamed: bool) -> None:
    """In the names that OpenTelemetry has for it; the words themselves only where somebody wants them there."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    settings = InstrumentationSettings(tracer_provider=provider, include_content=False)
    reply = ScriptedReply(reasoning="Hm.", text="a secret")
    agent = Agent(scripted(lambda *_: reply), capabilities=[Instrumentation(settings=settings)])

    async def work() -> None:
        if streamed:
            async with agent.run_stream("Go") as result:
                await result.get_output()
        else:
            await agent.run("Go")

    run(work())
    (span,) = [span for span in exporter.get_finished_spans() if span.name.startswith("chat")]
    said = dict(span.attributes or {})
    assert span.name == "chat scripted"
    assert said["gen_ai.response.model"] == said["gen_ai.request.model"] == "scripted"
    assert "practorflow" in (said.get("gen_ai.system"), said.get("gen_ai.provider.name"))
    assert said["gen_ai.usage.input_tokens"] > 0
    assert said["gen_ai.usage.output_tokens"] > len("a secret")
    assert said["gen_ai.response.finish_reasons"] == ("stop",)
    assert "secret" not in str([dict(span.attributes or {}) for span in exporter.get_finished_spans()])


def test_a_pooled_model_that_cannot_be_loaded_falls_back() -> None:
    """Whole and streamed; and what nobody has to fall back on is not loaded."""

    class Missing(ScriptedLoader):
        def load(self, config: LLMConfig) -> Any:  # noqa: ARG002 - the contract
            raise ModelLoadError("It is damaged.")

    async def work() -> None:
        missing, whole = Missing(lambda _: ""), ScriptedLoader(lambda _: "I do.")
        async with ModelPool(loader=missing) as no_pool, ModelPool(loader=whole) as pool:
            first = LocalLLMModel.from_pool(no_pool, missing.config)
            second = LocalLLMModel.from_pool(pool, whole.config)
            agent = Agent(FallbackModel(first, second))
            assert (await agent.run("Who answers?")).output == "I do."
            async with agent.run_stream("Who answers?") as result:
                assert await result.get_output() == "I do."
                assert pool.statistics()["leases"] == 1
            assert pool.statistics()["leases"] == 0
        async with ModelPool(loader=missing) as no_pool, ModelPool(loader=whole) as pool:
            first = LocalLLMModel.from_pool(pool, whole.config)
            second = LocalLLMModel.from_pool(no_pool, missing.config)
            assert (await Agent(FallbackModel(first, second)).run("Who answers?")).output == "I do."

    run(work())

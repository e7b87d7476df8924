"""Streams as agents hand them on: partial models, events of a run, errors in the middle."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic_ai import Agent, ModelRetry, RunContext
from pydantic_ai.exceptions import ModelServerError
from pydantic_ai.messages import (
    FinalResultEvent,
    FunctionToolCallEvent,
    FunctionToolResultEvent,
    ModelRequest,
    PartDeltaEvent,
    PartEndEvent,
    PartStartEvent,
)
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.models.fallback import FallbackModel

from llm import EngineFailedError
from llm.pyai import LocalLLMModel, compatibility
from llm.pyai.stream_response import LocalStreamedResponse
from llm.testing.scripted_runner import ScriptedReply, ScriptedRunner


class City(BaseModel):
    name: str
    people: int = 0


FINAL = ScriptedReply(calls=[("final_result", {"name": "Paris of the north", "people": 72_681})])


def test_partial_models_grow_to_the_final_one(scripted: Any) -> None:
    """stream_output hands out what there is; validators see whether it is partial."""
    seen: list[bool] = []
    agent = Agent(scripted(lambda *_: FINAL), output_type=City)

    @agent.output_validator
    def note(ctx: RunContext[None], city: City) -> City:
        seen.append(ctx.partial_output)
        if not ctx.partial_output and city.people == 0:
            raise ModelRetry("How many?")
        return city

    async def main() -> None:
        async with agent.run_stream("Go") as result:
            cities = [city async for city in result.stream_output(debounce_by=None)]
            assert await result.get_output() == cities[-1] == City(name="Paris of the north", people=72_681)
        names = [city.name for city in cities]
        assert all("Paris of the north".startswith(name) for name in names)
        assert len(set(names)) > 1
        assert seen[0] is True
        assert seen[-1] is False

    asyncio.run(main())


def test_events_of_a_run_come_in_order(scripted: Any) -> None:
    """Through run_stream_events, a handler, and the nodes of iter: parts, then the call and its result, then text."""

    def script(messages: list[Any], *_: Any) -> Any:
        if messages[-1]["role"] == "tool":
            return "four people"
        return ScriptedReply(reasoning="Hm.", text="I count.", calls=[("count", {"city": "Rome"})])

    def count(city: str) -> int:
        return len(city)

    handled: list[Any] = []

    async def handler(_: RunContext[None], events: Any) -> None:
        async for event in events:
            handled.append(event)

    async def main() -> None:
        agent = Agent(scripted(script), tools=[count])
        async with agent.run_stream_events("Go") as stream:
            events = [event async for event in stream]
        kinds = [type(event) for event in events]
        assert kinds.index(FunctionToolCallEvent) < kinds.index(FunctionToolResultEvent)
        assert kinds.count(PartStartEvent) == kinds.count(PartEndEvent) == 4
        starts = [event.part.part_kind for event in events if isinstance(event, PartStartEvent)]
        assert starts == ["thinking", "text", "tool-call", "text"]
        assert FinalResultEvent in kinds
        assert events[-1].result.output == "four people"
        result = await agent.run("Go", event_stream_handler=handler)
        assert result.output == "four people"
        assert [type(event) for event in handled].count(PartStartEvent) == 4
        streamed = ""
        async with agent.iter("Go") as run:
            async for node in run:
                if Agent.is_model_request_node(node):
                    async with node.stream(run.ctx) as events_of_node:
                        async for event in events_of_node:
                            if isinstance(event, PartStartEvent) and event.part.part_kind == "text":
                                streamed += event.part.content
                            elif isinstance(event, PartDeltaEvent) and event.delta.part_delta_kind == "text":
                                streamed += event.delta.content_delta
        assert streamed == "I count.four people"
        assert run.result.output == "four people"

    asyncio.run(main())


def test_an_error_in_the_middle_has_the_class_of_its_cause(scripted: Any) -> None:
    """Text that came before is handed out first; before the first text, another model takes over."""
    broken = EngineFailedError("The device is gone.")

    async def main() -> None:
        agent = Agent(scripted(lambda *_: ScriptedReply(text="Once upon a time", error=broken)))
        heard = ""

        async def read() -> None:
            nonlocal heard
            async with agent.run_stream("Go") as result:
                async for delta in result.stream_text(delta=True, debounce_by=None):
                    heard += delta

        with pytest.raises(ModelServerError, match="device is gone") as caught:
            await read()
        assert caught.value.__cause__ is broken
        assert "Once upon a time".startswith(heard)
        other = LocalLLMModel(ScriptedRunner(lambda *_: "I do."))
        fallback = Agent(FallbackModel(scripted(lambda *_: ScriptedReply(error=broken)), other))
        async with fallback.run_stream("Who answers?") as result:
            assert await result.get_output() == "I do."

    asyncio.run(main())


def test_what_a_stream_says_of_itself(scripted: Any) -> None:
    """Names, times, usage and the finish reason are those of the response; the names agree with the model's."""

    async def main() -> None:
        model = scripted(lambda *_: "ok")
        async with model.request_stream(
            [ModelRequest.user_text_prompt("Hi")], None, ModelRequestParameters()
        ) as stream:
            assert stream.get().state == "incomplete"
            async for _ in stream:
                pass
            response = stream.get()
        assert response.state == "complete"
        assert response.provider_name == model.system == "practorflow"
        assert response.model_name == model.model_name == "scripted"
        assert response.usage.output_tokens == 2
        assert response.usage.input_tokens > 0
        assert model.model_id == "practorflow:scripted"
        assert "scripted" in repr(model)
        assert model == model

    asyncio.run(main())


def test_the_private_names_that_we_use_are_there() -> None:
    """A release of the framework that moves one of them fails here, and not in somebody's agent."""
    for name in compatibility.MODEL_HOOKS:
        assert any(name in vars(base) for base in LocalLLMModel.__mro__[1:]), name
    response = LocalStreamedResponse.__mro__[1]
    for name in compatibility.STREAM_HOOKS:
        assert name in vars(response) or name in response.__dataclass_fields__, name

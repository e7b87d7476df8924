"""The same faces on a real model, on both backends: what is guaranteed holds whatever it would rather say."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from pydantic import BaseModel, Field
from pydantic_ai import Agent, NativeOutput
from pydantic_ai.messages import ModelResponse, ToolCallPart

from llm import LLMConfig, ModelPool
from llm.demo import HF_PATH
from llm.pyai import LocalLLMModel


class Order(BaseModel):
    """What is asked of the model; bounds bring a small one to an end."""

    number: int = Field(ge=0, le=999)
    status: str = Field(pattern=r"^(open|closed)$")


@pytest.fixture(params=["llama_cpp", "transformers"])
def config(request: pytest.FixtureRequest) -> LLMConfig:
    if request.param == "llama_cpp":
        return LLMConfig(model_name="demo", temperature=0.0, max_new_tokens=200)
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    return LLMConfig(model_name=str(HF_PATH), backend="transformers", device="cpu", temperature=0.0, max_new_tokens=200)


def test_agents_on_the_demo_model(config: LLMConfig) -> None:
    """Text, a stream, a tool, structured output, and two agents at once."""
    called: list[str] = []

    def get_customer_data(customer_id: str) -> str:
        """Retrieve customer information from internal database."""
        called.append(customer_id)
        return "3 open orders"

    async def main() -> None:
        async with ModelPool() as pool:
            model = LocalLLMModel.from_pool(pool, config)
            async with model:
                text = await Agent(model).run("What is Python?")
                assert text.output
                async with Agent(model).run_stream("What is Python?") as stream:
                    deltas = [delta async for delta in stream.stream_text(delta=True, debounce_by=None)]
                assert "".join(deltas) == text.output
                assert len(deltas) > 3
                agent = Agent(model, tools=[get_customer_data])
                result = await agent.run("What's the status of customer ABC123?", model_settings={"max_tokens": 200})
                assert called == ["ABC123"]
                calls = [p for m in result.all_messages() for p in m.parts if isinstance(p, ToolCallPart)]
                assert json.loads(calls[0].args) == {"customer_id": "ABC123"}
                for output_type in (Order, NativeOutput(Order)):
                    structured: Any = Agent(model, output_type=output_type)
                    first, second = await asyncio.gather(
                        structured.run("Order 12 is open."), structured.run("Order 7 is closed.")
                    )
                    assert isinstance(first.output, Order)
                    assert isinstance(second.output, Order)
                responses = [m for m in result.all_messages() if isinstance(m, ModelResponse)]
                assert all(response.usage.input_tokens > 0 for response in responses)
            assert pool.statistics()["leases"] == 0

    asyncio.run(main())

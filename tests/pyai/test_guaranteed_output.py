"""What the constraint guarantees, on the demo model and both backends: valid output beside tools, whatever it says.

The sampling is hot, so that most of what a model this small would say is nonsense; nothing may be asked again.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field
from pydantic_ai import Agent, NativeOutput, PromptedOutput, RunContext, ToolOutput
from pydantic_ai.messages import ModelResponse, ToolCallPart
from pydantic_ai.tools import ToolDefinition

from llm import LLMConfig, ModelPool
from llm.demo import HF_PATH
from llm.pyai import LocalLLMModel
from tests.pyai.scripts import run

SEEDS = range(6)


class Line(BaseModel):
    article: str = Field(pattern=r"^[A-Z]{2}-[0-9]{3}$")
    pieces: int = Field(ge=1, le=99)


class Order(BaseModel):
    status: Literal["open", "closed", 'in "doubt"']
    urgent: bool
    lines: list[Line] = Field(min_length=1, max_length=2)
    note: str | None = Field(max_length=12)


@pytest.fixture(params=["llama_cpp", "transformers"])
def config(request: pytest.FixtureRequest) -> LLMConfig:
    options: dict[str, Any] = {"temperature": 2.0, "top_p": 1.0, "max_new_tokens": 600}
    if request.param == "llama_cpp":
        return LLMConfig(model_name="demo", **options)
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    return LLMConfig(model_name=str(HF_PATH), backend="transformers", device="cpu", **options)


@pytest.mark.parametrize("how", [ToolOutput, NativeOutput, PromptedOutput])
@pytest.mark.parametrize("streamed", [False, True])
def test_output_is_valid_beside_tools(config: LLMConfig, how: Any, streamed: bool) -> None:
    """Each call of a tool has arguments of its schema and each output is one of its own, at the first attempt."""
    asked: list[tuple[str, int]] = []

    async def at_first(ctx: RunContext[None], tool: ToolDefinition) -> ToolDefinition | None:
        return tool if ctx.run_step == 1 else None  # so that a model that likes to call comes to an end

    def stock(article: Literal["AA-001", "BB-002"], place: Annotated[int, Field(ge=1, le=3)]) -> str:
        """Say how many there are of an article."""
        asked.append((article, place))
        return "12"

    async def work() -> None:
        async with ModelPool() as pool:
            model = LocalLLMModel.from_pool(pool, config)
            agent: Agent[None, Order] = Agent(model, output_type=how(Order), retries=0)
            agent.tool_plain(prepare=at_first)(stock)
            async with model:
                for seed in SEEDS:
                    question = "Order AA-001 twice, in a hurry."
                    settings: Any = {"seed": seed, "parallel_tool_calls": False}  # several would end at the limit
                    if streamed:
                        async with agent.run_stream(question, model_settings=settings) as result:
                            output = await result.get_output()
                        messages = result.all_messages()
                    else:
                        whole = await agent.run(question, model_settings=settings)
                        output, messages = whole.output, whole.all_messages()
                    assert Order.model_validate(output.model_dump()) == output
                    responses = [message for message in messages if isinstance(message, ModelResponse)]
                    assert len(responses) <= 2
                    made = [part for r in responses for part in r.parts if isinstance(part, ToolCallPart)]
                    assert {part.tool_name for part in made} <= {"stock", "final_result"}
                    assert {response.finish_reason for response in responses} <= {"stop", "tool_call"}

    run(work())
    assert set(asked) <= {(article, place) for article in ("AA-001", "BB-002") for place in (1, 2, 3)}

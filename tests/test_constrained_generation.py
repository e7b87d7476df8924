"""Constraint on a real engine with a model that has no idea: random weights, real llama.cpp, the whole runner.

What comes out well formed here does so because nothing else could be written.
"""

from __future__ import annotations

import asyncio
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field, TypeAdapter, create_model

from llm import LLMConfig, LLMRunner
from llm.demo.chat_template import CHAT_TEMPLATE
from llm.testing.leased import Leased

RANDOM_MODEL = runpy.run_path(str(Path(__file__).parents[1] / "benchmarks" / "random_model.py"))
WITHOUT_TOOLS = RANDOM_MODEL["CHAT_TEMPLATE"]

Short = Field(max_length=12)
KINDS: list[tuple[Any, Any]] = [
    (str, Short),
    (int, Field(ge=-1000, le=1000)),
    (bool, ...),
    (Literal["red", 'with "quotes"', "back\\slash"], ...),
    (list[int], Field(max_length=3)),
    (int | None, None),
]


def twenty_tools() -> dict[str, type[BaseModel]]:
    """Tools of one to four arguments, by name."""
    tools = {}
    for number in range(20):
        fields = {f"field_{place}": KINDS[(number + place) % len(KINDS)] for place in range(1 + number % 4)}
        tools[f"tool_{number}"] = create_model(f"Tool{number}", **fields)  # type: ignore[call-overload]
    return tools


TOOLS = twenty_tools()


def parameters(model: type[BaseModel]) -> dict[str, Any]:
    """The schema without titles: in bytes, the prompt is long enough."""
    schema = model.model_json_schema()
    fields = {name: {key: value for key, value in field.items() if key != "title"}
              for name, field in schema["properties"].items()}  # fmt: skip
    return {"type": "object", "properties": fields, "required": schema.get("required", [])}


DEFINITIONS = [
    {"type": "function", "function": {"name": name, "description": "A tool.", "parameters": parameters(model)}}
    for name, model in TOOLS.items()
]


@pytest.fixture(scope="module", params=["native", "generic"])
def leased(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Leased]:
    """A random model whose template knows tools, and one whose template knows none."""
    template = CHAT_TEMPLATE if request.param == "native" else WITHOUT_TOOLS
    path = tmp_path_factory.mktemp("models") / "random.gguf"
    shape = RANDOM_MODEL["Shape"](
        layers=1, width=64, heads=2, kv_heads=1, feed_forward=64, vocabulary=1024, context=16384
    )
    RANDOM_MODEL["write_random_model"](path, shape, chat_template=template)
    leased = Leased(LLMConfig(model_name=str(path), n_ctx=32768, temperature=1.0, top_p=1.0))
    yield leased
    leased.close()


@pytest.mark.parametrize("runs", [60, pytest.param(500, marks=pytest.mark.soak)])
def test_required_calls_are_well_formed(leased: Leased, runs: int) -> None:
    """Over 20 tools, each run is one call of a known tool whose arguments its Pydantic model accepts."""

    async def work(runner: LLMRunner) -> None:
        async def call(number: int) -> None:
            result = await runner.generate(
                prompt=f"Call {number}.",
                tools=DEFINITIONS,
                tool_choice="required" if number % 2 else f"tool_{number % 20}",
                parallel_tool_calls=False,
                seed=number,
                max_new_tokens=600,
            )
            (made,) = result["tool_calls"]
            TOOLS[made["tool_name"]].model_validate(made["args"], strict=True)
            assert result["finish_reason"] == "tool_calls"
            assert number % 2 or made["tool_name"] == f"tool_{number % 20}"
            identities.add(made["tool_call_id"])

        identities: set[str] = set()
        await asyncio.gather(*map(call, range(runs)))
        assert len(identities) == runs

    leased.run(work)


def test_no_call_is_ever_made_with_tool_choice_none(leased: Leased) -> None:
    """Text only, whatever the model draws."""

    async def work(runner: LLMRunner) -> None:
        async def talk(number: int) -> None:
            result = await runner.generate(
                prompt="Hello", tools=DEFINITIONS, tool_choice="none", seed=number, max_new_tokens=40
            )
            assert "tool_calls" not in result

        await asyncio.gather(*map(talk, range(60)))

    leased.run(work)


class Item(BaseModel):
    kind: Literal["a", "b\n", "ü"]
    size: float = Field(ge=0, le=10)


class Order(BaseModel):
    number: int = Field(ge=1, le=99)
    items: list[Item] = Field(min_length=1, max_length=2)
    note: str | None = Field(default=None, max_length=8)


@pytest.mark.parametrize("schema", [Order, Item, list[Literal[1, 2]]], ids=["nested", "flat", "list"])
def test_a_response_format_is_kept(leased: Leased, schema: Any) -> None:
    """Every reply parses and validates, streamed or not, with tools beside it or not."""
    adapter = TypeAdapter(schema)
    described = adapter.json_schema()
    if schema is not Order and schema is not Item:
        described["maxItems"] = 3

    async def work(runner: LLMRunner) -> None:
        async def answer(number: int) -> None:
            result = await runner.generate(
                prompt="Hello",
                response_format=schema if isinstance(schema, type) and number % 2 else described,
                seed=number,
                max_new_tokens=600,
            )
            assert result["finish_reason"] == "stop"
            adapter.validate_json(result["reply"])
            assert result["reply"] == result["reply"].strip()

        await asyncio.gather(*map(answer, range(50)))
        mixed = await runner.generate(
            prompt="Hello", response_format=described, tools=DEFINITIONS[:2], parallel_tool_calls=False, seed=3,
            max_new_tokens=600,
        )  # fmt: skip
        if mixed.get("tool_calls"):
            assert mixed["tool_calls"][0]["tool_name"] in TOOLS
        else:
            adapter.validate_json(mixed["reply"])

    leased.run(work)


def test_a_stream_announces_its_calls(leased: Leased) -> None:
    """The calls on the last chunk are those announced when they were complete, and none stands in the text."""

    async def work(runner: LLMRunner) -> None:
        for seed in range(5):
            options: dict[str, Any] = {
                "prompt": "Call.", "tools": DEFINITIONS, "tool_choice": "required", "seed": seed,
                "parallel_tool_calls": False, "max_new_tokens": 600,
            }  # fmt: skip
            chunks = [chunk async for chunk in runner.generate_stream(**options)]
            announced = [chunk.tool_call for chunk in chunks if chunk.tool_call]
            assert announced == list(chunks[-1].tool_calls) != []
            assert "tool_" not in "".join(chunk.text for chunk in chunks)

    leased.run(work)

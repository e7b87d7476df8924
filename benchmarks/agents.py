"""Several agents on one model: all at once against one after another.

    python benchmarks/agents.py
    python benchmarks/agents.py --agents 2 --tokens 8 --model tiny.gguf

Each run is one of Pydantic AI on LocalLLMModel with instructions and a tool; each reply has a fixed number of tokens.
Two questions: many people ask one agent, and many agents, each with instructions of its own, are asked once. Both sides
are measured in turn, with what was computed before forgotten each time; on both of them a beginning that prompts share
is computed once.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from pathlib import Path
from typing import Any

from figures import benchmark_model, compare, finish
from pydantic_ai import Agent

from llm import LLMConfig, ModelPool, create_runner
from llm.pyai import LocalLLMModel

TARGET = 0.5


def find_customer(number: str) -> str:
    """Find a customer by number."""
    return number


def agents_of(model: LocalLLMModel, count: int, *, own_instructions: bool) -> list[Agent[None, str]]:
    """One agent many times, or agents that have nothing in common but the model."""
    return [
        Agent(
            model,
            instructions=f"You are clerk {number if own_instructions else 0} and answer in a few words.",
            tools=[find_customer],
        )
        for number in range(count)
    ]


async def measure(
    path: Path, *, agents: int, tokens: int, rounds: int, own_instructions: bool
) -> dict[str, list[float]]:
    """Seconds of each side in each round."""
    seconds: dict[str, list[float]] = {"one after another": [], "all at once": []}
    config = LLMConfig(model_name=str(path), temperature=1.0, seed=1, n_ctx=8192, max_concurrency=agents)
    async with ModelPool() as pool, pool.acquire_context(config) as handle:
        # On random weights the end of a turn is a matter of chance, so it is forbidden, as are calls.
        loaded: Any = handle.model
        ends = {str(token): -10_000 for token in loaded.tokenizer.end_tokens}
        settings: Any = {"max_tokens": tokens, "logit_bias": ends, "tool_choice": "none", "local_constrain": False}
        model = LocalLLMModel(create_runner(handle), settings=settings)
        clerks = agents_of(model, agents, own_instructions=own_instructions)

        async def run(agent: Agent[None, str], question: int) -> None:
            result = await agent.run(f"What is the state of order {question}?")
            assert result.usage.output_tokens == tokens, result.usage

        await run(clerks[0], 0)  # the first one pays for what is made once
        for number in range(1, rounds + 1):
            for name in seconds:
                await asyncio.to_thread(loaded.engine.forget)
                begun = time.perf_counter()
                if name == "all at once":
                    await asyncio.gather(*(run(clerk, 1000 * number + at) for at, clerk in enumerate(clerks)))
                else:
                    for at, clerk in enumerate(clerks):
                        await run(clerk, 1000 * number + at)
                seconds[name].append(time.perf_counter() - begun)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="times that each side is measured, in turn")
    parser.add_argument("--model", type=Path, help="a GGUF file instead of the random half-billion one")
    parser.add_argument("--agents", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=64, help="of each reply")
    options = parser.parse_args()
    path = benchmark_model(options.model)
    tables = {}
    for question, own in (("one agent", False), ("agents of their own", True)):
        print(question, flush=True)
        seconds = asyncio.run(
            measure(path, agents=options.agents, tokens=options.tokens, rounds=options.rounds, own_instructions=own)
        )
        tables[question] = compare(seconds, base="one after another", unit="s")
    finish(
        "agents on one model",
        agents=options.agents,
        tokens=options.tokens,
        ratio=tables["one agent"]["all at once"]["ratio"],
        ratio_with_own_instructions=tables["agents of their own"]["all at once"]["ratio"],
        target=TARGET,
        seconds=tables,
    )


if __name__ == "__main__":
    main()

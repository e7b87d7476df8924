"""The loop over a real runner: template, engine and parser are the real ones, and once the model is, too."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Awaitable, Callable
from typing import Any, Literal

import pytest

from llm import LLMConfig, LLMRunner, ModelPool, create_runner
from llm.base.tool_loop import ToolRun
from llm.session import Conversation, MemorySessionStore
from llm.testing.scripted_model import ScriptedLoader
from llm.tools import ToolRegistry


def call(name: str, arguments: str) -> str:
    return f'<tool_call>\n{{"name": "{name}", "arguments": {arguments}}}\n</tool_call>'


def script(prompt: str) -> str:
    """Looks a customer up by name, then asks for both counts by the number it was told, then says what it read."""
    conversation = prompt.rsplit("<|im_start|>user\nHow ", 1)[1]
    found = re.findall(r"<tool_response>\n(.*?)\n</tool_response>", conversation)
    match found:
        case []:
            return "I look that up." + call("find_customer", '{"name": "Ada"}')
        case [number]:
            both = [call(name, f'{{"number": "{number}"}}') for name in ("open_orders", "open_invoices")]
            return "\n".join(both)
        case [number, orders, invoices]:
            return f"{number} has {orders} orders and {invoices} invoices."
    raise AssertionError(f"{len(found)} results")


@pytest.fixture
def registry() -> ToolRegistry:
    """The tools of the script; the two counts wait for each other."""
    both = threading.Barrier(2, timeout=30)

    def find_customer(name: str) -> str:
        """Find the number of a customer."""
        return {"Ada": "C-7"}[name]

    def open_orders(number: str) -> int:
        """Count a customer's open orders."""
        both.wait()
        return {"C-7": 3}[number]

    def open_invoices(number: str) -> int:
        """Count a customer's open invoices."""
        both.wait()
        return {"C-7": 2}[number]

    return ToolRegistry([find_customer, open_orders, open_invoices])


def with_runner(work: Callable[[LLMRunner], Awaitable[None]], **options: Any) -> ScriptedLoader:
    """Do `work` with a runner on the script, then see that it has left nothing behind."""
    loader = ScriptedLoader(script, window=8192)

    async def main() -> None:
        async with ModelPool(loader=loader) as pool:
            async with pool.acquire_context(loader.config) as handle:
                await work(create_runner(handle, **options))
                await asyncio.to_thread(loader.model.engine.check_integrity)
            pool.check_integrity()

    asyncio.run(main())
    return loader


QUESTION = "How many orders and invoices does Ada have?"
ANSWER = "C-7 has 3 orders and 2 invoices."


def test_a_question_that_needs_two_steps_is_answered(registry: ToolRegistry) -> None:
    """The second step uses what the first one found, and its two calls run together; whole or in pieces."""

    async def work(runner: LLMRunner) -> None:
        result = await runner.run(tools=registry, prompt=QUESTION, constrain=False)
        assert result["reply"] == ANSWER
        assert [len(step.outcomes) for step in result["steps"]] == [1, 2, 0]
        assert [message["role"] for message in result["messages"]] == [
            "user", "assistant", "tool", "assistant", "tool", "tool", "assistant",
        ]  # fmt: skip
        assert result["usage"]["cached_tokens"] > result["usage"]["prompt_tokens"] / 2
        run = runner.run_stream(tools=registry, prompt=QUESTION, constrain=False)
        text = "".join([chunk.text async for chunk in run])
        assert text == "I look that up." + ANSWER
        assert run.result["messages"][-1] == result["messages"][-1]

    loader = with_runner(work)
    assert len(loader.model.prompts) == 6


def test_a_session_has_every_step_once(registry: ToolRegistry) -> None:
    """A runner that goes on with a session stores question, calls, results and answer, and the next run reads them."""
    store = MemorySessionStore()
    session = store.create(owner="ada")

    async def work(runner: LLMRunner) -> None:
        for _ in range(2):
            result = await runner.run(tools=registry, prompt=QUESTION, constrain=False)
            assert result["reply"] == ANSWER

    with_runner(work, session=Conversation(store, session))
    roles = [entry.message["role"] for entry in store.get(session.id, owner="ada").messages]
    assert roles == ["user", "assistant", "tool", "assistant", "tool", "tool", "assistant"] * 2


def test_leaving_a_run_frees_the_model(registry: ToolRegistry) -> None:
    """After a break in the middle of a generation nothing computes any more."""

    async def work(runner: LLMRunner) -> None:
        async with runner.run_stream(tools=registry, prompt=QUESTION, constrain=False) as run:
            async for chunk in run:
                if chunk.text:
                    break

    with_runner(work)


def test_the_demo_model_calls_a_tool_and_answers() -> None:
    """Real inference: a demanded call is well formed and executed with checked values, and what it found is told to the
    model, which answers. Which values the model chooses is for its evaluation to say."""
    seen: list[tuple[str, int]] = []

    def order(product: Literal["apples", "pears"], amount: int) -> str:
        """Order fruit.

        Args:
            product: What to order.
            amount: How many.
        """
        seen.append((product, amount))
        return f"ordered {amount} {product}"

    async def main() -> None:
        config = LLMConfig(model_name="demo", n_ctx=4096, temperature=0.0, max_new_tokens=128)
        async with ModelPool() as pool, pool.acquire_context(config) as handle:
            runner, registry = create_runner(handle), ToolRegistry([order])
            options: Any = {"prompt": "Please order 12 apples.", "tool_choice": "required"}
            result = await runner.run(tools=registry, max_steps=1, parallel_tool_calls=False, **options)
            (outcome,) = result["steps"][0].outcomes
            assert outcome.result.success
            assert seen == [(outcome.call["args"]["product"], outcome.call["args"]["amount"])]
            assert result["messages"][2]["content"] == outcome.result.data
            assert (len(result["steps"]), result["limit_reached"]) == (2, True)
            run = ToolRun(runner, registry, max_steps=1, parallel_tool_calls=False, **options)
            assert "".join([chunk.text async for chunk in run]) == result["reply"]

    asyncio.run(main())


@pytest.mark.parametrize("backend", ["llama_cpp", "transformers"])
def test_the_demo_model_answers_a_question_that_needs_two_calls(backend: str) -> None:
    """Both calls come in one step, with the values that were asked for, and the answer is what both results say. Where
    two results differ, the present weights tell one of them alone."""
    if backend == "transformers":
        pytest.importorskip("transformers")
    asked: list[str] = []

    def get_customer_status(customer_id: str) -> str:
        """Get the status of a customer.

        Args:
            customer_id: Customer ID
        """
        asked.append(customer_id)
        return "pending"

    async def main() -> None:
        config = LLMConfig(model_name="demo", backend=backend, n_ctx=4096, temperature=0.0, max_new_tokens=96)  # type: ignore[arg-type]
        async with ModelPool() as pool, pool.acquire_context(config) as handle:
            result = await create_runner(handle).run(
                prompt="Tell me the status of customer K4471; tell me the status of customer WX61",
                tools=ToolRegistry([get_customer_status]),
            )
        assert sorted(asked) == ["K4471", "WX61"]
        assert [len(step.outcomes) for step in result["steps"]] == [2, 0]
        assert "pending" in result["reply"]
        assert not result["limit_reached"]

    asyncio.run(main())

"""What every runner promises, as tests to inherit.

    class TestMyRunner(RunnerContract):
        config = LLMConfig(model_name="demo")

The model needs a chat template and has to write at least a dozen tokens on an ordinary prompt.
"""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Iterator
from typing import Any, cast

import pytest

from ..base.llm_runner import LLMRunner
from ..base.messages import StreamChunk
from ..base.text_model import TextModel
from ..exceptions import (
    ContextWindowError,
    GenerationCancelledError,
    GenerationTimeoutError,
    HandleReleasedError,
    RequestError,
)
from ..factory import create_runner
from ..llm_config import LLMConfig
from ..pool.model_pool import ModelPool
from .leased import Leased

PROMPTS = ("What is Python?", "Hello", "Who are you?", "Explain recursion", "Tell me about Zürich, 日本 and 👩‍🚀.")


async def collect(runner: LLMRunner, **options: Any) -> tuple[str, list[StreamChunk]]:
    chunks = [chunk async for chunk in runner.generate_stream(**options)]
    return "".join(chunk.text for chunk in chunks), chunks


class RunnerContract:
    """Inherit and set `config`."""

    config: LLMConfig
    rounds_of_leaving = 20  # of fifty streams each

    @pytest.fixture(scope="class")
    @classmethod
    def leased(cls) -> Iterator[Leased]:
        leased = Leased(cls.config)
        yield leased
        leased.close()

    def test_a_result_has_reply_usage_latency_and_reason(self, leased: Leased) -> None:
        """The four keys that are always there, and no others without cause."""

        async def work(runner: LLMRunner) -> None:
            result = await runner.generate(prompt="What is Python?", max_new_tokens=8)
            assert set(result) == {"reply", "latency_seconds", "usage", "finish_reason"}
            usage = result["usage"]
            assert 1 <= usage["completion_tokens"] <= 8
            assert usage["prompt_tokens"] > 3
            assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
            assert 0 <= usage["cached_tokens"] < usage["prompt_tokens"]
            assert result["latency_seconds"] > 0
            assert isinstance(result["reply"], str)

        leased.run(work)

    def test_a_stream_joined_is_the_reply(self, leased: Leased) -> None:
        """Same text, same counts; only the last chunk is finished, and it carries the totals."""

        async def work(runner: LLMRunner) -> None:
            for prompt in PROMPTS:
                result = await runner.generate(prompt=prompt, temperature=0.0, max_new_tokens=48)
                text, chunks = await collect(runner, prompt=prompt, temperature=0.0, max_new_tokens=48)
                assert text == result["reply"]
                assert [chunk.finished for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
                last = chunks[-1]
                assert last.text == ""
                assert last.finish_reason == result["finish_reason"]
                assert last.usage is not None
                assert last.usage["completion_tokens"] == result["usage"]["completion_tokens"]
                assert last.latency_seconds is not None

        leased.run(work)

    def test_text_comes_while_it_is_written(self, leased: Leased) -> None:
        """The first chunk arrives before the last token is computed."""

        async def work(runner: LLMRunner) -> None:
            stream = runner.generate_stream(prompt="Explain recursion", temperature=0.0, max_new_tokens=64)
            chunks = [chunk async for chunk in stream]
            assert len(chunks) >= 5

        leased.run(work)

    def test_messages_and_instructions_mean_what_they_say(self, leased: Leased) -> None:
        """A prompt is a user message, instructions are a system message, and prompt and messages exclude each other."""

        async def work(runner: LLMRunner) -> None:
            plain = await runner.generate(prompt="Hello", temperature=0.0, max_new_tokens=16)
            same = await runner.generate(
                messages=[{"role": "user", "content": "Hello"}], temperature=0.0, max_new_tokens=16
            )
            assert same["reply"] == plain["reply"]
            assert same["usage"]["prompt_tokens"] == plain["usage"]["prompt_tokens"]
            system = await runner.generate(
                messages=[{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}],
                temperature=0.0,
                max_new_tokens=16,
            )
            instructed = await runner.generate(
                prompt="Hello", instructions="Be brief.", temperature=0.0, max_new_tokens=16
            )
            assert instructed["usage"]["prompt_tokens"] == system["usage"]["prompt_tokens"]
            assert instructed["reply"] == system["reply"]
            for wrong in ({}, {"prompt": "a", "messages": [{"role": "user", "content": "b"}]}):
                with pytest.raises(RequestError, match="exactly one"):
                    await runner.generate(**wrong)  # type: ignore[arg-type]

        leased.run(work)

    def test_seeds_repeat(self, leased: Leased) -> None:
        """One seed gives one text, again and again, after other requests too; other seeds give others.

        Beside other requests a device may round differently, so that is left to tests of the engine.
        """

        async def work(runner: LLMRunner) -> None:
            async def seeded(seed: int, temperature: float) -> str:
                result = await runner.generate(prompt="Hello", seed=seed, temperature=temperature, max_new_tokens=24)
                return result["reply"]

            await seeded(1, 0.7)
            assert len({await seeded(42, 0.7) for _ in range(10)}) == 1
            assert len({await seeded(seed, 2.0) for seed in range(30)}) > 1

        leased.run(work)

    def test_each_caller_keeps_its_own_sampling(self, leased: Leased) -> None:
        """Two leases with different temperatures share the weights, and neither gets the other's."""

        async def work(runner: LLMRunner) -> None:
            async with leased.pool.acquire_context(leased.config.replace(temperature=2.0, top_p=1.0)) as other:
                hot = create_runner(other)
                cold = {(await runner.generate(prompt="Hello", max_new_tokens=16))["reply"] for _ in range(3)}
                warm: set[str] = set()
                for _ in range(100):  # a small model may be sure of its greeting: 100 equal ones are no chance
                    warm.add((await hot.generate(prompt="Hello", max_new_tokens=16))["reply"])
                    if len(warm) > 1:
                        break
            assert len(cold) == 1
            assert len(warm) > 1
            assert leased.pool.statistics()["loads"] == 1

        leased.run(work, temperature=0.0)

    def test_stop_texts_end_a_reply_and_do_not_appear(self, leased: Leased) -> None:
        """From the call or from the configuration, across token borders, in reply and stream alike."""

        async def work(runner: LLMRunner) -> None:
            options: dict[str, Any] = {"prompt": "Explain recursion", "temperature": 0.0, "max_new_tokens": 40}
            whole = (await runner.generate(**options))["reply"]
            for start in range(4, min(len(whole) - 4, 24), 5):
                stop = whole[start : start + 4]
                result = await runner.generate(stop=[stop, "never to be seen"], **options)
                assert result["reply"] == whole[: whole.index(stop)]
                assert result["finish_reason"] == "stop"
                text, _ = await collect(runner, stop=stop, **options)
                assert text == result["reply"]
            with pytest.raises(RequestError, match="stop"):
                await runner.generate(prompt="Hello", stop=[""])

        leased.run(work)

    def test_the_length_of_a_reply_is_bounded(self, leased: Leased) -> None:
        """max_new_tokens counts tokens, says "length", and must be a whole number from 1."""

        async def work(runner: LLMRunner) -> None:
            for count in (1, 2, 7):
                result = await runner.generate(prompt="Explain recursion", max_new_tokens=count, temperature=0.0)
                assert result["usage"]["completion_tokens"] == count
                assert result["finish_reason"] == "length"
            for wrong in (0, -5, 2.5, "many", True):
                with pytest.raises(RequestError, match="max_new_tokens"):
                    await runner.generate(prompt="Hello", max_new_tokens=wrong)  # type: ignore[arg-type]

        leased.run(work)

    def test_a_prompt_beyond_the_window_is_refused_with_both_numbers(self, leased: Leased) -> None:
        """One token too many is refused before anything is computed; the largest prompt that fits is not."""

        async def work(runner: LLMRunner) -> None:
            window = runner.context_window
            with pytest.raises(ContextWindowError) as caught:
                await runner.generate(prompt="word " * (2 * window))
            assert caught.value.context_window == window
            assert caught.value.prompt_tokens > window
            assert str(window) in str(caught.value)
            result = await runner.generate(prompt="Hello", max_new_tokens=4)
            assert result["usage"]["completion_tokens"] >= 1

        leased.run(work)

    @pytest.mark.parametrize(
        "wrong",
        [
            {"temperature": float("nan")},
            {"temperature": -1},
            {"top_p": 5},
            {"top_k": -3},
            {"min_p": 2},
            {"seed": -1},
            {"repeat_penalty": 0},
            {"timeout": 0},
            {"timeout": float("inf")},
            {"logit_bias": {10**9: 1.0}},
            {"prompt": 5},
            {"prompt": None, "messages": []},
            {"prompt": None, "messages": ["Hello"]},
            {"prompt": None, "messages": [{"role": "robot", "content": "x"}]},
            {"prompt": None, "messages": [{"role": "user", "content": [{"type": "image"}]}]},
        ],
    )
    def test_bad_arguments_are_refused_by_name(self, leased: Leased, wrong: dict[str, Any]) -> None:
        """A RequestError before anything is computed, and the next request works."""

        async def work(runner: LLMRunner) -> None:
            with pytest.raises(RequestError):
                await runner.generate(**{"prompt": "Hello", **wrong})
            await runner.generate(prompt="Hello", max_new_tokens=2)

        leased.run(work)

    def test_unknown_options_are_refused(self, leased: Leased) -> None:
        """A misspelt keyword is an error, not a wish."""

        async def work(runner: LLMRunner) -> None:
            with pytest.raises(TypeError, match="temprature"):
                await runner.generate(prompt="Hello", temprature=0.0)  # type: ignore[call-arg]

        leased.run(work)

    def test_32_at_once_say_what_each_says_alone(self, leased: Leased) -> None:
        """Greedy replies do not depend on what else is being computed."""
        topics = ("Python", "recursion", "a model pool", "the weather", "tokens", "privacy", "a list", "yourself")
        prompts = [
            f"{verb} {topic}?" for topic in topics for verb in ("What is", "Explain", "Why use", "Tell me about")
        ]

        async def work(runner: LLMRunner) -> None:
            async def greedy(prompt: str) -> str:
                return (await runner.generate(prompt=prompt, temperature=0.0, max_new_tokens=40))["reply"]

            alone = [await greedy(prompt) for prompt in prompts]
            assert await asyncio.gather(*map(greedy, prompts)) == alone

        leased.run(work)

    def test_a_shared_beginning_is_computed_once(self, leased: Leased) -> None:
        """The second request with the same instructions takes them from memory and says how much."""

        async def work(runner: LLMRunner) -> None:
            instructions = "You answer questions about the history of the lighthouse at the northern cape. " * 6
            await runner.generate(prompt="First?", instructions=instructions, max_new_tokens=2)
            second = await runner.generate(prompt="Second?", instructions=instructions, max_new_tokens=2)
            usage = second["usage"]
            assert usage["cached_tokens"] >= 0.8 * usage["prompt_tokens"]

        leased.run(work)

    def test_leaving_a_stream_stops_it(self, leased: Leased) -> None:
        """By break, by close, by cancelling the task, or by dropping the stream unread."""

        async def work(runner: LLMRunner) -> None:
            options: dict[str, Any] = {"prompt": "Explain recursion", "temperature": 1.5, "max_new_tokens": 3000}
            async for _ in runner.generate_stream(**options):
                break
            stream = runner.generate_stream(**options)
            await stream.__anext__()
            await stream.aclose()
            assert [chunk async for chunk in stream] == []
            task = asyncio.create_task(runner.generate(**options))
            await asyncio.sleep(0.02)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            runner.generate_stream(**options)

        leased.run(work)

    def test_streams_left_anywhere_leave_nothing_behind(self, leased: Leased) -> None:
        """No sequence, no lease, no thread; the next greedy reply is what it was before."""

        async def work(runner: LLMRunner) -> None:
            random_numbers = random.Random(7)
            reference = await runner.generate(prompt="Hello", temperature=0.0, max_new_tokens=24)

            async def leave(steps: int, how: int) -> None:
                stream = runner.generate_stream(
                    prompt=random_numbers.choice(PROMPTS), max_new_tokens=random_numbers.randrange(1, 30)
                )
                if how == 0:
                    task = asyncio.ensure_future(stream.__anext__())
                    for _ in range(steps):
                        await asyncio.sleep(0)
                    task.cancel()
                    await asyncio.wait([task])
                    return
                async for _ in stream:
                    steps -= 1
                    if steps < 0:
                        break

            await asyncio.gather(*(leave(0, 1) for _ in range(40)))
            threads = threading.active_count()
            for _ in range(self.rounds_of_leaving):
                await asyncio.gather(
                    *(leave(random_numbers.randrange(6), random_numbers.randrange(3)) for _ in range(50))
                )
            assert threading.active_count() <= threads
            again = await runner.generate(prompt="Hello", temperature=0.0, max_new_tokens=24)
            assert again["reply"] == reference["reply"]

        leased.run(work)

    def test_closing_a_stream_that_is_being_prepared_stops_it(self, leased: Leased) -> None:
        """The waiting reader learns of it, nothing runs on, and two tasks cannot read one stream."""

        async def work(runner: LLMRunner) -> None:
            stream = runner.generate_stream(prompt="Hello", max_new_tokens=400)
            first = asyncio.ensure_future(stream.__anext__())
            await asyncio.sleep(0)
            with pytest.raises(RequestError, match="another task"):
                await stream.__anext__()
            await stream.aclose()
            with pytest.raises(GenerationCancelledError):
                await first
            assert [chunk async for chunk in stream] == []

        leased.run(work)

    def test_a_time_limit_ends_a_generation(self, leased: Leased) -> None:
        """GenerationTimeoutError after the seconds asked for, and the model is free again."""

        async def work(runner: LLMRunner) -> None:
            begun = time.monotonic()
            with pytest.raises(GenerationTimeoutError, match=r"timeout=0\.05"):
                await runner.generate(
                    messages=[{"role": "user", "content": "word " * 300}],
                    max_new_tokens=100_000,
                    temperature=2.0,
                    top_p=1.0,
                    logit_bias=dict.fromkeys(self._end_tokens(runner), -100.0),
                    timeout=0.05,
                )
            assert time.monotonic() - begun < 5

        leased.run(work)

    def test_giving_the_lease_back_stops_what_runs_under_it(self, leased: Leased) -> None:
        """The reader gets GenerationCancelledError; using the runner afterwards HandleReleasedError."""

        async def work(runner: LLMRunner) -> None:
            async with leased.pool.acquire_context(leased.config) as handle:
                short = create_runner(handle)
                stream = short.generate_stream(prompt="Explain recursion", temperature=1.5, max_new_tokens=3000)
                await stream.__anext__()
            with pytest.raises(GenerationCancelledError):
                async for _ in stream:
                    pass
            with pytest.raises(HandleReleasedError):
                await short.generate(prompt="Hello")
            assert (await runner.generate(prompt="Hello", max_new_tokens=2))["usage"]["completion_tokens"] >= 1

        leased.run(work)

    def test_the_event_loop_is_never_held_up(self, leased: Leased) -> None:
        """While a model is loaded, generates, and is unloaded, a ticker is never late by 100 ms more than a thread's.

        The machine and the interpreter may hold up both; only what we do on the event loop holds up one of them.
        """

        async def work() -> float:
            late = 0.0
            done = asyncio.Event()

            async def tick() -> None:
                nonlocal late
                loop = asyncio.get_running_loop()
                while not done.is_set():
                    begun = loop.time()
                    await asyncio.sleep(0.01)
                    late = max(late, loop.time() - begun - 0.01)

            with _ThreadTicker() as control:
                ticker = asyncio.create_task(tick())
                async with ModelPool() as pool:
                    async with pool.acquire_context(leased.config) as handle:
                        runner = create_runner(handle)
                        prompts = ["word " * 200, *PROMPTS]
                        await asyncio.gather(*(runner.generate(prompt=prompt, max_new_tokens=40) for prompt in prompts))
                    await pool.unload_all()
                done.set()
                await ticker
            return late - control.late

        assert min(asyncio.run(work()) for _ in range(3)) < 0.1  # a busy machine may steal one of them

    def _end_tokens(self, runner: LLMRunner) -> frozenset[int]:
        return cast(TextModel, runner._handle.model).tokenizer.end_tokens


class _ThreadTicker:
    """How late a thread that only waits is woken at most."""

    def __init__(self) -> None:
        self.late = 0.0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._tick)

    def __enter__(self) -> _ThreadTicker:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _tick(self) -> None:
        while not self._done.is_set():
            begun = time.monotonic()
            self._done.wait(0.01)
            self.late = max(self.late, time.monotonic() - begun - 0.01)

"""Figures of reliability on a real model: what is left behind, who gets which text, and what a limit does."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import psutil
import pytest

import llm
from llm import (
    ContextWindowError,
    EngineBusyError,
    EngineClosedError,
    GenerationCancelledError,
    LLMConfig,
    LLMRunner,
    ModelPool,
    PoolClosedError,
    create_runner,
)
from llm.base.text_model import TextModel

DEMO = LLMConfig(model_name="demo", n_ctx=8192, temperature=0.0)
TOPICS = ("Python", "recursion", "a pool", "the weather", "tokens", "privacy", "a list", "yourself", "a file", "rain")
VERBS = ("What is", "Explain", "Why use", "Tell me about", "Who made")
PROMPTS = [f"{verb} {topic}?" for topic in TOPICS for verb in VERBS]

pytest.importorskip("llama_cpp")


@asynccontextmanager
async def leased(config: LLMConfig = DEMO) -> AsyncIterator[LLMRunner]:
    async with ModelPool() as pool, pool.acquire_context(config) as handle:
        yield create_runner(handle)


def endless(runner: LLMRunner) -> dict[str, Any]:
    """Options of a generation that does not end by itself."""
    ends = cast(TextModel, runner._handle.model).tokenizer.end_tokens
    return {"prompt": "Explain recursion", "max_new_tokens": 7000, "logit_bias": dict.fromkeys(ends, -100.0)}


def threads_of_ours() -> int:
    """Threads but for the event loop's own workers, of which there may be more or fewer; those that end have ended."""
    for thread in threading.enumerate():
        if thread.name.startswith(("load ", "close ")):
            thread.join(30)
    return sum(not thread.name.startswith("asyncio") for thread in threading.enumerate())


async def reply(runner: LLMRunner, prompt: str, **options: Any) -> str:
    return (await runner.generate(prompt=prompt, **{"max_new_tokens": 24, **options}))["reply"]


async def streamed(runner: LLMRunner, prompt: str, **options: Any) -> str:
    stream = runner.generate_stream(prompt=prompt, **{"max_new_tokens": 24, **options})
    return "".join([chunk.text async for chunk in stream])


def test_fifty_prompts_stream_what_they_say() -> None:
    """The joined stream is the reply, for each of 50 prompts."""

    async def main() -> None:
        async with leased() as runner:
            assert len(set(PROMPTS)) == 50
            for prompt in PROMPTS:
                assert await streamed(runner, prompt) == await reply(runner, prompt)

    asyncio.run(main())


def test_a_stream_that_pauses_goes_on_with_its_own_text() -> None:
    """A is left unread in the middle, B and others run meanwhile, A is read on: both say what they say alone."""

    async def main() -> None:
        async with leased() as runner:
            alone = [await reply(runner, prompt, max_new_tokens=40) for prompt in PROMPTS[:6]]
            paused = runner.generate_stream(prompt=PROMPTS[0], max_new_tokens=40)
            first = [(await paused.__anext__()).text, (await paused.__anext__()).text]
            others = [await reply(runner, prompt, max_new_tokens=40) for prompt in PROMPTS[1:6]]
            rest = [chunk.text async for chunk in paused]
            assert ["".join(first + rest), *others] == alone

    asyncio.run(main())


def test_a_seed_repeats_whatever_else_has_changed() -> None:
    """20 times, after other requests, with another batch size, with fewer sequences, and after loading it anew."""
    hot = {"temperature": 0.9, "seed": 42, "max_new_tokens": 20}

    async def main() -> None:
        said = set()
        for config in (DEMO, DEMO.replace(n_batch=64), DEMO.replace(max_concurrency=2)):
            async with leased(config) as runner:
                for number in range(20 if config is DEMO else 2):
                    said.add(await reply(runner, "Tell me about Python", **hot))
                    await reply(runner, PROMPTS[number], temperature=1.0)
        assert len(said) == 1

    asyncio.run(main())


def test_the_window_is_a_limit_to_the_token() -> None:
    """A prompt of the window less one token is answered; of the window, one more, and ten times it is refused."""

    async def main() -> None:
        async with leased(DEMO.replace(n_ctx=512)) as runner:
            window = runner.context_window

            async def length(prompt: str) -> int:
                return (await runner.generate(prompt=prompt, max_new_tokens=1))["usage"]["prompt_tokens"]

            per_word = await length("a a") - await length("a")
            beginnings = [(text, await length(text)) for text in ("a", "b.", "a!", "?", "ab?", "x, y")]
            text, tokens = next(pair for pair in beginnings if (window - 1 - pair[1]) % per_word == 0)
            words = (window - 1 - tokens) // per_word
            fits = await runner.generate(prompt=text + " a" * words, max_new_tokens=8)
            assert fits["usage"]["prompt_tokens"] == window - 1
            assert fits["finish_reason"] == "length"
            for more in (1, 2, 10 * window):
                with pytest.raises(ContextWindowError) as caught:
                    await runner.generate(prompt=text + " a" * (words + more), max_new_tokens=8)
                assert caught.value.prompt_tokens == window - 1 + more * per_word
            assert await reply(runner, "Hello")

    asyncio.run(main())


def test_exactly_those_over_the_limit_are_refused() -> None:
    """64 clients, 4 at once, 16 may wait: 44 get EngineBusyError while the others wait; then others are served."""

    async def main() -> None:
        async with leased(DEMO.replace(max_concurrency=4, max_queue=16)) as runner:
            streams = [runner.generate_stream(**endless(runner)) for _ in range(64)]

            async def client(number: int) -> None:
                async for _ in streams[number]:
                    pass

            tasks = [asyncio.create_task(client(number)) for number in range(64)]
            done: set[asyncio.Task[None]] = set()
            while len(done) < 44:
                more, _ = await asyncio.wait(set(tasks) - done, return_when=asyncio.FIRST_COMPLETED)
                done |= more
            assert len(done) == 44
            assert {type(task.exception()) for task in done} == {EngineBusyError}
            for task in set(tasks) - done:
                task.cancel()
            await asyncio.wait(tasks)
            for stream in streams:
                await stream.aclose()
            while True:  # the engine sees that they have left before its next token
                try:
                    assert await reply(runner, "Hello")
                    return
                except EngineBusyError:
                    await asyncio.sleep(0.001)

    asyncio.run(main())


def test_closing_under_twenty_streams_ends_them_all() -> None:
    """Grace passes, each reader gets an error with a name, nothing runs on, and closing again is harmless."""

    async def main() -> None:
        pool = ModelPool()
        handle = await pool.acquire(DEMO)
        runner = create_runner(handle)
        streams = [runner.generate_stream(**endless(runner)) for _ in range(20)]
        await asyncio.gather(*(stream.__anext__() for stream in streams))

        async def read(number: int) -> None:
            async for _ in streams[number]:
                pass

        readers = [asyncio.create_task(read(number)) for number in range(20)]
        begun = time.monotonic()
        await pool.close(grace=0.2)
        await pool.close()
        assert time.monotonic() - begun < 0.2 + 20  # the promise is grace + 2 s; a busy machine must not fail this
        errors = await asyncio.gather(*readers, return_exceptions=True)
        assert {type(error) for error in errors} <= {EngineClosedError, GenerationCancelledError, PoolClosedError}
        handle.close()
        handle.close()

    others = set(threading.enumerate())
    asyncio.run(main())
    assert not [one for one in set(threading.enumerate()) - others if one.name.startswith("engine")]


def many_clients(tasks: int, requests: int) -> None:
    """Each task asks for prompts of its own choice; every answer is what that prompt gets alone."""
    choice = random.Random(3)

    async def main() -> None:
        async with leased() as runner:
            expected = {prompt: await reply(runner, prompt, max_new_tokens=8) for prompt in PROMPTS}

            async def client(prompts: list[str]) -> None:
                for prompt in prompts:
                    assert await reply(runner, prompt, max_new_tokens=8) == expected[prompt]

            await asyncio.gather(*(client(choice.choices(PROMPTS, k=requests)) for _ in range(tasks)))
            cast(TextModel, runner._handle.model).engine.check_integrity()

    asyncio.run(main())


def test_sixty_four_tasks_get_their_own_answers() -> None:
    """4 requests each, on one model, in one batch: every answer equals that of a serial run."""
    many_clients(64, 4)


@pytest.mark.soak
def test_sixty_four_tasks_a_hundred_times() -> None:
    """The same, 100 requests each."""
    many_clients(64, 100)


def leave_streams(count: int) -> dict[str, int]:
    """Leave streams at random points and say what that has cost this process."""
    choice = random.Random(5)
    process = psutil.Process()

    async def leave(runner: LLMRunner, steps: int) -> None:
        stream = runner.generate_stream(prompt=choice.choice(PROMPTS), max_new_tokens=12)
        if steps == 0:
            task = asyncio.ensure_future(stream.__anext__())
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
            return
        async for _ in stream:
            steps -= 1
            if steps == 0:
                break

    async def main() -> dict[str, int]:
        async with leased() as runner:
            before = await reply(runner, "Hello")
            for _ in range(4):  # until worker threads and caches are there
                await asyncio.gather(*(leave(runner, number % 8) for number in range(40)))
            gc.collect()
            start = (process.memory_info().rss, process.num_fds(), threads_of_ours())
            for _ in range(count // 50):
                await asyncio.gather(*(leave(runner, choice.randrange(14)) for _ in range(50)))
            assert await reply(runner, "Hello") == before
            gc.collect()
            end = (process.memory_info().rss, process.num_fds(), threads_of_ours())
            tasks = len(asyncio.all_tasks()) - 1
            cast(TextModel, runner._handle.model).engine.check_integrity()
        return {
            "bytes": end[0] - start[0],
            "descriptors": end[1] - start[1],
            "threads": end[2] - start[2],
            "tasks": tasks,
        }

    return asyncio.run(main())


def test_streams_that_are_left_cost_nothing() -> None:
    """200 of them: no descriptor, no thread, no task, less than 20 MB, and the next reply is the same."""
    left = leave_streams(200)
    assert left.pop("bytes") < 20e6
    assert all(count <= 0 for count in left.values()), left


@pytest.mark.soak
def test_a_thousand_streams_that_are_left_cost_nothing() -> None:
    """1,000 of them, on a real model."""
    left = leave_streams(1000)
    print(json.dumps(left))
    assert left.pop("bytes") < 20e6
    assert all(count <= 0 for count in left.values()), left


def load_and_unload(warm_up: int, count: int) -> dict[str, float]:
    """Load, use and unload the model `count` times and say what one time costs."""
    process = psutil.Process()

    async def main() -> dict[str, float]:
        async with ModelPool() as pool:

            async def cycle() -> None:
                async with pool.acquire_context(DEMO) as handle:
                    await reply(create_runner(handle), "Hello", max_new_tokens=2)
                assert await pool.unload(DEMO)

            for _ in range(warm_up):
                await cycle()
            gc.collect()
            start = (process.memory_info().rss, process.num_fds(), threads_of_ours())
            for _ in range(count):
                await cycle()
            gc.collect()
            end = (process.memory_info().rss, process.num_fds(), threads_of_ours())
        return {
            "bytes_per_cycle": (end[0] - start[0]) / count,
            "descriptors": end[1] - start[1],
            "threads": end[2] - start[2],
        }

    return asyncio.run(main())


def test_loading_and_unloading_keeps_no_descriptor_and_no_thread() -> None:
    """20 times a real model."""
    left = load_and_unload(5, 20)
    assert left["descriptors"] <= 0
    assert left["threads"] <= 0


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_thousand_loads_of_a_real_model_keep_no_memory() -> None:
    """After 50 cycles the process grows by no more than 5 KB a cycle."""
    left = load_and_unload(50, 1000)
    print(json.dumps(left))
    assert left["bytes_per_cycle"] <= 5120
    assert left["descriptors"] <= 0
    assert left["threads"] <= 0


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_AS bounds a process on Linux")
def test_a_model_that_does_not_fit_the_memory_is_an_error_with_a_name() -> None:
    """Under a limit on the process loading raises ModelLoadError; with the limit lifted the same pool serves."""
    code = """
import asyncio, json, resource
from llm import LLMConfig, ModelLoadError, ModelPool, PoolCapacityError, create_runner
import llm.llama_cpp_model

async def main():
    small, large = (LLMConfig(model_name="demo", n_ctx=n) for n in (512, 1 << 20))
    async with ModelPool() as pool:
        async with pool.acquire_context(small) as handle:
            await create_runner(handle).generate(prompt="Hello", max_new_tokens=4)
        used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + (96 << 20), resource.RLIM_INFINITY))
        try:
            async with pool.acquire_context(large):
                print(json.dumps("loaded"))
        except (ModelLoadError, PoolCapacityError) as error:
            print(json.dumps(type(error).__name__))
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        async with pool.acquire_context(small) as handle:
            result = await create_runner(handle).generate(prompt="Hello", max_new_tokens=4)
            print(json.dumps(result["usage"]["completion_tokens"]))

asyncio.run(main())
"""
    environ = {**os.environ, "PYTHONPATH": str(Path(llm.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert [json.loads(line) for line in done.stdout.splitlines()] == ["ModelLoadError", 4]

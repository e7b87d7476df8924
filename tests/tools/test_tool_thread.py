"""Threads of their own for synchronous calls: what is given up goes on alone, and keeps nothing from ending."""

from __future__ import annotations

import asyncio
import contextvars
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable

import pytest

from llm.exceptions import LLMError
from llm.tools.tool_thread import ToolThreads

Until = Callable[[Callable[[], bool]], Awaitable[None]]


def test_a_call_runs_elsewhere_and_its_result_comes_back() -> None:
    """With the caller's context, and with whatever it raises."""
    who = contextvars.ContextVar("who", default="nobody")

    async def work() -> None:
        threads = ToolThreads()
        who.set("caller")
        assert await threads.call(lambda: (who.get(), threading.current_thread().daemon)) == ("caller", True)
        for error in (ValueError("x"), StopIteration(1), GeneratorExit()):
            with pytest.raises((type(error), RuntimeError)):
                await threads.call(lambda error=error: (_ for _ in ()).throw(error))  # type: ignore[misc]
        with pytest.raises(LLMError, match="end the program"):
            await threads.call(sys.exit)
        assert threads.running == 0

    asyncio.run(work())


def test_a_call_that_is_given_up_goes_on_and_is_forgotten(until: Until) -> None:
    """Cancelling ends the waiting at once; the function returns when it returns, also when the loop is long closed."""
    threads, release, returned = ToolThreads(), threading.Event(), threading.Event()

    def hang() -> None:
        release.wait(30)
        returned.set()

    async def work() -> None:
        task = asyncio.create_task(threads.call(hang))
        await until(lambda: threads.running == 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(work())
    assert threads.running == 1
    release.set()
    assert returned.wait(30)


def test_hanging_calls_cannot_fill_the_process() -> None:
    """One more than allowed is refused with the number and the reason; places come back when calls return."""
    threads, release = ToolThreads(most=3), threading.Event()

    async def work() -> None:
        hanging = [asyncio.create_task(threads.call(lambda: release.wait(30))) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(LLMError, match="3 tool calls have not returned"):
            await threads.call(int)
        release.set()
        await asyncio.gather(*hanging)
        assert await threads.call(int) == 0

    asyncio.run(work())


def test_work_is_run_to_its_end_from_synchronous_code() -> None:
    """On another thread's loop, so that it does not matter whether this thread has one."""

    async def work() -> str:
        await asyncio.sleep(0)
        return threading.current_thread().name

    async def inside() -> str:
        return ToolThreads().call_to_end(work)

    assert ToolThreads().call_to_end(work) == asyncio.run(inside()) == "practorflow-tool"
    with pytest.raises(ZeroDivisionError):
        ToolThreads().call_to_end(lambda: asyncio.to_thread(lambda: 1 // 0))


def test_a_hanging_call_does_not_keep_the_program_from_ending() -> None:
    """A process whose tool hangs for ever exits as soon as its main thread is done."""
    code = (
        "import asyncio, threading\n"
        "from llm.tools import ToolRegistry\n"
        "def hang() -> None: threading.Event().wait()\n"
        "print(ToolRegistry([hang]).execute('hang', {}, timeout=0.05).metadata['error_type'])\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert (result.stdout.strip(), result.stderr) == ("timeout", "")

"""A thread of its own for each synchronous tool call, and a loop of its own for each asynchronous one.

Nothing can stop a thread from outside. So a call that is given up goes on by itself until its function returns, its
result is dropped, and because the thread is a daemon it does not keep the program from ending. A shared thread pool
would do worse: a few calls that hang would take its threads from everybody else, for good.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Generic, TypeVar

from ..exceptions import LLMError

T = TypeVar("T")

MOST_THREADS = 512


class ToolThreads:
    """Starts threads and knows how many of them have not returned.

    Args:
        most: calls that may be under way at once, those given up included.
    """

    def __init__(self, most: int = MOST_THREADS) -> None:
        self._most = most
        self._running = 0
        self._lock = threading.Lock()

    @property
    def running(self) -> int:
        return self._running

    async def call(self, function: Callable[[], T]) -> T:
        """Wait for what `function` returns or raises, on a thread of its own with a copy of the current context.

        Cancelling this stops the waiting, not the function.

        Raises:
            LLMError: too many calls have not returned yet.
        """
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[_Outcome[T]] = loop.create_future()

        def settle(result: _Outcome[T]) -> None:
            if not outcome.done():
                outcome.set_result(result)

        def deliver(result: _Outcome[T]) -> None:
            # Where the loop has ended, nobody waits for the result any more.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(settle, result)

        self._start(function, deliver)
        return (await outcome).get()

    def call_to_end(self, work: Callable[[], Awaitable[T]]) -> T:
        """Run asynchronous work to its end and block until then, whether or not this thread has a running loop.

        Raises:
            LLMError: too many calls have not returned yet.
        """
        results: list[_Outcome[T]] = []
        done = threading.Event()

        def deliver(result: _Outcome[T]) -> None:
            results.append(result)
            done.set()

        async def run() -> T:
            # Delivered before the loop is closed, which waits for every task that will not end.
            result = await work()
            deliver(_Outcome(value=result))
            return result

        self._start(lambda: asyncio.run(run()), deliver)
        done.wait()
        return results[0].get()

    def _start(self, function: Callable[[], T], deliver: Callable[[_Outcome[T]], None]) -> None:
        with self._lock:
            if self._running >= self._most:
                raise LLMError(
                    f"{self._running} tool calls have not returned yet, and no more are started. Look for tools that "
                    "hang: they need a time limit of their own."
                )
            self._running += 1
        context = contextvars.copy_context()

        def work() -> None:
            try:
                result = _Outcome[T](value=context.run(function))
            except BaseException as exc:
                result = _Outcome(error=exc)
            self._returned()
            deliver(result)

        try:
            threading.Thread(target=work, name="practorflow-tool", daemon=True).start()
        except RuntimeError as exc:
            self._returned()
            raise LLMError("The system starts no more threads, so the tool was not called.") from exc

    def _returned(self) -> None:
        with self._lock:
            self._running -= 1


class _Outcome(Generic[T]):
    def __init__(self, value: Any = None, error: BaseException | None = None) -> None:
        self._value: T = value
        self._error = error

    def get(self) -> T:
        if isinstance(self._error, SystemExit):
            raise LLMError("The tool tried to end the program.") from self._error
        if self._error is not None:
            raise self._error
        return self._value


tool_threads = ToolThreads()
"""The threads of this process."""

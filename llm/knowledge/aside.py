"""Work beside one's own, on another thread if one is free."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

_THREADS = 4


class Aside:
    """Threads for what a caller needs a little later. Nobody waits in a queue: what has not begun, the caller does."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="search aside")

    def begin(self, call: Callable[[], T]) -> Callable[[], T]:
        """Have something done; what is returned gives the result, or raises what the call raised."""
        going_on = self._threads.submit(call)
        return lambda: call() if going_on.cancel() else going_on.result()

    def close(self) -> None:
        """End the threads, once what they are doing is done."""
        self._threads.shutdown()

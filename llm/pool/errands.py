"""Blocking work in threads, and its outcome on the event loop that is in charge by then.

Loading a model takes minutes. Meanwhile the caller may be cancelled, its event loop may end (Ctrl-C, the end of
asyncio.run) and another one begin. So an outcome belongs to no task and no loop: it goes into a queue, and the loop
in charge is asked to empty it; where no loop lives, the next call into the pool does.

Invariant: every errand has exactly one outcome, and outcomes are handled one after another, never in a worker thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TypeVar

Result = TypeVar("Result")


class Errands:
    """Runs errands and brings back what came of them.

    Attributes:
        loop: the event loop in charge; whoever sets it calls `collect` next.
    """

    def __init__(self) -> None:
        self.loop: asyncio.AbstractEventLoop | None = None
        self._outcomes: deque[Callable[[], None]] = deque()

    @property
    def here(self) -> bool:
        """Whether the caller may touch the pool's state: no other thread is running the loop in charge."""
        if self.loop is None or not self.loop.is_running():
            return True
        try:
            return asyncio.get_running_loop() is self.loop
        except RuntimeError:
            return False

    def run(
        self,
        name: str,
        work: Callable[[], Result],
        *,
        done: Callable[[Result], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        """Do `work` in a thread of its own, then hand its result to `done` or its error to `failed`.

        The thread cannot be stopped, and a process does not wait for it to end: a download of gigabytes must not
        keep Ctrl-C from working.
        """

        def errand() -> None:
            try:
                result = work()
            except BaseException as error:
                self.post(partial(failed, error))
            else:
                self.post(partial(done, result))

        try:
            threading.Thread(target=errand, name=name, daemon=True).start()
        except RuntimeError as error:  # the system gives no more threads
            self.post(partial(failed, error))

    def post(self, outcome: Callable[[], None]) -> None:
        """Have `outcome` called by the loop in charge. Safe from any thread and from a finalizer."""
        self._outcomes.append(outcome)
        # Read after the append: a loop that takes charge in between collects by itself.
        loop = self.loop
        if loop is not None:
            with contextlib.suppress(RuntimeError):  # that loop is closed; the next call into the pool collects
                loop.call_soon_threadsafe(self.collect)

    def collect(self) -> None:
        """Handle the outcomes that have arrived."""
        while self._outcomes:
            self._outcomes.popleft()()

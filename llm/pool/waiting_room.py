"""Those who wait for the pool on an event loop: callers for the answer to their lease, watchers for any change.

Invariant: every caller is told once, and nothing is told to a loop that is closed.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable
from typing import TypeVar

from ..exceptions import LLMError
from .ledger import Lease

Answer = TypeVar("Answer")


class Caller:
    """One who waits for the answer to a lease: None is yes. Its time runs only while it waits for its turn."""

    def __init__(self, loop: asyncio.AbstractEventLoop, limit: float) -> None:
        self.limit = limit
        self.answer: asyncio.Future[LLMError | None] = loop.create_future()
        self._timer: asyncio.TimerHandle | None = None

    def start_timer(self, expire: Callable[[Lease], None], lease: Lease) -> None:
        self.stop_timer()
        if self.limit != math.inf:
            self._timer = self.answer.get_loop().call_later(self.limit, expire, lease)

    def stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()


class WaitingRoom:
    """Callers by their lease, and watchers.

    Args:
        expire: called with a lease that still waits for its turn when its time has run out.
    """

    def __init__(self, expire: Callable[[Lease, float], None]) -> None:
        self.callers: dict[Lease, Caller] = {}
        self._watchers: list[asyncio.Future[None]] = []
        self._expire = expire

    def enter(self, lease: Lease, *, limit: float) -> asyncio.Future[LLMError | None]:
        """Wait for the answer to `lease`; the future tells it. Whoever stops listening calls `leave`."""
        caller = self.callers[lease] = Caller(asyncio.get_running_loop(), limit)
        return caller.answer

    def leave(self, lease: Lease) -> None:
        caller = self.callers.pop(lease, None)
        if caller is not None:
            caller.stop_timer()

    def clear(self) -> Iterable[Lease]:
        """Forget everybody, because their loop is closed; returns the leases that they waited for."""
        leases = tuple(self.callers)
        self.callers.clear()
        self._watchers.clear()
        return leases

    def start_timer(self, lease: Lease) -> None:
        """The time of this lease begins to run."""
        if lease in self.callers:
            self.callers[lease].start_timer(self._on_timer, lease)

    def answer(self, lease: Lease, error: LLMError | None) -> bool:
        """Tell a caller; False when it does not listen any more."""
        caller = self.callers.pop(lease, None)
        if caller is None:
            return False
        caller.stop_timer()
        return _resolve(caller.answer, error)

    def announce_change(self) -> None:
        watchers, self._watchers = self._watchers, []
        for watcher in watchers:
            _resolve(watcher, None)

    async def until(self, condition: Callable[[], bool], *, limit: float = math.inf) -> None:
        """Wait until `condition` holds, looking again after every change, or until `limit` seconds have passed."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + limit
        while not condition() and (left := deadline - loop.time()) > 0:
            change = loop.create_future()
            self._watchers.append(change)
            await asyncio.wait({change}, timeout=None if left == math.inf else left)

    def _on_timer(self, lease: Lease) -> None:
        if lease.state == "waiting":
            self._expire(lease, self.callers[lease].limit)


def _resolve(future: asyncio.Future[Answer], answer: Answer) -> bool:
    """Set a future's result, unless nobody can hear it: it was cancelled, or its loop is closed."""
    if future.done() or future.get_loop().is_closed():
        return False
    future.set_result(answer)
    return True

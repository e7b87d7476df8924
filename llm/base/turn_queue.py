"""Whose turn it is in each session: one at a time, in the order they came.

A turn begins with reading the history and ends when what was said is stored; two that overlap would answer the same
history, and one of the answers would have to go. Those who wait may live in different event loops and be cancelled at
any moment; the turn may be ended from any thread, by a finalizer too.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque


class TurnQueue:
    """A fair lock for each key.

    Invariant: a key has a queue as long as somebody has or awaits its turn, and the first of the queue has the turn.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._queues: dict[str, deque[asyncio.Future[None]]] = {}

    async def enter(self, key: str, *, timeout: float | None = None) -> None:
        """Wait for the turn; whoever gets it calls `leave` once. A caller that is cancelled gives up its place.

        Raises:
            TimeoutError: the turn did not come within `timeout` seconds.
        """
        loop = asyncio.get_running_loop()
        ticket = loop.create_future()
        with self._lock:
            queue = self._queues.setdefault(key, deque())
            queue.append(ticket)
            if queue[0] is ticket:
                return
        timer = None if timeout is None else loop.call_later(timeout, _give_up, ticket)
        try:
            await ticket
        except BaseException:
            with self._lock:
                # The turn may have come in the same moment as the cancellation: then it is passed on.
                if queue and queue[0] is ticket:
                    self._pass_on(key)
                elif ticket in queue:
                    queue.remove(ticket)
            raise
        finally:
            if timer is not None:
                timer.cancel()

    def leave(self, key: str) -> None:
        """End the turn. Safe from any thread."""
        with self._lock:
            self._pass_on(key)

    def waiting(self, key: str) -> int:
        """How many have or await the turn."""
        with self._lock:
            return len(self._queues.get(key, ()))

    def _pass_on(self, key: str) -> None:
        queue = self._queues[key]
        queue.popleft()
        while queue:
            try:
                queue[0].get_loop().call_soon_threadsafe(_grant, queue[0])
            except RuntimeError:  # that loop is closed, so nobody waits there any more
                queue.popleft()
            else:
                return
        del self._queues[key]


def _grant(ticket: asyncio.Future[None]) -> None:
    if not ticket.done():  # else its `enter`, cancelled or too late, passes the turn on
        ticket.set_result(None)


def _give_up(ticket: asyncio.Future[None]) -> None:
    if not ticket.done():
        ticket.set_exception(TimeoutError())

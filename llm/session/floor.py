"""The floor in a session: for an answer that takes several turns, with tools in between, and nobody else speaks."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from ..base.session import Session

if TYPE_CHECKING:
    from .conversation import Conversation


class Floor:
    """Enters its session once, for any number of turns one after another.

    Invariant: a session that was entered is left once, when the floor has been given up or dropped and the turn that
    was under way has ended.

    Args:
        conversation: whose session it is.
    """

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation
        self._lock = threading.Lock()
        self._held = False
        self._holders = 0  # the turns under way, and the floor itself while it is held

    async def enter(self, *, timeout: float | None = None) -> Session:
        """Begin a turn; only the first waits for others. Raises as `Conversation.enter` does."""
        if self._held:
            session = await self._conversation.read()
        else:
            session = await self._conversation.enter(timeout=timeout)
            self._held, self._holders = True, 1
        with self._lock:
            self._holders += 1
        return session

    def leave(self, *, interrupted: bool) -> None:
        """End a turn; after one that was interrupted there is no other. Safe from any thread."""
        self._let_go(turns=1, held=interrupted)

    def give_up(self) -> None:
        """There will be no more turns. Safe from any thread; calling it again does nothing."""
        self._let_go(turns=0, held=True)

    def _let_go(self, *, turns: int, held: bool) -> None:
        with self._lock:
            before = self._holders
            self._holders -= turns + (held and self._held)
            self._held = self._held and not held
            last = before > 0 and self._holders == 0
        if last:
            self._conversation.leave(interrupted=False)

    def __del__(self) -> None:
        # A turn keeps its floor alive, so none is under way. A finalizer must not wait for a lock: a thread does.
        if self._held:
            with suppress(RuntimeError):  # no thread can be started: the process ends, and nobody waits any more
                threading.Thread(target=self._conversation.leave, kwargs={"interrupted": True}).start()

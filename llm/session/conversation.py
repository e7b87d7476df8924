"""A session as a runner goes on with it.

    conversation = Conversation(store, store.create(owner="ada"))
    runner = create_runner(handle, session=conversation)

Stores block; here is where they meet the event loop, in threads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from ..base.generation_stream import GenerationStream, OpenReply
from ..base.session import Session, SessionInfo, check_scope
from ..base.session_store import SessionStore
from ..exceptions import SessionBusyError
from .floor import Floor
from .session_stream import SessionStream
from .turn import Turn

DEFAULT_WAIT_TIMEOUT = 120.0


class Conversation:
    """One session, for any number of runners. Costs nothing to make.

    Invariant: in one process one turn at a time is under way in a session, whoever began it, so long as all use the
    same store object. Another process, or another store object on the same database, is noticed when a turn is
    stored: of two that answered the same history, the second gets SessionChangedError.

    Args:
        store: keeps the session.
        session: what `create` or `get` of the store returned.
        summarize: have the model summarize what does not fit its window any more, and send the summary instead.
        wait_timeout: seconds that a turn waits for the ones before; None waits for ever.
    """

    def __init__(
        self,
        store: SessionStore,
        session: SessionInfo,
        *,
        summarize: bool = False,
        wait_timeout: float | None = DEFAULT_WAIT_TIMEOUT,
    ) -> None:
        self._store = store
        self._owner = session.owner
        self._summarize = summarize
        self._wait_timeout = wait_timeout
        self._document_scope = session.document_scope
        self._unstored_scope: list[frozenset[str] | None] = []
        self.session_id = session.id

    @property
    def document_scope(self) -> frozenset[str] | None:
        """Ids of the documents it may see; None leaves that to the runner, an empty scope means no documents."""
        return self._document_scope

    def set_document_scope(self, document_scope: Iterable[str] | None) -> None:
        """Change the scope: here at once, in the store when the next turn begins."""
        self._document_scope = check_scope(document_scope)
        self._unstored_scope.append(self._document_scope)

    def stream(
        self,
        open_reply: Callable[[Turn], Awaitable[OpenReply]],
        *,
        timeout: float | None = None,
        keep_interrupted: bool = True,
        floor: Floor | None = None,
    ) -> GenerationStream:
        """A reply that is one turn of this session.

        Args:
            open_reply: begins the turn and sends the request.
            timeout: seconds that the whole reply may take, from now on.
            keep_interrupted: whether a turn that is left before its end is stored with what was said.
            floor: of this conversation, where the turn is one of several.
        """
        turn = Turn(floor or self, self._store, summarize=self._summarize, keep_interrupted=keep_interrupted)
        return SessionStream(turn, lambda: open_reply(turn), timeout=timeout)

    def floor(self) -> Floor:
        """For several turns one after another, between which nobody else has one."""
        return Floor(self)

    async def enter(self, *, timeout: float | None = None) -> Session:
        """Wait for the turns before, and read the session. Whoever enters calls `leave` once; Turn does that.

        Raises:
            SessionBusyError: the turn before did not end in time.
            SessionNotFoundError: the session was deleted.
            SessionStoreError: the store cannot be read.
        """
        turns = self._store.turns
        limits = [limit for limit in (timeout, self._wait_timeout) if limit is not None]
        try:
            await turns.enter(self.session_id, timeout=min(limits, default=None))
        except TimeoutError:
            raise SessionBusyError(
                f"Another turn of session {self.session_id!r} is still under way after {min(limits):g} seconds. "
                "Read its stream to the end, or close it with `await stream.aclose()`: leaving its loop does not end "
                "it while a variable still holds it."
            ) from None
        try:
            return await self.read()
        except BaseException:
            self.leave(interrupted=True)
            raise

    def leave(self, *, interrupted: bool) -> None:  # noqa: ARG002 - it matters to a Floor only
        """Let the next one have its turn. Safe from any thread."""
        self._store.turns.leave(self.session_id)

    async def read(self) -> Session:
        """The session as it is now. A scope that was set meanwhile is stored first."""
        return await asyncio.to_thread(self._read)

    def _read(self) -> Session:
        while self._unstored_scope:
            scope = self._unstored_scope[-1]
            self._store.set_document_scope(self.session_id, owner=self._owner, document_scope=scope)
            if self._unstored_scope[-1] is scope:
                self._unstored_scope.clear()
        session = self._store.get(self.session_id, owner=self._owner)
        if not self._unstored_scope:
            self._document_scope = session.document_scope
        return session

    def __repr__(self) -> str:
        return f"Conversation({self.session_id!r})"

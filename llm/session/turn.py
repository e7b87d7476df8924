"""One turn of a session: from reading the history until what was said is stored.

Invariants: a turn that has begun ends exactly once, whole or interrupted, and until then nobody else has one in the
same session; what is stored of it is stored at once. It may be left from anywhere (by a reader that breaks off, by a
lease that ends, by the garbage collector) and no event loop is held up: a thread writes.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from ..base.messages import Message, StreamChunk, ToolCall, Usage
from ..base.session import Session, SessionMessage, check_message, counted_text, estimated_tokens, session_message
from ..base.session_store import SessionStore
from ..exceptions import GenerationCancelledError
from ..logs import RUNNER, get_logger
from .history import Room, selections, unheard
from .summary import Generate, summarized, summary_room

if TYPE_CHECKING:
    from .conversation import Conversation
    from .floor import Floor

Rendered = TypeVar("Rendered")

log = get_logger(RUNNER)


class Turn:
    """A turn, made by a Conversation: begin, ask, fit, hear all of the reply, keep.

    Attributes:
        session: as it was when the turn began.
    """

    session: Session

    def __init__(
        self, floor: Conversation | Floor, store: SessionStore, *, summarize: bool, keep_interrupted: bool
    ) -> None:
        self._floor = floor
        self._store = store
        self._summarize = summarize
        self._keep_interrupted = keep_interrupted
        self._asked: tuple[SessionMessage, ...] = ()
        self._left_out = 0
        self._texts: list[str] = []
        self._reasoning: list[str] = []
        self._calls: list[ToolCall] = []
        self._usage: Usage | None = None
        self._stored: Future[None] = Future()
        self._when_ended: list[Callable[[], None]] = []
        # Whoever takes this ends the turn. Nobody can before it has begun, and nobody gives it back.
        self._ending = threading.Lock()
        self._ending.acquire()

    async def begin(self, *, timeout: float | None = None) -> None:
        """Wait for the turns before and read the session; see `Conversation.enter` for what it raises."""
        self.session = await self._floor.enter(timeout=timeout)
        self._ending.release()

    def when_ended(self, callback: Callable[[], None]) -> None:
        """Have `callback` called as soon as the turn is kept or left, by whoever does that."""
        self._when_ended.append(callback)

    def ask(self, messages: Sequence[Mapping[str, Any]], *, count: Callable[[str], int]) -> None:
        """Say what is to be answered. What the session has already is not asked again.

        Args:
            messages: as the caller wrote them.
            count: tokens of a text, for the model that answers.

        Raises:
            RequestError: a message cannot be stored.
        """
        given = [check_message(message, where=f"messages[{number}]") for number, message in enumerate(messages)]
        self._asked = tuple(
            session_message(message, tokens=count(counted_text(message)))
            for message in unheard(self.session.messages, given)
        )

    def fit(
        self, encode: Callable[[Sequence[Message]], tuple[Rendered, tuple[int, ...]]], *, window: int, reply: int
    ) -> tuple[Rendered, tuple[int, ...]]:
        """The prompt with as much of the history as fits; see `history.selections`. What can never fit is not cut.

        Args:
            encode: renders messages, and gives the tokens of that.
            window: tokens that prompt and reply may have together.
            reply: the most tokens of the reply.
        """
        # A reply may be cut short by the window's end rather than push out all that came before.
        room = Room(window, min(reply, window // 4), summary_room(window) if self._summarize else 0)
        for selection in selections(self.session.messages, self._asked, room=room, summary=self.session.summary):
            rendered, tokens = encode(selection.messages)
            self._left_out = selection.left_out
            if len(tokens) <= room.prompt:
                break
        return rendered, tokens

    @property
    def wants_summary(self) -> bool:
        """Whether something has left of which there is no summary yet, and there is to be one."""
        summary = self.session.summary
        return self._summarize and self._left_out > 0 and (summary is None or summary.covers != self._left_out)

    async def summarize(self, generate: Generate, *, window: int) -> None:
        """Make the summary that is wanted and keep it with the session; then `fit` anew."""
        session = self.session
        summary = await summarized(generate, session.messages, self._left_out, earlier=session.summary, window=window)
        await asyncio.to_thread(self._store.set_summary, session.id, owner=session.owner, summary=summary)
        self.session = replace(session, summary=summary)

    def hear(self, chunk: StreamChunk) -> None:
        """Note a piece of the reply that is being handed out."""
        self._texts.append(chunk.text)
        self._reasoning.append(chunk.reasoning)
        if chunk.tool_call is not None:
            self._calls.append(chunk.tool_call)
        if chunk.finished:
            self._usage = chunk.usage

    async def keep(self) -> None:
        """Store the whole turn and end it. When this returns, the turn will not be lost.

        Who is cancelled while waiting here has the turn stored nevertheless: it is whole.

        Raises:
            SessionChangedError: somebody else continued the session meanwhile.
            SessionNotFoundError: it was deleted meanwhile.
            SessionStoreError: the store refused.
            GenerationCancelledError: the turn was left before.
        """
        if not self._ending.acquire(blocking=False):
            raise GenerationCancelledError("The turn was left before its end, and is stored as interrupted.")
        self._in_thread(partial(self._end, store=True, interrupted=False))
        await self.wait_ended()

    def leave(self) -> None:
        """End the turn as it is: what was said until now is stored as interrupted, and nothing where nothing was said.

        From any thread, any number of times; waits for nothing. A turn that was kept, or has not begun, stays so.
        """
        if self._ending.acquire(blocking=False):
            said = any(self._texts) or any(self._reasoning) or bool(self._calls)
            self._in_thread(partial(self._end, store=said and self._keep_interrupted, interrupted=True))

    async def wait_ended(self) -> None:
        """Wait until the turn, which was kept or left, is stored.

        Raises:
            SessionError: it could not be stored.
        """
        await asyncio.shield(asyncio.wrap_future(self._stored))

    @property
    def has_begun(self) -> bool:
        return hasattr(self, "session")

    def _in_thread(self, end: Callable[[], None]) -> None:
        while self._when_ended:
            self._when_ended.pop()()
        try:
            threading.Thread(target=end, name=f"store a turn of session {self.session.id}").start()
        except RuntimeError:  # the interpreter is shutting down, so that no event loop is held up any more
            end()

    def _end(self, *, store: bool, interrupted: bool) -> None:
        session = self.session
        try:
            if store:
                messages = (*self._asked, self._reply(interrupted=interrupted))
                self._store.append_turn(session.id, messages, owner=session.owner, revision=session.revision)
        except BaseException as exc:
            if interrupted:  # it may well be that nobody waits for this
                log.warning("An interrupted turn of session %r is lost: %s.", session.id, type(exc).__name__)
            outcome = partial(self._stored.set_exception, exc)
        else:
            outcome = partial(self._stored.set_result, None)
        self._floor.leave(interrupted=interrupted)
        outcome()

    def _reply(self, *, interrupted: bool) -> SessionMessage:
        content, reasoning = "".join(self._texts), "".join(self._reasoning)
        message = check_message(
            {"role": "assistant", "content": content, "reasoning": reasoning or None, "tool_calls": self._calls}
        )
        text = counted_text(message)
        if self._usage is None:
            tokens = estimated_tokens(text)
        else:  # the reasoning's part is not sent again; the model may be gone by now, so nothing is tokenized
            tokens = self._usage["completion_tokens"] * len(text) // max(1, len(text) + len(reasoning))
        return session_message(message, tokens=tokens, interrupted=interrupted)

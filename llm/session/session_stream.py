"""A reply that becomes part of a session while it is read.

The last chunk is handed out when the turn is stored: who has seen it will find the turn again. A stream that is left
before, however, leaves its turn behind as interrupted, with what was handed out.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from ..base.generation_stream import GenerationStream, OpenReply
from ..base.messages import StreamChunk
from .turn import Turn


class SessionStream(GenerationStream):
    """A GenerationStream within a turn.

    Args:
        turn: has yet to begin; `open_reply` begins it.
        open_reply: sends the request.
        timeout: seconds that the whole reply may take, from now on.
    """

    def __init__(
        self, turn: Turn, open_reply: Callable[[], Awaitable[OpenReply]], *, timeout: float | None = None
    ) -> None:
        super().__init__(open_reply, timeout=timeout)
        self._turn = turn

    async def __anext__(self) -> StreamChunk:
        """The next chunk.

        Raises:
            LLMError: as for GenerationStream.
            SessionError: the session cannot be read, or what was said cannot be stored.
        """
        try:
            chunk = await super().__anext__()
            self._turn.hear(chunk)
            if chunk.finished:
                await self._turn.keep()
        except BaseException:
            self._turn.leave()
            raise
        return chunk

    async def aclose(self) -> None:
        """Stop at the next token, hand out nothing more, and wait until what was said is stored.

        Raises:
            SessionError: it could not be stored.
        """
        await super().aclose()
        if self._turn.has_begun:
            self._turn.leave()
            await self._turn.wait_ended()

    def __del__(self) -> None:
        super().__del__()
        self._turn.leave()

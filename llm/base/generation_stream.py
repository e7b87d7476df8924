"""A reply while it is being generated.

Leaving it in whatever way (end, break, close, cancellation, or simply dropping it) stops the generation at the next
token. There is no generator and no task here: reading takes outputs from a queue, and stopping sets a flag.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from ..engine.token_stream import TokenStream
from ..exceptions import GenerationTimeoutError
from .messages import StreamChunk
from .reply_decoder import ReplyDecoder


@dataclass(frozen=True, slots=True)
class OpenReply:
    """A request that an engine works on.

    Args:
        outputs: what the engine sends.
        decoder: makes chunks of it.
        ended: called once when nothing more will be read, with the error if there was one.
    """

    outputs: TokenStream
    decoder: ReplyDecoder
    ended: Callable[[BaseException | None], None]


class GenerationStream:
    """Asynchronous iterator over StreamChunk; also an asynchronous context manager.

    The request is sent when the first chunk is asked for.

    Args:
        open_reply: sends the request.
        timeout: seconds that the whole reply may take, from now on.
    """

    def __init__(self, open_reply: Callable[[], Awaitable[OpenReply]], *, timeout: float | None = None) -> None:
        self._open_reply = open_reply
        self._timeout = timeout
        self._reply: OpenReply | None = None
        self._chunks: deque[StreamChunk] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    def __aiter__(self) -> GenerationStream:
        return self

    async def __anext__(self) -> StreamChunk:
        """The next chunk.

        Raises:
            LLMError: the request was refused, or generation ended without an answer.
        """
        if not self._chunks:
            if self._closed:
                raise StopAsyncIteration
            try:
                await self._read()
            except BaseException as error:
                self._end(error)
                raise
        return self._chunks.popleft()

    def stop(self) -> None:
        """Stop generating at the next token. Does not wait; calling it again does nothing."""
        self._end(None)

    def _end(self, error: BaseException | None) -> None:
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        reply, self._reply = self._reply, None
        if reply is not None:
            reply.outputs.stop()
            reply.ended(error)

    async def aclose(self) -> None:
        """Stop generating at the next token and hand out nothing more."""
        self.stop()
        self._chunks.clear()

    async def __aenter__(self) -> GenerationStream:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def __del__(self) -> None:
        self.stop()

    async def _read(self) -> None:
        """Wait for the next chunks; send the request before the first."""
        reply = self._reply
        if reply is None:
            reply = self._reply = await self._open()
        while not self._chunks:
            for output in await reply.outputs.next_outputs():
                if output.error is not None:
                    raise output.error
                self._chunks.extend(reply.decoder.feed(output))
                if self._chunks and self._chunks[-1].finished:
                    self.stop()
                    break

    async def _open(self) -> OpenReply:
        loop = asyncio.get_running_loop()
        deadline = None if self._timeout is None else loop.time() + self._timeout
        reply = await self._open_reply()
        if deadline is not None:
            error = GenerationTimeoutError(
                f"The reply was not finished within timeout={self._timeout:g} seconds. "
                "Ask for fewer tokens or allow more time."
            )
            self._timer = loop.call_at(deadline, reply.outputs.stop, error)
        return reply

"""A reply while it is being generated.

Leaving it in whatever way (end, break, close, cancellation, or simply dropping it) stops the generation at the next
token. There is no generator and no task here: reading takes outputs from a queue, and stopping sets a flag.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from ..engine.token_stream import TokenStream
from ..exceptions import GenerationCancelledError, GenerationTimeoutError, RequestError
from .messages import StreamChunk, Usage
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
        self._begun = time.monotonic()
        self._reply: OpenReply | None = None
        self._decoder: ReplyDecoder | None = None
        self._chunks: deque[StreamChunk] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        self._reading = False
        self._failure: BaseException | None = None

    def __aiter__(self) -> GenerationStream:
        return self

    async def __anext__(self) -> StreamChunk:
        """The next chunk.

        Raises:
            RequestError: the request was refused, or another task is reading this stream.
            LLMError: generation ended without an answer.
        """
        if self._reading:
            raise RequestError("This stream is being read by another task; give each reader a stream of its own.")
        if not self._chunks:
            if self._closed:
                raise StopAsyncIteration
            self._reading = True
            try:
                await self._read()
            except BaseException as error:
                self._end(error)
                raise
            finally:
                self._reading = False
        return self._chunks.popleft()

    @property
    def usage(self) -> Usage | None:
        """Counts of the tokens that have come so far, read or not; None before the request has been sent."""
        return None if self._decoder is None else self._decoder.usage

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
        """Wait for the next chunks; send the request before the first. Text that came before an error is read first."""
        reply = self._reply
        if reply is None:
            reply = self._reply = await self._open()
        while not self._chunks:
            if self._failure is not None:
                raise self._failure
            for output in await reply.outputs.next_outputs():
                if output.error is not None:
                    self._failure = output.error
                    break
                self._chunks.extend(reply.decoder.feed(output))
                if self._chunks and self._chunks[-1].finished:
                    self.stop()
                    break

    async def _open(self) -> OpenReply:
        reply = await self._open_reply()
        self._decoder = reply.decoder
        if self._closed:  # while the request was being prepared
            reply.outputs.stop()
            reply.ended(None)
            raise GenerationCancelledError("The stream was closed before its first chunk.")
        if self._timeout is not None:
            left = self._begun + self._timeout - time.monotonic()
            error = GenerationTimeoutError(
                f"The reply was not finished within timeout={self._timeout:g} seconds. "
                "Ask for fewer tokens or allow more time."
            )
            self._timer = asyncio.get_running_loop().call_later(left, reply.outputs.stop, error)
        return reply

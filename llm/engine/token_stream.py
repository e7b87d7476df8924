"""The way from an engine's thread to one caller's event loop."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable

from ..exceptions import GenerationCancelledError
from .request import EngineOutput


class TokenStream:
    """Outputs of one request, read by one task on the loop it was made for.

    `stop` may be called from any thread, any number of times; the engine sees it before its next step.
    """

    __slots__ = ("_arrived", "_ended", "_on_stop", "_outputs", "loop", "stop_reason")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.stop_reason: BaseException | None = None
        self._outputs: deque[EngineOutput] = deque()
        self._ended = False
        self._arrived: asyncio.Future[None] | None = None
        self._on_stop: Callable[[], None] | None = None

    def stop(self, reason: BaseException | None = None) -> None:
        """Ask the engine to end this request. `reason` is what a reader who still waits gets to see."""
        if self.stop_reason is None:
            self.stop_reason = reason or GenerationCancelledError("The request was stopped before it had finished.")
            if self._on_stop is not None:
                self._on_stop()

    def on_stop(self, callback: Callable[[], None]) -> None:
        """Have the engine told when `stop` is called."""
        self._on_stop = callback

    async def next_outputs(self) -> list[EngineOutput]:
        """Wait until there is something and return all of it; the last output of a request says so.

        Raises:
            StopAsyncIteration: the last output was returned before, so nothing more will come.
        """
        if self._ended:
            raise StopAsyncIteration
        while not self._outputs:
            assert self._arrived is None, "two tasks read one stream"
            self._arrived = self.loop.create_future()
            try:
                await self._arrived
            finally:
                self._arrived = None
        outputs = list(self._outputs)
        self._outputs.clear()
        self._ended = outputs[-1].last
        return outputs

    def hand_out(self, output: EngineOutput) -> None:
        """Add an output. Runs on the loop."""
        self._outputs.append(output)
        if self._arrived is not None and not self._arrived.done():
            self._arrived.set_result(None)


def deliver(outputs: Iterable[tuple[TokenStream, EngineOutput]]) -> None:
    """Send outputs to their streams, waking each event loop once. Streams whose loop is gone are stopped."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[TokenStream, EngineOutput]]] = {}
    for stream, output in outputs:
        by_loop.setdefault(stream.loop, []).append((stream, output))
    for loop, items in by_loop.items():
        try:
            loop.call_soon_threadsafe(_hand_out_all, items)
        except RuntimeError:  # the loop was closed, so nobody can be waiting
            for stream, _ in items:
                stream.stop()


def _hand_out_all(items: list[tuple[TokenStream, EngineOutput]]) -> None:
    for stream, output in items:
        stream.hand_out(output)

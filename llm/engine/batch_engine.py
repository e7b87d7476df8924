"""Many requests, one device: the thread that computes, and the way to it.

One thread owns the device; everybody else sends it messages and reads a stream. Between two steps of its loop
(`batch_loop.py`) the thread takes what arrived and what was stopped.

Invariant: every request that was submitted gets exactly one last output, whatever happens to the device or the engine.
"""

from __future__ import annotations

import asyncio
import atexit
import queue
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypedDict

from ..exceptions import ContextWindowError, EngineBusyError, EngineClosedError, EngineFailedError, RequestError
from .batch_loop import BatchLoop, own_copy
from .compute_budget import PROCESS_BUDGET, ComputeBudget
from .executor import Executor
from .generation import Generation
from .prompt_lookup import PromptLookup
from .request import ConstraintCompiler, EngineRequest
from .sampling import Sampler
from .token_stream import TokenStream

_open_engines: weakref.WeakSet[BatchEngine] = weakref.WeakSet()


@atexit.register
def _close_open_engines() -> None:
    """A thread inside native code while the interpreter is taken down would crash it."""
    for engine in list(_open_engines):
        engine.close()


_Question = tuple[Callable[[], None], "Future[None]"]


class EngineStatistics(TypedDict):
    """A snapshot; counts since the start are totals of tokens and steps."""

    running: int
    waiting: int
    cells: int
    cells_used: int
    retired_sequences: int
    steps: int
    prompt_tokens: int
    cached_tokens: int
    generated_tokens: int
    drafted_tokens: int
    accepted_draft_tokens: int
    preemptions: int


class BatchEngine:
    """Continuous batching over an executor.

    Args:
        open_executor: makes the executor; called on the engine's thread, which alone uses it. What it raises is
            raised by this constructor.
        max_concurrency: requests decoded together.
        max_queue: requests that may wait; one more is refused.
        compile_constraint: turns a request's grammar into a constraint; None when the model has no grammar support.
        lookup: speculate by prompt lookup where a request leaves it open.
        budget: whose turn it is to compute.
        name: of the thread.
    """

    def __init__(
        self,
        open_executor: Callable[[], Executor],
        *,
        max_concurrency: int = 32,
        max_queue: int = 1024,
        compile_constraint: ConstraintCompiler | None = None,
        lookup: bool = True,
        budget: ComputeBudget = PROCESS_BUDGET,
        name: str = "engine",
    ) -> None:
        self._max_concurrency = max_concurrency
        self._max_queue = max_queue
        self._compile_constraint = compile_constraint
        self._lookup = lookup
        self._budget = budget
        self._inbox: queue.SimpleQueue[Generation | _Question | None] = queue.SimpleQueue()
        self._open = 0
        self._mutex = threading.Lock()
        self._closed = False
        ready: Future[tuple[Executor, BatchLoop]] = Future()
        self._thread = threading.Thread(target=self._main, args=(open_executor, ready), name=name, daemon=True)
        self._thread.start()
        try:
            self._executor, self._loop = ready.result()
        except BaseException:
            self._thread.join()
            raise
        self.capabilities = self._executor.capabilities
        _open_engines.add(self)

    # Called from any thread

    def validate(self, request: EngineRequest) -> None:
        """Refuse what could never run. Compiles the grammar, so call it where waiting is allowed.

        Raises:
            RequestError: empty prompt, unknown token ids, no room for a reply, or a grammar that cannot be honoured.
            ContextWindowError: the prompt does not fit the context window.
        """
        capabilities = self.capabilities
        if not request.prompt:
            raise RequestError("The prompt is empty: there is nothing to continue.")
        if min(request.prompt) < 0 or max(request.prompt) >= capabilities.vocabulary:
            raise RequestError(f"The prompt has token ids outside 0 to {capabilities.vocabulary - 1}.")
        if request.max_tokens < 1:
            raise RequestError(f"max_tokens={request.max_tokens!r} is not allowed: a whole number from 1.")
        if len(request.prompt) >= capabilities.window:
            raise ContextWindowError(len(request.prompt), capabilities.window)
        if any(token >= capabilities.vocabulary for token, _ in request.sampling.logit_bias):
            raise RequestError(f"logit_bias has token ids above {capabilities.vocabulary - 1}.")
        if request.grammar is not None:
            if self._compile_constraint is None:
                raise RequestError("This model cannot follow a grammar: its vocabulary is not known to the library.")
            self._compile_constraint(request.grammar)

    def submit(self, request: EngineRequest) -> TokenStream:
        """Queue a validated request; call it on the event loop that will read the stream. Never waits.

        Raises:
            EngineBusyError: the queue is full.
            EngineClosedError: the engine was closed.
        """
        constraint = None
        if request.grammar is not None:
            assert self._compile_constraint is not None
            constraint = self._compile_constraint(request.grammar)
        wants_lookup = self._lookup if request.lookup is None else request.lookup
        stream = TokenStream(asyncio.get_running_loop())
        generation = Generation(
            request,
            stream,
            Sampler(request.sampling, request.prompt, constraint),
            min(len(request.prompt) + request.max_tokens, self.capabilities.window),
            constraint=constraint,
            lookup=PromptLookup([]) if wants_lookup and self.capabilities.can_truncate else None,
            tokens=list(request.prompt),
        )
        with self._mutex:
            if self._closed:
                raise EngineClosedError("The model was closed while the request was being prepared; acquire it again.")
            if self._open >= self._max_concurrency + self._max_queue:
                raise EngineBusyError(
                    f"{self._open} requests are running or waiting on this model, which is the limit "
                    "(max_concurrency + max_queue). Try again later."
                )
            self._open += 1
            stream.on_stop(lambda: self._stop(generation))
            self._inbox.put(generation)  # before the mutex is free: a closing engine ends what is in its inbox
        return stream

    def check_integrity(self) -> None:
        """Compare all accounts with each other and with the device, on the engine's thread between two steps.

        Raises:
            AssertionError: something does not add up.
            EngineClosedError: the engine was closed.
        """
        self._ask(self._loop.check_integrity)

    def forget(self) -> None:
        """Drop every retired prefix, for instance because it holds what must not stay in memory.

        Waits for the step under way. Requests that run keep their memory.

        Raises:
            EngineClosedError: the engine was closed.
        """
        self._ask(self._loop.memory.drop_retired)

    def statistics(self) -> EngineStatistics:
        """Where the engine stands. Safe from any thread; the numbers may be a step apart."""
        counts, memory, running = self._loop.counts, self._loop.memory, self._loop.running
        return {
            "running": running,
            "waiting": max(0, self._open - running),
            "cells": memory.cells,
            "cells_used": memory.used,
            "retired_sequences": memory.retired,
            "steps": counts["steps"],
            "prompt_tokens": counts["prompt_tokens"],
            "cached_tokens": counts["cached_tokens"],
            "generated_tokens": counts["generated_tokens"],
            "drafted_tokens": counts["drafted"],
            "accepted_draft_tokens": counts["accepted"],
            "preemptions": counts["preemptions"],
        }

    def close(self) -> None:
        """End every request with EngineClosedError, stop the thread and free the device. A second call does nothing."""
        with self._mutex:
            already, self._closed = self._closed, True
        if not already:
            self._inbox.put(None)
            self._executor.abort()
        self._thread.join()

    def _ask(self, question: Callable[[], None]) -> None:
        """Have something done on the engine's thread, and wait for it."""
        answer: Future[None] = Future()
        with self._mutex:
            if self._closed:
                raise EngineClosedError("The engine was closed.")
            self._inbox.put((question, answer))
        answer.result()

    def _stop(self, generation: Generation) -> None:
        if generation in self._loop.abortable:
            self._executor.abort()
        self._inbox.put(generation)

    # Called on the engine's thread only

    def _main(self, open_executor: Callable[[], Executor], ready: Future[tuple[Executor, BatchLoop]]) -> None:
        try:
            executor = open_executor()
        except BaseException as error:
            ready.set_exception(error)
            return
        loop = BatchLoop(
            executor,
            max_concurrency=self._max_concurrency,
            budget=self._budget,
            closing=lambda: self._closed,
            ended=self._forget_one,
        )
        ready.set_result((executor, loop))
        end: Exception = EngineClosedError("The model was closed while the request was running; acquire it again.")
        try:
            while self._take_messages(loop):
                loop.step()
        except BaseException as error:  # a panic in native code is no Exception, and nobody must wait for ever
            end = EngineFailedError(
                f"The engine stopped on an unexpected {type(error).__name__}; load the model again."
            )
            end.__cause__ = error
        with self._mutex:
            self._closed = True
        try:
            self._empty_inbox(loop, end)
            loop.end_all(end, keep_prefixes=False)
        finally:
            executor.close()

    def _forget_one(self) -> None:
        with self._mutex:
            self._open -= 1

    def _take_messages(self, loop: BatchLoop) -> bool:
        """Take what arrived; wait for something when there is nothing to do. False when it is time to end."""
        while True:
            if self._closed:
                return False
            try:
                message = self._inbox.get(block=loop.idle)
            except queue.Empty:
                return True
            if message is None:
                return False
            if isinstance(message, tuple):
                _answer(*message)
            else:
                loop.take(message)

    def _empty_inbox(self, loop: BatchLoop, error: Exception) -> None:
        """Take what nobody has looked at: requests, to be ended with the others, and questions."""
        while not self._inbox.empty():
            message = self._inbox.get()
            if isinstance(message, tuple):
                message[1].set_exception(own_copy(error))
            elif message is not None:
                loop.take(message)


def _answer(question: Callable[[], None], answer: Future[None]) -> None:
    try:
        question()
    except Exception as error:
        answer.set_exception(error)
    else:
        answer.set_result(None)

"""Many requests, one device: the loop that schedules, computes, samples and hands out.

One thread owns the device; everybody else sends it messages and reads a stream. Each step takes what arrived and
what was stopped, admits who fits, plans a batch, computes it, samples, and hands the tokens out. A prefix that two
requests share is computed once, whether the first is finished or still under way.

Invariant, checked by `check_integrity`: the memory's accounts hold, each running request knows what its sequence
holds, and every open request is either waiting or running.
"""

from __future__ import annotations

import asyncio
import atexit
import queue
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypedDict

from ..exceptions import ContextWindowError, EngineBusyError, EngineClosedError, EngineFailedError, RequestError
from .compute_budget import PROCESS_BUDGET, ComputeBudget
from .executor import Executor
from .generation import Generation
from .prefix_index import BLOCK
from .prompt_lookup import PromptLookup
from .request import ConstraintCompiler, EngineOutput, EngineRequest
from .sampling import Sampler
from .scheduler import PromptPace, Work, plan_step
from .sequence_memory import SequenceMemory
from .token_stream import TokenStream, deliver

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
        self._waiting: deque[Generation] = deque()
        self._running: list[Generation] = []
        self._outbox: list[tuple[TokenStream, EngineOutput]] = []
        self._open = 0
        self._mutex = threading.Lock()
        self._closed = False
        self._abortable: frozenset[Generation] = frozenset()
        self._counts = dict.fromkeys(
            ("steps", "prompt_tokens", "cached_tokens", "generated_tokens", "drafted", "accepted", "preemptions"), 0
        )
        ready: Future[Executor] = Future()
        self._thread = threading.Thread(target=self._main, args=(open_executor, ready), name=name, daemon=True)
        self._thread.start()
        try:
            self._executor = ready.result()
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
        self._ask(self._check_accounts)

    def forget(self) -> None:
        """Drop every retired prefix, for instance because it holds what must not stay in memory.

        Waits for the step under way. Requests that run keep their memory.

        Raises:
            EngineClosedError: the engine was closed.
        """
        self._ask(lambda: self._memory.drop_retired())

    def statistics(self) -> EngineStatistics:
        """Where the engine stands. Safe from any thread; the numbers may be a step apart."""
        counts = self._counts
        return {
            "running": len(self._running),
            "waiting": max(0, self._open - len(self._running)),
            "cells": self._memory.cells,
            "cells_used": self._memory.used,
            "retired_sequences": self._memory.retired,
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
        if generation in self._abortable:
            self._executor.abort()
        self._inbox.put(generation)

    # Called on the engine's thread only

    def _main(self, open_executor: Callable[[], Executor], ready: Future[Executor]) -> None:
        try:
            executor = open_executor()
        except BaseException as error:
            ready.set_exception(error)
            return
        self._memory = SequenceMemory(executor)
        self._pace = PromptPace(executor.capabilities.max_batch)
        ready.set_result(executor)
        self._executor = executor
        end: Exception = EngineClosedError("The model was closed while the request was running; acquire it again.")
        try:
            while self._take_messages():
                self._step()
        except BaseException as error:  # a panic in native code is no Exception, and nobody must wait for ever
            end = EngineFailedError(
                f"The engine stopped on an unexpected {type(error).__name__}; load the model again."
            )
            end.__cause__ = error
        with self._mutex:
            self._closed = True
        try:
            self._end_all(end, keep_prefixes=False)
        finally:
            executor.close()

    def _step(self) -> None:
        self._admit()
        works = self._plan()
        if works and not any(work.generation.stream.stop_reason for work in works):
            try:
                self._compute(works)
            except EngineFailedError as error:
                self._end_all(error)
                self._memory.forget_everything()
        self._deliver()

    def _deliver(self) -> None:
        outbox, self._outbox = self._outbox, []
        deliver(outbox)

    def _take_messages(self) -> bool:
        """Take what arrived; wait for something when there is nothing to do. False when it is time to end."""
        while True:
            if self._closed:
                return False
            try:
                message = self._inbox.get(block=not self._running and not self._waiting and not self._outbox)
            except queue.Empty:
                return True
            if message is None:
                return False
            if isinstance(message, tuple):
                self._answer(*message)
                continue
            if message.state == "sent":
                message.state = "waiting"
                self._waiting.append(message)
            reason = message.stream.stop_reason
            if reason is not None and message.state != "ended":
                self._end(message, error=reason)

    def _admit(self) -> None:
        """Give sequences to those who wait, in order, as long as there is room."""
        for generation in list(self._waiting):
            if len(self._running) >= self._max_concurrency:
                return
            if self._follows(generation):
                continue
            source, length = self._shared_prefix(generation)
            if generation.leader is not None:
                continue
            if not self._has_room(generation, length, source) or not self._memory.can_open:
                return
            self._start(generation, source, length)

    def _follows(self, generation: Generation) -> bool:
        """Whether it still waits for another request to compute the prefix that both share."""
        if generation.leader is None:
            return False
        leader, length = generation.leader
        if leader.sequence is not None and leader.computed < length:
            return True
        generation.leader = None
        return False

    def _shared_prefix(self, generation: Generation) -> tuple[int | None, int]:
        """The sequence to share with and how much of it is there; sets `leader` when it is worth waiting for more."""
        match = self._memory.longest_prefix(generation.tokens[:-1])
        if match is None:
            return None, 0
        source, length = match
        there = self._memory.computed(source)
        if length - there >= BLOCK:
            leader = next((other for other in self._running if other.sequence == source), None)
            if leader is not None:
                generation.leader = leader, length
        return source, min(length, there)

    def _has_room(self, generation: Generation, shared: int, source: int | None) -> bool:
        if not self._running:
            return True
        promised = sum(other.pending for other in self._running)
        return self._memory.has_room(len(generation.tokens), source=source, shared=shared, promised=promised)

    def _start(self, generation: Generation, source: int | None, shared: int) -> None:
        generation.sequence, shared = self._memory.open(generation.tokens, source=source, shared=shared)
        generation.computed = shared
        if not generation.started:
            generation.started = True
            generation.cached_tokens = shared
            self._counts["prompt_tokens"] += len(generation.request.prompt)
            self._counts["cached_tokens"] += shared
            if generation.lookup is not None:
                generation.lookup.extend(generation.tokens)
        self._waiting.remove(generation)
        self._running.append(generation)
        generation.state = "running"

    def _plan(self) -> list[Work]:
        """The next batch, after making room for it."""
        drafts = True
        while True:
            works = plan_step(
                self._running,
                max_rows=self.capabilities.max_batch,
                max_outputs=self.capabilities.max_outputs,
                prompt_rows=self._pace.rows,
                drafts=drafts,
            )
            if sum(work.rows for work in works) <= self._memory.free:
                return works
            if self._memory.drop_oldest():
                continue
            if drafts:
                drafts = False
            else:
                self._preempt(self._running[-1])

    def _compute(self, works: list[Work]) -> None:
        batch = self._executor.batch
        batch.clear()
        rows = []
        for work in works:
            generation = work.generation
            assert generation.sequence is not None
            tokens = generation.tokens[generation.computed : generation.computed + work.count]
            outputs = 1 + len(work.draft) if work.completes else 0
            first = batch.add(generation.sequence, generation.computed, [*tokens, *work.draft], outputs=outputs)
            rows.append(first + work.count - 1)
        self._executor.clear_abort()
        self._abortable = frozenset(work.generation for work in works if work.count > 1)
        try:
            if self._closed or any(work.generation.stream.stop_reason for work in works):
                return
            with self._budget.turn():
                begun = time.monotonic()
                status = self._executor.compute()
                seconds = time.monotonic() - begun
        finally:
            self._abortable = frozenset()
        if status == "aborted":
            for work in works:
                self._repair(work.generation)
            return
        if status == "full":
            if not self._memory.drop_oldest():
                self._preempt(self._running[-1])
            return
        self._counts["steps"] += 1
        self._pace.observe(sum(work.count for work in works if work.count > 1), seconds)
        for work, row in zip(works, rows, strict=True):
            self._advance(work, row)

    def _advance(self, work: Work, row: int) -> None:
        """Account for what was computed, and sample where a token is due."""
        generation, sequence = work.generation, work.generation.sequence
        assert sequence is not None
        completes = work.completes
        generation.computed += work.count
        self._memory.extend(sequence, work.count)
        if not completes:
            return
        executor = self._executor
        try:
            new, right = generation.take(work.draft, lambda index: executor.logits(row + index))
        except BaseException as error:  # a constraint that broke ends its own request, not the others
            if work.draft:
                self._memory.undo(sequence)
            self._end(generation, error=error)
            return
        generation.computed += right
        self._memory.extend(sequence, right)
        if right < len(work.draft):
            self._memory.undo(sequence)
        self._memory.learn(sequence, new)
        self._counts["generated_tokens"] += len(new)
        self._counts["drafted"] += len(work.draft)
        self._counts["accepted"] += right
        if generation.finish is not None:
            self._end(generation, new=new)
        else:
            self._outbox.append((generation.stream, EngineOutput(tuple(new), cached_tokens=generation.cached_tokens)))

    def _end(
        self,
        generation: Generation,
        *,
        new: list[int] | None = None,
        error: BaseException | None = None,
        keep_prefix: bool = True,
    ) -> None:
        """Hand out the last output of a request and keep its prefix for others."""
        (self._running if generation.state == "running" else self._waiting).remove(generation)
        generation.state = "ended"
        output = EngineOutput(tuple(new or ()), generation.finish, generation.cached_tokens, error)
        self._outbox.append((generation.stream, output))
        with self._mutex:
            self._open -= 1
        if keep_prefix:
            self._retire(generation)

    def _retire(self, generation: Generation) -> None:
        sequence, generation.sequence = generation.sequence, None
        if sequence is None:
            return
        self._memory.retire(sequence)
        generation.computed = 0

    def _preempt(self, generation: Generation) -> None:
        """Take the memory of a running request away; it goes on later from its tokens, which are kept."""
        self._running.remove(generation)
        self._retire(generation)
        self._waiting.appendleft(generation)
        generation.state = "waiting"
        self._counts["preemptions"] += 1

    def _repair(self, generation: Generation) -> None:
        """After an aborted step: back to what was computed before it."""
        assert generation.sequence is not None
        generation.computed = self._memory.repair(generation.sequence)

    def _end_all(self, error: Exception, *, keep_prefixes: bool = True) -> None:
        """End every open request, those that are still in the inbox too, each with an error of its own: a traceback
        that several callers share would show one what another was doing."""
        while not self._inbox.empty():
            message = self._inbox.get()
            if isinstance(message, tuple):
                message[1].set_exception(_copy_of(error))
            elif message is not None and message.state == "sent":
                message.state = "waiting"
                self._waiting.append(message)
        for generation in [*self._running, *self._waiting]:
            self._end(generation, error=_copy_of(error), keep_prefix=keep_prefixes)
        self._deliver()

    def _answer(self, question: Callable[[], None], answer: Future[None]) -> None:
        try:
            question()
        except Exception as error:
            answer.set_exception(error)
        else:
            answer.set_result(None)

    def _check_accounts(self) -> None:
        live = {}
        for generation in self._running:
            assert generation.sequence is not None
            live[generation.sequence] = generation.computed
        assert len(live) == len(self._running)
        for generation in self._waiting:
            assert generation.sequence is None
            assert generation.computed == 0
        self._memory.check_integrity(live)


def _copy_of(error: Exception) -> Exception:
    """The same error without its traceback."""
    copy = type(error)(*error.args)
    if error.__cause__ is not None:
        copy.__cause__ = error.__cause__.with_traceback(None)
    return copy

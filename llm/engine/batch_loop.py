"""What an engine's thread does: schedule, compute, sample, hand out.

Each step admits who fits, plans a batch, computes it, samples, and hands the tokens out. A prefix that two requests
share is computed once, whether the first is finished or still under way. Messages and threads are not known here:
whoever drives the loop tells it who came and who was stopped.

Invariant, checked by `check_integrity`: the memory's accounts hold, each running request knows what its sequence
holds, and every request that was taken is waiting, running or ended.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from ..exceptions import EngineFailedError
from .compute_budget import ComputeBudget
from .executor import Executor
from .generation import Generation
from .prefix_index import BLOCK
from .request import EngineOutput
from .scheduler import PromptPace, Work, plan_step
from .sequence_memory import SequenceMemory
from .token_stream import TokenStream, deliver


class BatchLoop:
    """Continuous batching over an executor. Not thread-safe: the engine's thread owns it and the executor.

    Args:
        executor: the device.
        max_concurrency: requests decoded together.
        budget: whose turn it is to compute.
        closing: whether nothing more should be computed; asked before each batch.
        ended: called once for each request that ends.
    """

    def __init__(
        self,
        executor: Executor,
        *,
        max_concurrency: int,
        budget: ComputeBudget,
        closing: Callable[[], bool],
        ended: Callable[[], None],
    ) -> None:
        self._executor = executor
        self._capabilities = executor.capabilities
        self._max_concurrency = max_concurrency
        self._budget = budget
        self._closing = closing
        self._ended = ended
        self._waiting: deque[Generation] = deque()
        self._running: list[Generation] = []
        self._outbox: list[tuple[TokenStream, EngineOutput]] = []
        self._pace = PromptPace(self._capabilities.max_batch)
        self.memory = SequenceMemory(executor)
        self.abortable: frozenset[Generation] = frozenset()
        self.counts = dict.fromkeys(
            ("steps", "prompt_tokens", "cached_tokens", "generated_tokens", "drafted", "accepted", "preemptions"), 0
        )

    @property
    def running(self) -> int:
        """How many requests have a sequence."""
        return len(self._running)

    @property
    def idle(self) -> bool:
        """Whether a step would do nothing."""
        return not self._running and not self._waiting and not self._outbox

    def take(self, generation: Generation) -> None:
        """A request that has just come, or whose stream was stopped."""
        if generation.state == "sent":
            generation.state = "waiting"
            self._waiting.append(generation)
        reason = generation.stream.stop_reason
        if reason is not None and generation.state != "ended":
            self._end(generation, error=reason)

    def step(self) -> None:
        """Everything once."""
        self._admit()
        works = self._plan()
        if works and not any(work.generation.stream.stop_reason for work in works):
            try:
                self._compute(works)
            except EngineFailedError as error:
                self.end_all(error)
                self.memory.forget_everything()
        self._deliver()

    def end_all(self, error: Exception, *, keep_prefixes: bool = True) -> None:
        """End every request, each with an error of its own: a traceback that several callers share would show one
        what another was doing."""
        for generation in [*self._running, *self._waiting]:
            self._end(generation, error=own_copy(error), keep_prefix=keep_prefixes)
        self._deliver()

    def check_integrity(self) -> None:
        """Compare all accounts with each other and with the device.

        Raises:
            AssertionError: something does not add up.
        """
        live = {}
        for generation in self._running:
            assert generation.sequence is not None
            live[generation.sequence] = generation.computed
        assert len(live) == len(self._running)
        for generation in self._waiting:
            assert generation.sequence is None
            assert generation.computed == 0
        self.memory.check_integrity(live)

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
            if not self._has_room(generation, length, source) or not self.memory.can_open:
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
        match = self.memory.longest_prefix(generation.tokens[:-1])
        if match is None:
            return None, 0
        source, length = match
        there = self.memory.computed(source)
        if length - there >= BLOCK:
            leader = next((other for other in self._running if other.sequence == source), None)
            if leader is not None:
                generation.leader = leader, length
        return source, min(length, there)

    def _has_room(self, generation: Generation, shared: int, source: int | None) -> bool:
        if not self._running:
            return True
        promised = sum(other.pending for other in self._running)
        return self.memory.has_room(len(generation.tokens), source=source, shared=shared, promised=promised)

    def _start(self, generation: Generation, source: int | None, shared: int) -> None:
        generation.sequence, shared = self.memory.open(generation.tokens, source=source, shared=shared)
        generation.computed = shared
        if not generation.started:
            generation.started = True
            generation.cached_tokens = shared
            self.counts["prompt_tokens"] += len(generation.request.prompt)
            self.counts["cached_tokens"] += shared
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
                max_rows=self._capabilities.max_batch,
                max_outputs=self._capabilities.max_outputs,
                prompt_rows=self._pace.rows,
                drafts=drafts,
            )
            if sum(work.rows for work in works) <= self.memory.free:
                return works
            if self.memory.drop_oldest():
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
        self.abortable = frozenset(work.generation for work in works if work.count > 1)
        try:
            if self._closing() or any(work.generation.stream.stop_reason for work in works):
                return
            with self._budget.turn():
                begun = time.monotonic()
                status = self._executor.compute()
                seconds = time.monotonic() - begun
        finally:
            self.abortable = frozenset()
        if status == "aborted":
            for work in works:
                self._repair(work.generation)
            return
        if status == "full":
            if not self.memory.drop_oldest():
                self._preempt(self._running[-1])
            return
        self.counts["steps"] += 1
        self._pace.observe(sum(work.count for work in works if work.count > 1), seconds)
        for work, row in zip(works, rows, strict=True):
            self._advance(work, row)

    def _advance(self, work: Work, row: int) -> None:
        """Account for what was computed, and sample where a token is due."""
        generation, sequence = work.generation, work.generation.sequence
        assert sequence is not None
        completes = work.completes
        generation.computed += work.count
        self.memory.extend(sequence, work.count)
        if not completes:
            return
        executor = self._executor
        try:
            new, right = generation.take(work.draft, lambda index: executor.logits(row + index))
        except BaseException as error:  # a constraint that broke ends its own request, not the others
            if work.draft:
                self.memory.undo(sequence)
            self._end(generation, error=error)
            return
        generation.computed += right
        self.memory.extend(sequence, right)
        if right < len(work.draft):
            self.memory.undo(sequence)
        self.memory.learn(sequence, new)
        self.counts["generated_tokens"] += len(new)
        self.counts["drafted"] += len(work.draft)
        self.counts["accepted"] += right
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
        self._ended()
        if keep_prefix:
            self._retire(generation)

    def _retire(self, generation: Generation) -> None:
        sequence, generation.sequence = generation.sequence, None
        if sequence is None:
            return
        self.memory.retire(sequence)
        generation.computed = 0

    def _preempt(self, generation: Generation) -> None:
        """Take the memory of a running request away; it goes on later from its tokens, which are kept."""
        self._running.remove(generation)
        self._retire(generation)
        self._waiting.appendleft(generation)
        generation.state = "waiting"
        self.counts["preemptions"] += 1

    def _repair(self, generation: Generation) -> None:
        """After an aborted step: back to what was computed before it."""
        assert generation.sequence is not None
        generation.computed = self.memory.repair(generation.sequence)

    def _deliver(self) -> None:
        outbox, self._outbox = self._outbox, []
        deliver(outbox)


def own_copy(error: Exception) -> Exception:
    """The same error without its traceback."""
    copy = type(error)(*error.args)
    if error.__cause__ is not None:
        copy.__cause__ = error.__cause__.with_traceback(None)
    return copy

"""The public pool: callers wait here on their event loop, the ledger decides, threads load and close.

Invariant: models loaded, loading and closing together never exceed `max_models`, and a model that somebody holds is
never evicted. A load belongs to the pool, so no caller who loses patience can cancel it for the others; a decision and
its record are one synchronous step, so no cancellation can fall between them.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from functools import partial
from types import TracebackType

from ..base.loaded_model import ModelLoader
from ..exceptions import ConfigError, PoolBusyError, PoolClosedError, PoolError, PoolTimeoutError
from ..llm_config import LLMConfig
from . import report
from .errands import Errands
from .ledger import Lease, Ledger, Slot
from .model_handle import ModelHandle
from .porter import Porter
from .waiting_room import WaitingRoom

_HOLDING: ContextVar[tuple[Lease, ...]] = ContextVar("leases_held_by_this_task", default=())


class ModelPool:
    """Loads models on demand, shares each among all who ask for it, and evicts those that nobody holds.

    Callers are served in turn. One who wants a model that is there already may overtake an older one that waits for
    room, but only until that one has waited `patience` seconds: then the others line up behind it, the models are given
    back one by one, and it gets its room. A task that holds a lease (or whose parent task did when it was started)
    always gets the same model again at once, otherwise an agent that calls another would wait for itself.

    One event loop uses a pool at a time; several asyncio.run calls may use it one after another, and a load that one of
    them began serves the next.

    Args:
        max_models: the most models in memory, those on their way in or out included.
        max_memory: the most bytes that models may take, estimated before the load, measured after; None for no limit.
        acquire_timeout: seconds to wait for a turn, unless `acquire` is told otherwise; None waits for ever. The time
            in which the wanted model itself is measured and loaded does not count, since a first download may be long.
        loader: brings models into memory; by default the one of `llm.factory`.
        patience: see above, in seconds.
        max_waiting: the most callers that may wait for a turn; one more is refused with PoolBusyError.
        clock: what `patience` is measured with.

    Raises:
        ConfigError: names the argument, its value and what is allowed.

    Example::

        async with ModelPool(max_models=2) as pool:
            async with pool.acquire_context(config) as handle:
                result = await create_runner(handle).generate(prompt="Hello")
    """

    def __init__(
        self,
        max_models: int = 1,
        max_memory: int | None = None,
        acquire_timeout: float | None = 60.0,
        *,
        loader: ModelLoader | None = None,
        patience: float = 10.0,
        max_waiting: int = 1024,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        _check_whole("max_models", max_models)
        if max_memory is not None:
            _check_whole("max_memory", max_memory)
        _check_seconds("acquire_timeout", math.inf if acquire_timeout is None else acquire_timeout)
        _check_seconds("patience", patience)
        _check_whole("max_waiting", max_waiting)
        self._acquire_timeout = math.inf if acquire_timeout is None else acquire_timeout
        self._max_waiting = max_waiting
        self._closed = False
        self._ledger = Ledger(max_models=max_models, max_memory=max_memory, patience=patience, clock=clock)
        self._errands = Errands()
        self._porter = Porter(self._ledger, self._errands, loader=loader, settle=self._settle)
        self._waiting = WaitingRoom(self._expire)

    # Leases -----------------------------------------------------------------------------------------------------

    async def acquire(self, config: LLMConfig, *, timeout: float | None = None) -> ModelHandle:
        """Wait for a turn and for the model, and return a lease on it. Prefer `acquire_context`.

        Cancelling this call takes the caller out of the queue; a load that has begun goes on and serves others.

        Args:
            config: what is wanted. Its sampling settings stay with the handle and do not split models.
            timeout: seconds to wait for a turn instead of `acquire_timeout`; ``math.inf`` waits for ever.

        Raises:
            PoolTimeoutError: no turn in time; the message says who holds what.
            PoolCapacityError: the model alone is larger than `max_memory`.
            PoolBusyError: too many wait already.
            PoolClosedError: the pool is closed.
            ModelError: the model cannot be had or cannot be loaded.
        """
        limit = self._acquire_timeout if timeout is None else timeout
        _check_seconds("timeout", limit)
        self._enter()
        if self._closed:
            raise PoolClosedError(f"{config.model_name!r} cannot be had: the pool is closed. Make a new ModelPool.")
        _ = self._porter.loader  # if there is none, say so before anybody waits
        lease = self._ledger.enter(config, holding=_held_by_this_task())
        answer = self._waiting.enter(lease, limit=limit)
        try:
            self._settle()
            if lease.queued and len(self._ledger.queue) > self._max_waiting:
                raise PoolBusyError(report.busy_message(lease, self._max_waiting))
            error = await answer
            if error is not None:
                raise error
        except BaseException:
            # Whatever was decided for this caller, even in this very instant, goes back.
            self._waiting.leave(lease)
            self._end(lease)
            raise
        _HOLDING.set((*_held_by_this_task(), lease))
        return ModelHandle(lease, give_back=self._give_back, forget=self._forget)

    async def release(self, handle: ModelHandle) -> None:
        """Stop what was opened under the lease and give it back. A second call does nothing."""
        handle.close()

    @asynccontextmanager
    async def acquire_context(
        self,
        config: LLMConfig,
        *,
        timeout: float | None = None,
    ) -> AsyncIterator[ModelHandle]:
        """Hold a model for the length of an `async with` block. Arguments and errors are those of `acquire`.

        Leaving the block, in whatever way, stops what was opened under the lease and gives it back.
        """
        handle = await self.acquire(config, timeout=timeout)
        try:
            yield handle
        finally:
            handle.close()  # never waits, so a second cancellation cannot prevent it

    # What is kept in memory ---------------------------------------------------------------------------------------

    async def preload(self, config: LLMConfig, *, timeout: float | None = None) -> None:
        """Load a model before it is needed. It may be evicted again when others need the room; see `pin`."""
        handle = await self.acquire(config, timeout=timeout)
        handle.close()

    async def pin(self, config: LLMConfig, *, timeout: float | None = None) -> None:
        """Load a model if need be, and keep it in memory until `unpin` or `close`."""
        handle = await self.acquire(config, timeout=timeout)
        self._ledger.slots[config.model_key].pinned = True
        handle.close()

    async def unpin(self, config: LLMConfig) -> bool:
        """Let a pinned model be evicted again. Returns whether it was pinned."""
        self._enter()
        slot = self._ledger.slots.get(config.model_key)
        if slot is None or not slot.pinned:
            return False
        slot.pinned = False
        self._settle()
        return True

    async def unload(self, config: LLMConfig, *, wait: bool = False) -> bool:
        """Close a model and return when its memory is free.

        Args:
            config: which model; sampling settings do not matter.
            wait: wait until it is loaded and given back; meanwhile nobody new gets it. Cancelling the call ends that.

        Returns:
            False when there was no such model in the pool.

        Raises:
            PoolError: it is pinned; or it is held or being loaded, and `wait` is off; or it is held by this very task.
        """
        self._enter()
        name = config.model_name
        slot = self._ledger.slots.get(config.model_key)
        if slot is None:
            return False
        if slot.pinned:
            raise PoolError(f"{name!r} is pinned and was not unloaded. Call unpin first.")
        if any(lease.slot is slot for lease in _held_by_this_task()):
            raise PoolError(f"{name!r} is held by this very task and was not unloaded. Give the lease back first.")
        if not wait and slot.state == "loading":
            raise PoolError(f"{name!r} is being loaded and was not unloaded. Use wait=True.")
        if not wait and slot.leases:
            raise PoolError(
                f"{name!r} has {report.count(len(slot.leases), 'lease')} and was not unloaded. Use wait=True."
            )
        await self._unload([slot])
        return True

    async def unload_all(self, *, wait: bool = False) -> int:
        """Close every model that nobody holds or has pinned, and return how many.

        Args:
            wait: wait for those that are held or being loaded, too.

        Raises:
            PoolError: with `wait`, this very task holds one of them; nothing was closed.
        """
        self._enter()
        slots = [slot for slot in self._ledger.slots.values() if slot.idle or (wait and not slot.pinned)]
        for lease in _held_by_this_task():
            if lease.slot in slots:
                name = lease.config.model_name
                raise PoolError(f"{name!r} is held by this very task, so nothing was unloaded. Give it back first.")
        await self._unload(slots)
        return len(slots)

    async def close(self, *, grace: float = 5.0) -> None:
        """Refuse new callers and those who wait, then close every model. A second call waits for the same end.

        Leases are waited for up to `grace` seconds. After that the models are closed nevertheless: what is still being
        generated ends with EngineClosedError, and handles raise PoolClosedError. A load cannot be stopped; it is
        waited for and its model closed. Cancelling this call ends the waiting, not the closing.
        """
        _check_seconds("grace", grace)
        self._enter()
        self._closed = True
        self._ledger.shut(PoolClosedError("The pool was closed while this request waited for a model."))
        self._settle()
        try:
            await self._waiting.until(lambda: self._ledger.held == 0, limit=grace)
        finally:
            self._ledger.revoke()
            self._settle()
        await self._waiting.until(lambda: not self._ledger.slots)

    async def __aenter__(self) -> ModelPool:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    # What it tells --------------------------------------------------------------------------------------------------

    def statistics(self) -> report.PoolStatistics:
        """Counts and the state of each model, as plain data."""
        return report.statistics(self._ledger, closed=self._closed)

    get_stats = statistics

    def __repr__(self) -> str:
        return report.sentence(self._ledger, closed=self._closed)

    def check_integrity(self) -> None:
        """Assert the pool's invariants. For tests and idle moments."""
        self._ledger.check_integrity()
        undecided = set(self._ledger.queue)
        for slot in self._ledger.slots.values():
            undecided.update(lease for lease in slot.leases if lease.state == "loading")
        assert undecided == set(self._waiting.callers), "somebody waits for an answer that will not come"

    # The edge: where decisions are carried out ---------------------------------------------------------------------

    def _enter(self) -> None:
        """Take charge of the pool for the running event loop, and learn what happened meanwhile."""
        loop = asyncio.get_running_loop()
        before = self._errands.loop
        if before is not loop:
            if before is not None and not before.is_closed():
                busy = any(slot.state != "ready" or slot.leases for slot in self._ledger.slots.values())
                if self._waiting.callers or (before.is_running() and busy):
                    raise PoolError(
                        "This pool is in use on another event loop. Use it from one loop at a time, "
                        "or make one pool for each thread."
                    )
            for lease in self._waiting.clear():  # of a loop that was closed: nobody is left to hear an answer
                self._ledger.end(lease)
            self._errands.loop = loop
        self._errands.collect()

    def _settle(self) -> None:
        """Let the ledger decide, and carry it out without waiting for any of it."""
        decisions = self._ledger.settle()
        self._porter.carry_out(decisions)
        for lease in decisions.waiting:
            self._waiting.start_timer(lease)
        answers = [*decisions.refused, *((lease, None) for lease in decisions.granted)]
        for lease, error in answers:
            if not self._waiting.answer(lease, error):
                self._ledger.end(lease)
        self._waiting.announce_change()

    def _expire(self, lease: Lease, limit: float) -> None:
        self._ledger.refuse(lease, PoolTimeoutError(report.timeout_message(self._ledger, lease, limit)))
        self._settle()

    def _end(self, lease: Lease) -> None:
        self._ledger.end(lease)
        self._settle()

    def _give_back(self, lease: Lease) -> None:
        if self._errands.here:
            self._end(lease)
        else:
            self._forget(lease)

    def _forget(self, lease: Lease) -> None:
        """Safe from any thread and in the middle of anything, as garbage collection is."""
        self._errands.post(partial(self._end, lease))

    async def _unload(self, slots: Iterable[Slot]) -> None:
        slots = tuple(slots)
        for slot in slots:
            slot.leaving += 1
        self._settle()
        try:
            await self._waiting.until(lambda: not any(self._ledger.slots.get(slot.key) is slot for slot in slots))
        finally:
            for slot in slots:
                slot.leaving -= 1
            self._settle()


def _held_by_this_task() -> tuple[Lease, ...]:
    return tuple(lease for lease in _HOLDING.get() if lease.state == "held")


def _check_whole(field: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigError(field, value, "a whole number above 0")


def _check_seconds(field: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= 0:
        raise ConfigError(field, value, "a number of seconds, 0 or more")

"""Who may use which model: the pool's book, and the one method that decides.

Pure and synchronous. It knows no thread, no event loop and no loader, so nothing can come between a decision and
its record. `Ledger.settle` decides; ModelPool carries out what it returns and reports back what came of it.

Invariant: slots (loading, ready and closing together) never exceed `max_models`; the memory of what is loading and
ready never exceeds `max_memory`, estimated until a model is loaded and measured from then on; a slot that has a
lease or a pin is never closed.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal

from ..base.loaded_model import LoadedModel
from ..exceptions import LLMError, PoolCapacityError
from ..llm_config import LLMConfig, ModelKey
from . import report

ESTIMATES_AT_ONCE = 8  # each takes a thread


@dataclass(eq=False, slots=True)
class Lease:
    """One caller's right to a model, from the asking to the giving back.

    Attributes:
        config: what the caller asked for, with its own sampling settings.
        number: place in the order of arrival.
        since: when it was asked for, by the ledger's clock.
        holding: leases that the asking task holds already; emptied once this one is decided.
        size: bytes that its model needs, when known.
        state: new in the queue, waiting there for its turn, waiting for the load that it joined, held, or ended.
        slot: where its model is; None while it is in the queue.
    """

    config: LLMConfig
    number: int
    since: float
    holding: tuple[Lease, ...] = ()
    size: int | None = None
    state: Literal["new", "waiting", "loading", "held", "ended"] = "new"
    slot: Slot | None = None

    @property
    def key(self) -> ModelKey:
        return self.config.model_key

    @property
    def queued(self) -> bool:
        return self.state in ("new", "waiting")

    def is_nested_in(self, slot: Slot) -> bool:
        """Whether the asking task holds that very model already."""
        return any(held.slot is slot and held.state == "held" for held in self.holding)


@dataclass(eq=False, slots=True)
class Slot:
    """One place of the pool, taken by a model on its way in, present, or on its way out.

    Attributes:
        leaving: how many callers want it unloaded; it takes no new leases meanwhile.
    """

    config: LLMConfig
    memory: int
    state: Literal["loading", "ready", "closing"] = "loading"
    model: LoadedModel | None = None
    leases: set[Lease] = field(default_factory=set)
    pinned: bool = False
    leaving: int = 0

    @property
    def key(self) -> ModelKey:
        return self.config.model_key

    @property
    def idle(self) -> bool:
        """Loaded, and nobody would miss it."""
        return self.state == "ready" and not self.leases and not self.pinned

    def condemn(self) -> None:
        """Let the model leave as soon as nobody holds it, pinned or not, and let nobody new have it."""
        self.pinned = False
        self.leaving += 1

    def admits(self, lease: Lease) -> bool:
        """Whether it takes this lease; one that is leaving takes only those of tasks that hold it already."""
        return self.state != "closing" and (not self.leaving or lease.is_nested_in(self))


@dataclass(slots=True)
class Decisions:
    """What is to be done now. The ledger holds all of it for true already.

    Attributes:
        granted: leases that are held from now on.
        refused: leases that ended without a model, and why.
        waiting: leases that wait for their turn from now on; their time begins to run.
        estimate: models whose size is asked for.
        load: slots whose model is to be loaded.
        close: slots whose model is to be closed.
    """

    granted: list[Lease] = field(default_factory=list)
    refused: list[tuple[Lease, LLMError]] = field(default_factory=list)
    waiting: list[Lease] = field(default_factory=list)
    estimate: list[LLMConfig] = field(default_factory=list)
    load: list[Slot] = field(default_factory=list)
    close: list[Slot] = field(default_factory=list)


class Ledger:
    """Slots and the queue before them.

    Whoever changes anything calls `settle` afterwards and carries out what it returns.

    Args:
        max_models: the most slots.
        max_memory: the most bytes; None sets no limit.
        patience: seconds for which the oldest lease that waits for room lets others pass to models that are
            already there. After that everybody but nested leases lines up behind it, so that it gets its turn.
        clock: seconds that never go back.
    """

    def __init__(self, *, max_models: int, max_memory: int | None, patience: float, clock: Callable[[], float]) -> None:
        self.max_models = max_models
        self.max_memory = max_memory
        self.slots: dict[ModelKey, Slot] = {}  # least recently used first
        self.queue: list[Lease] = []  # oldest first
        self.loads = self.load_failures = self.reuses = self.evictions = 0
        self._patience = patience
        self._clock = clock
        self._numbers = itertools.count()
        self._estimating: set[ModelKey] = set()
        self._decisions = Decisions()  # since the last settle

    @property
    def held(self) -> int:
        """Leases that somebody holds."""
        return sum(len(slot.leases) for slot in self.slots.values() if slot.state == "ready")

    # What callers do ------------------------------------------------------------------------------------------

    def enter(self, config: LLMConfig, *, holding: Iterable[Lease] = ()) -> Lease:
        """A new lease at the end of the queue."""
        lease = Lease(config, next(self._numbers), self._clock(), tuple(holding))
        self.queue.append(lease)
        return lease

    def end(self, lease: Lease) -> None:
        """The lease was given back or is no longer wanted; ending it twice does nothing."""
        if lease.queued:
            self.queue.remove(lease)
        elif lease.slot is not None:
            lease.slot.leases.discard(lease)
            if lease.state == "held":
                self._touch(lease.slot)
        lease.state, lease.holding = "ended", ()

    def refuse(self, lease: Lease, error: LLMError) -> None:
        """End a lease that was not granted yet, and tell its owner why."""
        self.end(lease)
        self._decisions.refused.append((lease, error))

    def shut(self, error: LLMError) -> None:
        """Refuse whoever still waits, forget pins, and let every model leave once nobody holds it."""
        for lease in [*self.queue, *(lease for slot in self.slots.values() for lease in slot.leases)]:
            if lease.state != "held":
                self.refuse(lease, error)
        for slot in self.slots.values():
            slot.condemn()

    def revoke(self) -> None:
        """End the leases that are still held, because their models are about to be closed."""
        for lease in [lease for slot in self.slots.values() for lease in slot.leases]:
            self.end(lease)

    # What came of earlier decisions ---------------------------------------------------------------------------

    def estimated(self, key: ModelKey, memory: int) -> None:
        """The size of a model is known."""
        self._estimating.discard(key)
        for lease in [lease for lease in self.queue if lease.key == key]:
            lease.size = memory
            self._refuse_if_oversized(lease)

    def estimate_failed(self, key: ModelKey, error: LLMError) -> None:
        """There is no such model: tell those who wait for it."""
        self._estimating.discard(key)
        for lease in [lease for lease in self.queue if lease.key == key]:
            self.refuse(lease, error)

    def loaded(self, slot: Slot, model: LoadedModel, memory: int) -> None:
        """A model is there; it may have turned out larger than was estimated."""
        slot.model, slot.memory, slot.state = model, memory, "ready"
        victims = self._victims(models=0, memory=0)
        if victims is None:
            # The models that are held leave it no room: it goes, and those who asked for it wait for that much.
            self._send_back(slot)
            self._dismiss(slot)
            return
        for victim in victims:
            self._evict(victim)
        for lease in sorted(slot.leases, key=_by_arrival):
            self._hold(lease)

    def load_failed(self, slot: Slot, error: LLMError) -> None:
        """The load came to nothing: its place is free again and those who waited for it learn the cause."""
        del self.slots[slot.key]
        self.load_failures += 1
        for lease in sorted(slot.leases, key=_by_arrival):
            self.refuse(lease, error)

    def closed(self, slot: Slot) -> None:
        """A model is gone and its place is free."""
        slot.model = None
        del self.slots[slot.key]

    # The decision ---------------------------------------------------------------------------------------------

    def settle(self) -> Decisions:
        """Decide for everybody who waits, oldest first: reuse, else load, else evict to load later, else wait.

        Leases are recorded here, in the same step. A second call in a row decides nothing new.
        """
        now = self._clock()
        for slot in tuple(self.slots.values()):
            if slot.leaving and slot.idle:
                self._dismiss(slot)
        queue, self.queue = self.queue, []
        first: Lease | None = None  # the oldest that has to wait for room
        for lease in queue:
            taken = self.slots.get(lease.key)
            if taken is not None and self._may_join(lease, taken, first, now):
                self._join(lease, taken)
            elif taken is None and self._is_unmeasured(lease):
                self.queue.append(lease)  # in its place, but nobody waits behind it: to measure may mean to download
            elif first is not None or taken is not None or not self._load(lease):
                first = first or lease
                self._queue_up(lease)
        self._ask_for_sizes()
        decisions, self._decisions = self._decisions, Decisions()
        return decisions

    def _may_join(self, lease: Lease, slot: Slot, first: Lease | None, now: float) -> bool:
        if not slot.admits(lease):
            return False
        return first is None or now - first.since < self._patience or lease.is_nested_in(slot)

    def _join(self, lease: Lease, slot: Slot) -> None:
        lease.slot = slot
        slot.leases.add(lease)
        if slot.state == "loading":
            lease.state = "loading"
            return
        self.reuses += 1
        self._hold(lease)

    def _hold(self, lease: Lease) -> None:
        lease.state, lease.holding = "held", ()
        self._decisions.granted.append(lease)

    def _queue_up(self, lease: Lease) -> None:
        self.queue.append(lease)
        if lease.state == "new":
            lease.state = "waiting"
            self._decisions.waiting.append(lease)

    def _is_unmeasured(self, lease: Lease) -> bool:
        return self.max_memory is not None and lease.size is None

    def _load(self, lease: Lease) -> bool:
        """Start loading for this lease if there is room; else evict what can make room, and say no for now."""
        memory = lease.size or 0
        if self._fits(models=1, memory=memory):
            slot = Slot(lease.config, memory)
            self.slots[slot.key] = slot
            self.loads += 1
            self._join(lease, slot)
            self._decisions.load.append(slot)
            return True
        for victim in self._victims(models=1, memory=memory) or ():
            self._evict(victim)
        return False

    def _fits(self, *, models: int, memory: int, without: Iterable[Slot] = ()) -> bool:
        absent = set(without)
        staying = [slot for slot in self.slots.values() if slot not in absent]
        if len(staying) + models > self.max_models:
            return False
        return self.max_memory is None or sum(slot.memory for slot in staying) + memory <= self.max_memory

    def _victims(self, *, models: int, memory: int) -> list[Slot] | None:
        """The idle models to close, least recently used first, so that this fits once all that leave have left.

        None when that cannot be: then none of them is closed in vain.
        """
        going = [slot for slot in self.slots.values() if slot.state == "closing"]
        idle = (slot for slot in tuple(self.slots.values()) if slot.idle)
        victims: list[Slot] = []
        while not self._fits(models=models, memory=memory, without=[*going, *victims]):
            victim = next(idle, None)
            if victim is None:
                return None
            victims.append(victim)
        # A large victim may have made an earlier, small one needless.
        for victim in reversed(victims):
            others = [other for other in victims if other is not victim]
            if self._fits(models=models, memory=memory, without=[*going, *others]):
                victims = others
        return victims

    def _evict(self, slot: Slot) -> None:
        self.evictions += 1
        self._dismiss(slot)

    def _dismiss(self, slot: Slot) -> None:
        slot.state = "closing"
        self._decisions.close.append(slot)

    def _send_back(self, slot: Slot) -> None:
        """Put the leases of a slot back into the queue, each at its old place."""
        for lease in tuple(slot.leases):
            lease.state, lease.slot, lease.size = "new", None, slot.memory
            self.queue.append(lease)
            self._refuse_if_oversized(lease)
        slot.leases.clear()
        self.queue.sort(key=_by_arrival)

    def _refuse_if_oversized(self, lease: Lease) -> None:
        if self.max_memory is not None and lease.size is not None and lease.size > self.max_memory:
            self.refuse(lease, PoolCapacityError(report.capacity_message(lease, self.max_memory)))

    def _ask_for_sizes(self) -> None:
        for lease in self.queue:
            if len(self._estimating) == ESTIMATES_AT_ONCE:
                return
            if self._is_unmeasured(lease) and lease.key not in self.slots and lease.key not in self._estimating:
                self._estimating.add(lease.key)
                self._decisions.estimate.append(lease.config)

    def _touch(self, slot: Slot) -> None:
        if self.slots.get(slot.key) is slot:
            self.slots[slot.key] = self.slots.pop(slot.key)

    def check_integrity(self) -> None:
        """Assert the invariant and that every lease is in exactly one place. For tests and idle moments."""
        assert len(self.slots) <= self.max_models, "more slots than max_models"
        if self.max_memory is not None:
            taken = sum(slot.memory for slot in self.slots.values() if slot.state != "closing")
            assert taken <= self.max_memory, "more memory than max_memory"
        for key, slot in self.slots.items():
            assert slot.key == key, "a slot under a foreign key"
            assert (slot.model is None) == (slot.state == "loading"), "a slot whose state and model disagree"
            expected = "loading" if slot.state == "loading" else "held"
            assert all(lease.state == expected for lease in slot.leases), "a lease whose state is not its slot's"
            assert all(lease.slot is slot for lease in slot.leases), "a lease in a foreign slot"
            assert slot.state != "closing" or not (slot.leases or slot.pinned), "closing what is held or pinned"
        assert all(lease.queued for lease in self.queue), "a decided lease in the queue"
        assert self.queue == sorted(self.queue, key=_by_arrival), "the queue is out of order"
        assert self._decisions == Decisions(), "decisions that nobody has carried out"


def _by_arrival(lease: Lease) -> int:
    return lease.number

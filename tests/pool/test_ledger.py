"""The ledger decides who may use which model; here without threads, event loops or models."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from llm.exceptions import ModelLoadError, PoolCapacityError
from llm.llm_config import LLMConfig
from llm.pool.ledger import ESTIMATES_AT_ONCE, Decisions, Lease, Ledger, Slot
from llm.pool.report import timeout_message


class NoModel:
    """Stands for a loaded model; the ledger never looks into it."""

    memory_bytes = 1

    def close(self) -> None:
        raise AssertionError("the ledger closes nothing itself")


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def named(name: str) -> LLMConfig:
    return LLMConfig(model_name=name)


def make(*, max_models: int = 1, max_memory: int | None = None, patience: float = 10.0) -> tuple[Ledger, Clock]:
    clock = Clock()
    return Ledger(max_models=max_models, max_memory=max_memory, patience=patience, clock=clock), clock


def hold(ledger: Ledger, name: str, *, size: int = 1) -> Lease:
    """A held lease on a model that there is room for."""
    lease = ledger.enter(named(name))
    decisions = ledger.settle()
    for config in decisions.estimate:
        ledger.estimated(config.model_key, size)
        decisions = ledger.settle()
    for slot in decisions.load:
        ledger.loaded(slot, NoModel(), size)
        ledger.settle()
    assert lease.state == "held"
    ledger.check_integrity()
    return lease


def names(slots: list[Slot]) -> list[str]:
    return [slot.config.model_name for slot in slots]


def test_the_lease_is_recorded_in_the_step_that_decides() -> None:
    """Between the decision to load and the end of the load the model has its lease already."""
    ledger, _ = make()
    lease = ledger.enter(named("a"))
    (slot,) = ledger.settle().load
    assert slot.leases == {lease}
    assert lease.state == "loading"


def test_deciding_twice_decides_nothing_new() -> None:
    """A second settle in a row returns nothing to do."""
    ledger, _ = make(max_models=2)
    for name in "abcab":
        ledger.enter(named(name))
    assert names(ledger.settle().load) == ["a", "b"]
    assert ledger.settle() == Decisions()


def test_the_least_recently_used_model_is_evicted() -> None:
    """Use, not the order of loading, decides who goes; giving back counts as use."""
    ledger, _ = make(max_models=3)
    first, second, third = hold(ledger, "a"), hold(ledger, "b"), hold(ledger, "c")
    for lease in (second, third, first):
        ledger.end(lease)
    ledger.enter(named("d"))
    assert names(ledger.settle().close) == ["b"]


def test_a_place_is_taken_until_its_model_is_gone() -> None:
    """The successor is loaded after the evicted model was closed, not while it is closing."""
    ledger, _ = make()
    ledger.end(hold(ledger, "a"))
    ledger.enter(named("b"))
    decisions = ledger.settle()
    assert (names(decisions.close), decisions.load) == (["a"], [])
    ledger.closed(decisions.close[0])
    assert names(ledger.settle().load) == ["b"]


def test_nothing_is_evicted_in_vain() -> None:
    """While the idle models together cannot make room, none of them is closed."""
    ledger, _ = make(max_models=3, max_memory=10)
    hold(ledger, "held", size=6)
    ledger.end(hold(ledger, "idle", size=3))
    wanted = ledger.enter(named("large"))
    ledger.settle()
    ledger.estimated(wanted.key, 8)
    assert ledger.settle().close == []


def test_a_large_victim_spares_the_small_ones() -> None:
    """Only what has to go for the room is evicted, although a smaller model was used longer ago."""
    ledger, _ = make(max_models=3, max_memory=10)
    small, large = hold(ledger, "small", size=1), hold(ledger, "large", size=8)
    ledger.end(small)
    ledger.end(large)
    wanted = ledger.enter(named("wanted"))
    ledger.settle()
    ledger.estimated(wanted.key, 9)
    assert names(ledger.settle().close) == ["large"]


def test_many_small_victims_make_room_for_a_large_model() -> None:
    """Several models are evicted at once, and no more than needed."""
    ledger, _ = make(max_models=5, max_memory=10)
    for lease in [hold(ledger, name, size=2) for name in "abcde"]:
        ledger.end(lease)
    wanted = ledger.enter(named("wanted"))
    ledger.settle()
    ledger.estimated(wanted.key, 5)
    assert names(ledger.settle().close) == ["a", "b", "c"]


def test_a_model_larger_than_estimated_evicts_idle_models() -> None:
    """The memory is measured after the load, and room is made for the difference."""
    ledger, _ = make(max_models=3, max_memory=10)
    ledger.end(hold(ledger, "idle", size=4))
    wanted = ledger.enter(named("wanted"))
    ledger.settle()
    ledger.estimated(wanted.key, 5)
    (slot,) = ledger.settle().load
    ledger.loaded(slot, NoModel(), 8)
    decisions = ledger.settle()
    ledger.check_integrity()
    assert names(decisions.close) == ["idle"]
    assert decisions.granted == [wanted]


def test_a_model_larger_than_estimated_gives_way_to_held_ones() -> None:
    """Where held models leave it no room it is closed again; who asked for it waits, in its old place, for more."""
    ledger, _ = make(max_models=3, max_memory=10)
    held = hold(ledger, "held", size=4)
    wanted = ledger.enter(named("wanted"))
    ledger.settle()
    ledger.estimated(wanted.key, 5)
    (slot,) = ledger.settle().load
    younger = ledger.enter(named("younger"))
    ledger.loaded(slot, NoModel(), 8)
    decisions = ledger.settle()
    assert decisions.close == [slot]
    assert ledger.queue == [wanted, younger]
    ledger.check_integrity()

    ledger.closed(slot)
    assert ledger.settle().load == []
    ledger.end(held)
    (close,) = ledger.settle().close
    ledger.closed(close)
    assert names(ledger.settle().load) == ["wanted"]


def test_a_model_that_proves_larger_than_the_limit_is_refused() -> None:
    """An estimate that was far too small ends in an error with both numbers, not in waiting for ever."""
    ledger, _ = make(max_memory=10)
    wanted = ledger.enter(named("wanted"))
    ledger.settle()
    ledger.estimated(wanted.key, 5)
    (slot,) = ledger.settle().load
    ledger.loaded(slot, NoModel(), 1100)
    decisions = ledger.settle()
    assert decisions.close == [slot]
    ((refused, error),) = decisions.refused
    assert refused is wanted
    assert isinstance(error, PoolCapacityError)
    assert "1,100" in str(error)
    assert "is 10." in str(error)


def test_an_oversized_model_is_refused_although_others_wait_before_it() -> None:
    """Waiting cannot help it, so it does not wait for its turn to learn that."""
    ledger, _ = make(max_models=2, max_memory=10)
    hold(ledger, "held", size=8)
    first, second = ledger.enter(named("fits")), ledger.enter(named("oversized"))
    assert {config.model_name for config in ledger.settle().estimate} == {"fits", "oversized"}
    ledger.estimated(second.key, 11)
    ledger.estimated(first.key, 5)
    assert [lease for lease, _ in ledger.settle().refused] == [second]
    assert ledger.queue == [first]


def test_sizes_are_asked_for_once_and_only_a_few_at_a_time() -> None:
    """A hundred callers with twenty models cause a few estimates at a time and one for each model."""
    ledger, _ = make(max_models=1, max_memory=10)
    hold(ledger, "held")
    for number in range(100):
        ledger.enter(named(f"m{number % 20}"))
    asked: list[str] = []
    ahead = [config.model_name for config in ledger.settle().estimate]
    while ahead:
        assert len(ahead) <= ESTIMATES_AT_ONCE
        asked.append(ahead.pop(0))
        ledger.estimated(named(asked[-1]).model_key, 2)
        ahead += [config.model_name for config in ledger.settle().estimate]
    assert asked == [f"m{number}" for number in range(20)]


def test_others_overtake_to_a_present_model_only_while_patience_lasts() -> None:
    """Who waits for room lets others pass for ten seconds; then they line up behind it and it gets its turn."""
    ledger, clock = make(patience=10.0)
    first = hold(ledger, "a")
    waiting = ledger.enter(named("b"))
    ledger.settle()
    clock.now = 9.9
    passing = ledger.enter(named("a"))
    assert ledger.settle().granted == [passing]
    clock.now = 10.0
    late = ledger.enter(named("a"))
    assert ledger.settle().granted == []

    ledger.end(first)
    ledger.end(passing)
    decisions = ledger.settle()
    assert names(decisions.close) == ["a"]
    ledger.closed(decisions.close[0])
    (slot,) = ledger.settle().load
    ledger.loaded(slot, NoModel(), 1)
    assert ledger.settle().granted == [waiting]
    assert ledger.queue == [late]


def test_a_nested_lease_never_waits() -> None:
    """A task that holds a model gets it again, however long others have waited and although it is to be unloaded."""
    ledger, clock = make()
    outer = hold(ledger, "a")
    ledger.enter(named("b"))
    ledger.settle()
    clock.now = 1000.0
    ledger.slots[outer.key].leaving += 1
    inner = ledger.enter(named("a"), holding=[outer])
    assert ledger.settle().granted == [inner]
    ledger.end(outer)
    assert ledger.settle().close == []
    ledger.end(inner)
    assert names(ledger.settle().close) == ["a"]


def test_a_lease_that_was_given_back_opens_no_short_cut() -> None:
    """Only a lease that is still held makes the next one nested."""
    ledger, clock = make()
    outer, other = hold(ledger, "a"), hold(ledger, "a")
    ledger.enter(named("b"))
    ledger.settle()
    clock.now = 1000.0
    ledger.end(outer)
    again = ledger.enter(named("a"), holding=[outer])
    assert ledger.settle().granted == []
    assert again.state == "waiting"
    ledger.end(other)
    assert names(ledger.settle().close) == ["a"]


def test_nobody_takes_the_room_of_an_older_one() -> None:
    """A small model does not slip into room that an older caller's large model waits for."""
    ledger, _ = make(max_models=3, max_memory=10)
    hold(ledger, "held", size=5)
    large, small = ledger.enter(named("large")), ledger.enter(named("small"))
    ledger.settle()
    ledger.estimated(large.key, 8)
    ledger.estimated(small.key, 1)
    assert ledger.settle().load == []
    ledger.end(large)
    assert names(ledger.settle().load) == ["small"]


def test_the_time_runs_while_a_lease_waits_for_its_turn_and_only_then() -> None:
    """Not while its model is measured or loaded; and from the start again when its model has to make way."""
    ledger, _ = make(max_models=2, max_memory=10)
    hold(ledger, "held", size=4)
    lease = ledger.enter(named("a"))
    assert ledger.settle().waiting == []
    ledger.estimated(lease.key, 5)
    decisions = ledger.settle()
    assert (lease.state, decisions.waiting) == ("loading", [])
    ledger.loaded(decisions.load[0], NoModel(), 7)
    assert ledger.settle().waiting == [lease]
    assert ledger.settle().waiting == []


def test_nobody_waits_behind_the_measuring_of_another_model() -> None:
    """To measure may mean to download; meanwhile a younger caller's model is loaded, and the older keeps its place."""
    ledger, _ = make(max_memory=10)
    older, younger = ledger.enter(named("older")), ledger.enter(named("younger"))
    third = ledger.enter(named("third"))
    ledger.settle()
    ledger.estimated(third.key, 1)
    ledger.estimated(younger.key, 1)
    assert names(ledger.settle().load) == ["younger"]
    ledger.estimated(older.key, 1)
    ledger.settle()
    assert ledger.queue == [older, third]


def test_a_timeout_message_says_who_holds_what() -> None:
    """It names the models, their leases and pins, the asker's own lease, and what to do."""
    ledger, _ = make(max_models=2)
    own = hold(ledger, "a")
    hold(ledger, "a")
    ledger.slots[hold(ledger, "b").key].pinned = True
    lease = ledger.enter(named("c"), holding=[own])
    ledger.settle()
    assert timeout_message(ledger, lease, 60.0) == (
        "No turn for 'c' within 60 s. The pool holds 'a' with 2 leases, 'b' with 1 lease and pinned. "
        "This task itself holds 'a': give that back first. Give leases back sooner, raise max_models (now 2) or "
        "max_memory (now None), unpin a model, or wait longer with timeout."
    )


def test_patience_is_that_of_the_oldest() -> None:
    """Once the oldest has waited long enough, it does not matter that one behind it has not."""
    ledger, clock = make(patience=10.0)
    hold(ledger, "a")
    ledger.enter(named("b"))
    ledger.settle()
    clock.now = 9.0
    ledger.enter(named("c"))
    ledger.settle()
    clock.now = 11.0
    ledger.enter(named("a"))
    assert ledger.settle().granted == []


def test_no_more_is_evicted_while_room_is_being_made() -> None:
    """Another caller who comes while a model is closing does not cost a second idle model its place."""
    ledger, _ = make(max_models=2)
    for lease in [hold(ledger, "a"), hold(ledger, "b")]:
        ledger.end(lease)
    ledger.enter(named("c"))
    assert names(ledger.settle().close) == ["a"]
    ledger.enter(named("d"))
    assert ledger.settle().close == []


def test_a_decided_lease_keeps_no_other_alive() -> None:
    """Leases know those that their task held; that chain is cut, or a long task would collect them all."""
    ledger, _ = make(max_models=2)
    outer = hold(ledger, "a")
    inner, waiting = ledger.enter(named("a"), holding=[outer]), ledger.enter(named("b"), holding=[outer])
    ledger.settle()
    ledger.end(waiting)
    assert inner.holding == waiting.holding == ()


def test_a_failed_load_fails_those_who_joined_it_and_no_one_else() -> None:
    """The cause goes to the callers of that model; the place is free for the next in the queue."""
    ledger, _ = make()
    joined = [ledger.enter(named("bad")), ledger.enter(named("bad"))]
    other = ledger.enter(named("good"))
    (slot,) = ledger.settle().load
    error = ModelLoadError("no")
    ledger.load_failed(slot, error)
    decisions = ledger.settle()
    assert decisions.refused == [(lease, error) for lease in joined]
    assert names(decisions.load) == ["good"]
    assert other.state == "loading"


class LedgerMachine(RuleBasedStateMachine):
    """Any order of whatever callers, loads and closings can do keeps the invariants, and all are served in the end."""

    NAMES = st.sampled_from("abcde")

    def __init__(self) -> None:
        super().__init__()
        self.ledger, self.clock = make(max_models=2, max_memory=10, patience=5.0)
        self.sizes = {"a": 2, "b": 4, "c": 6, "d": 10, "e": 11}
        self.estimating: list[LLMConfig] = []
        self.loading: list[Slot] = []
        self.closing: list[Slot] = []
        self.leases: list[Lease] = []

    def carry_out(self) -> None:
        decisions = self.ledger.settle()
        self.estimating += decisions.estimate
        self.loading += decisions.load
        self.closing += decisions.close
        for slot in decisions.close:
            assert not slot.leases, "a held model is closed"
            assert not slot.pinned, "a pinned model is closed"
        assert all(lease.state == "held" for lease in decisions.granted)
        assert all(lease.state == "ended" for lease, _ in decisions.refused)
        assert all(lease.state == "waiting" for lease in decisions.waiting)
        self.leases = [lease for lease in self.leases if lease.state != "ended"]

    @rule(name=NAMES, nested=st.booleans())
    def ask(self, name: str, nested: bool) -> None:
        holding = [lease for lease in self.leases if lease.state == "held"] if nested else []
        self.leases.append(self.ledger.enter(named(name), holding=holding))
        self.carry_out()

    @precondition(lambda self: self.leases)
    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        self.ledger.end(data.draw(st.sampled_from(self.leases)))
        self.carry_out()

    @precondition(lambda self: self.estimating)
    @rule(data=st.data(), error=st.sampled_from([0, 0, -2, 3, None]))
    def estimate(self, data: st.DataObject, error: int | None) -> None:
        config = self.estimating.pop(data.draw(st.integers(0, len(self.estimating) - 1)))
        if error is None:
            self.ledger.estimate_failed(config.model_key, ModelLoadError("no"))
        else:
            self.ledger.estimated(config.model_key, max(1, self.sizes[config.model_name] + error))
        self.carry_out()

    @precondition(lambda self: self.loading)
    @rule(data=st.data(), good=st.booleans())
    def load(self, data: st.DataObject, good: bool) -> None:
        slot = self.loading.pop(data.draw(st.integers(0, len(self.loading) - 1)))
        if good:
            self.ledger.loaded(slot, NoModel(), self.sizes[slot.config.model_name])
        else:
            self.ledger.load_failed(slot, ModelLoadError("no"))
        self.carry_out()

    @precondition(lambda self: self.closing)
    @rule(data=st.data())
    def close(self, data: st.DataObject) -> None:
        self.ledger.closed(self.closing.pop(data.draw(st.integers(0, len(self.closing) - 1))))
        self.carry_out()

    @precondition(lambda self: any(slot.state == "ready" for slot in self.ledger.slots.values()))
    @rule(data=st.data(), pinned=st.booleans())
    def pin(self, data: st.DataObject, pinned: bool) -> None:
        ready = [slot for slot in self.ledger.slots.values() if slot.state == "ready"]
        data.draw(st.sampled_from(ready)).pinned = pinned
        self.carry_out()

    @precondition(lambda self: any(slot.state == "ready" for slot in self.ledger.slots.values()))
    @rule(data=st.data())
    def condemn(self, data: st.DataObject) -> None:
        ready = [slot for slot in self.ledger.slots.values() if slot.state == "ready"]
        data.draw(st.sampled_from(ready)).condemn()
        self.carry_out()

    @rule(seconds=st.sampled_from([1.0, 4.9, 5.0]))
    def wait(self, seconds: float) -> None:
        self.clock.now += seconds
        self.carry_out()

    @invariant()
    def keeps_its_invariant(self) -> None:
        self.ledger.check_integrity()

    @invariant()
    def decides_nothing_new(self) -> None:
        assert self.ledger.settle() == Decisions()

    def teardown(self) -> None:
        """When work is finished and leases are given back, everybody is served."""
        for slot in self.ledger.slots.values():
            slot.pinned = False
        self.carry_out()
        for _ in range(1000):
            if self.estimating:
                config = self.estimating.pop()
                self.ledger.estimated(config.model_key, self.sizes[config.model_name])
            elif self.loading:
                slot = self.loading.pop()
                self.ledger.loaded(slot, NoModel(), self.sizes[slot.config.model_name])
            elif self.closing:
                self.ledger.closed(self.closing.pop())
            elif held := [lease for lease in self.leases if lease.state == "held"]:
                self.ledger.end(held[0])
            else:
                break
            self.carry_out()
            self.ledger.check_integrity()
        assert self.leases == []
        assert self.ledger.queue == []


LedgerMachine.TestCase.settings = settings(max_examples=100, stateful_step_count=50, derandomize=True, deadline=None)
TestLedgerMachine = LedgerMachine.TestCase

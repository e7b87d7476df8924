"""What the ledger says, in words and in numbers.

Names of models, counts and bytes only: nothing that a user wrote to a model can come in here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypedDict

if TYPE_CHECKING:
    from .ledger import Lease, Ledger, Slot


class ModelStatistics(TypedDict):
    """One model that takes a place in the pool."""

    model_name: str
    backend: str
    state: Literal["loading", "ready", "closing"]
    leases: int
    pinned: bool
    memory_bytes: int


class PoolStatistics(TypedDict):
    """The state of a pool at one moment, and what it has done so far.

    `models` is in the order in which they would be evicted. `leases` counts those held, `waiting` those in the
    queue; callers whose model is being loaded right now are in neither.
    """

    closed: bool
    max_models: int
    max_memory: int | None
    models: list[ModelStatistics]
    loaded: int
    loading: int
    closing: int
    memory_bytes: int
    leases: int
    waiting: int
    loads: int
    load_failures: int
    reuses: int
    evictions: int


def statistics(ledger: Ledger, *, closed: bool) -> PoolStatistics:
    models: list[ModelStatistics] = [
        {
            "model_name": slot.config.model_name,
            "backend": slot.config.backend,
            "state": slot.state,
            "leases": len(slot.leases),
            "pinned": slot.pinned,
            "memory_bytes": slot.memory,
        }
        for slot in ledger.slots.values()
    ]
    states = [model["state"] for model in models]
    return {
        "closed": closed,
        "max_models": ledger.max_models,
        "max_memory": ledger.max_memory,
        "models": models,
        "loaded": states.count("ready"),
        "loading": states.count("loading"),
        "closing": states.count("closing"),
        "memory_bytes": sum(model["memory_bytes"] for model in models),
        "leases": ledger.held,
        "waiting": len(ledger.queue),
        "loads": ledger.loads,
        "load_failures": ledger.load_failures,
        "reuses": ledger.reuses,
        "evictions": ledger.evictions,
    }


def sentence(ledger: Ledger, *, closed: bool) -> str:
    """The pool in one line, for its repr."""
    if not closed:
        state = f"holds {len(ledger.slots)} of {count(ledger.max_models, 'model')}"
    elif ledger.slots:
        state = f"is closing {count(len(ledger.slots), 'model')}"
    else:
        state = "is closed"
    models = ": " + ", ".join(map(_describe, ledger.slots.values())) if ledger.slots else ""
    waiting = f"; {count(len(ledger.queue), 'request')} waiting" if ledger.queue else ""
    return f"<ModelPool {state}{models}{waiting}>"


def timeout_message(ledger: Ledger, lease: Lease, limit: float) -> str:
    """Why a lease did not get its turn, and what its owner can do."""
    holders = ", ".join(map(_describe, ledger.slots.values())) or "nothing"
    own = sorted({repr(held.config.model_name) for held in lease.holding if held.state == "held"})
    nested = f" This task itself holds {', '.join(own)}: give that back first." if own else ""
    return (
        f"No turn for {lease.config.model_name!r} within {limit:g} s. "
        f"The pool holds {holders}.{nested} "
        f"Give leases back sooner, raise max_models (now {ledger.max_models}) or max_memory (now {ledger.max_memory}), "
        "unpin a model, or wait longer with timeout."
    )


def capacity_message(lease: Lease, max_memory: int) -> str:
    return (
        f"{lease.config.model_name!r} needs {lease.size:,} bytes and max_memory is {max_memory:,}. "
        "Choose a smaller model or a smaller n_ctx, or raise max_memory."
    )


def busy_message(lease: Lease, max_waiting: int) -> str:
    return (
        f"{lease.config.model_name!r} cannot be waited for: {count(max_waiting, 'request')} (max_waiting) "
        "already waiting for a model. Try again later."
    )


def count(number: int, noun: str) -> str:
    """``1 model``, ``2 models``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _describe(slot: Slot) -> str:
    what: str = slot.state
    if slot.state == "ready":
        what = f"with {count(len(slot.leases), 'lease')}" if slot.leases else "idle"
    return f"{slot.config.model_name!r} {what}{' and pinned' if slot.pinned else ''}"

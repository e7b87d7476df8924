"""Who waits is told once, in time, and never through a loop that is closed."""

from __future__ import annotations

import asyncio
from typing import Any, Literal

import pytest

from llm.llm_config import LLMConfig
from llm.pool.ledger import Lease
from llm.pool.waiting_room import WaitingRoom


def lease_in(state: Literal["waiting", "loading"]) -> Lease:
    return Lease(LLMConfig(model_name="a"), number=0, since=0.0, state=state)


@pytest.mark.parametrize(("state", "expired"), [("waiting", 1), ("loading", 0)])
def test_only_who_waits_for_its_turn_expires(state: Literal["waiting", "loading"], expired: int) -> None:
    """A timer that fires when the load of the model has begun meanwhile does nothing."""
    calls: list[tuple[Lease, float]] = []

    async def main() -> None:
        room = WaitingRoom(lambda lease, limit: calls.append((lease, limit)))
        room.enter(lease_in(state), limit=0.0)
        room.start_timer(next(iter(room.callers)))
        for _ in range(3):
            await asyncio.sleep(0)

    asyncio.run(main())
    assert len(calls) == expired


def test_a_timer_that_starts_anew_is_one_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has to wait a second time gets the whole time again."""
    timers: list[asyncio.TimerHandle] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        call_later = loop.call_later

        def remember(*arguments: Any) -> asyncio.TimerHandle:
            timers.append(call_later(*arguments))
            return timers[-1]

        monkeypatch.setattr(loop, "call_later", remember)
        room = WaitingRoom(lambda _lease, _limit: None)
        lease = lease_in("waiting")
        room.enter(lease, limit=1000.0)
        room.start_timer(lease)
        room.start_timer(lease)
        assert [timer.cancelled() for timer in timers] == [True, False]
        room.leave(lease)
        assert all(timer.cancelled() for timer in timers)

    asyncio.run(main())


def test_an_answer_that_nobody_hears_says_so() -> None:
    """The caller has left, was cancelled, or its loop is closed: False, so that the lease can go to another."""
    room = WaitingRoom(lambda _lease, _limit: None)
    gone, cancelled, closed, there = (lease_in("waiting") for _ in range(4))

    async def main() -> None:
        room.enter(gone, limit=1.0)
        room.leave(gone)
        room.enter(cancelled, limit=1.0).cancel()
        answer = room.enter(there, limit=1.0)
        assert [room.answer(lease, None) for lease in (gone, cancelled, there, there)] == [False, False, True, False]
        assert await answer is None
        room.enter(closed, limit=1.0).add_done_callback(print)

    asyncio.run(main())
    assert room.answer(closed, None) is False

"""One at a time, in order, whatever becomes of those who wait."""

from __future__ import annotations

import asyncio
import random
import threading

import pytest

from llm.base.turn_queue import TurnQueue


def test_one_at_a_time_in_the_order_they_came() -> None:
    """Twenty tasks on two keys: each key is held by one at most, and served first come, first served."""
    queue = TurnQueue()
    holders = {"a": 0, "b": 0}
    order: dict[str, list[int]] = {"a": [], "b": []}

    async def work(key: str, number: int) -> None:
        await queue.enter(key)
        holders[key] += 1
        assert holders[key] == 1
        order[key].append(number)
        for _ in range(3):
            await asyncio.sleep(0)
        holders[key] -= 1
        queue.leave(key)

    async def main() -> None:
        await asyncio.gather(*(work("ab"[number % 2], number) for number in range(20)))

    asyncio.run(main())
    assert order == {"a": list(range(0, 20, 2)), "b": list(range(1, 20, 2))}
    assert queue.waiting("a") == queue.waiting("b") == 0


def test_whoever_is_cancelled_gives_up_its_place() -> None:
    """At any moment, that in which the turn comes included; a thousand rounds leave nobody waiting for ever."""
    instants = random.Random(3)

    async def work(queue: TurnQueue) -> None:
        await queue.enter("a")
        try:
            await asyncio.sleep(0)
        finally:
            queue.leave("a")

    async def main() -> None:
        for _ in range(1000):
            queue = TurnQueue()
            tasks = [asyncio.create_task(work(queue)) for _ in range(4)]
            for _ in range(instants.randrange(8)):
                await asyncio.sleep(0)
            for task in instants.sample(tasks, 2):
                task.cancel()
            await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 10)
            assert queue.waiting("a") == 0

    asyncio.run(main())


def test_waiting_has_an_end() -> None:
    """Who does not get its turn in time is told and out of the queue; the next one is not held up."""
    queue = TurnQueue()

    async def main() -> None:
        await queue.enter("a")
        patient = asyncio.create_task(queue.enter("a", timeout=60))
        with pytest.raises(TimeoutError):
            await queue.enter("a", timeout=0.001)
        assert queue.waiting("a") == 2
        queue.leave("a")
        await patient
        queue.leave("a")

    asyncio.run(main())
    assert queue.waiting("a") == 0


def test_a_turn_goes_from_loop_to_loop() -> None:
    """Two event loops in two threads take turns a hundred times, and a turn may be ended from any thread."""
    queue = TurnQueue()
    held: list[str] = []

    async def work(name: str) -> None:
        for _ in range(100):
            await queue.enter("a")
            held.append(name)
            assert held == [name]
            await asyncio.sleep(0)
            held.clear()
            await asyncio.to_thread(queue.leave, "a")

    threads = [threading.Thread(target=asyncio.run, args=(work(name),)) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert queue.waiting("a") == 0


def test_a_loop_that_is_gone_holds_nobody_up() -> None:
    """Who waited in it is passed over."""
    queue = TurnQueue()
    asyncio.run(queue.enter("a"))
    loop = asyncio.new_event_loop()
    waiting = loop.create_task(queue.enter("a"))
    loop.run_until_complete(asyncio.sleep(0))
    assert queue.waiting("a") == 2

    async def main() -> None:
        mine = asyncio.create_task(queue.enter("a"))
        await asyncio.sleep(0)
        loop.close()
        queue.leave("a")
        await asyncio.wait_for(mine, 10)
        queue.leave("a")

    asyncio.run(main())
    assert queue.waiting("a") == 0
    waiting._log_destroy_pending = False  # type: ignore[attr-defined]

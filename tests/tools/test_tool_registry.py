"""The registry: whatever a tool or a model does, a call ends in a ToolResult, in time, and nobody waits for another."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import pytest
from pydantic import BeforeValidator

from llm.exceptions import ConfigError, RequestError
from llm.tools import BaseTool, ToolParameter, ToolRegistry, ToolResult
from llm.tools import tool_registry as module
from llm.tools.tool_thread import tool_threads

Until = Callable[[Callable[[], bool]], Awaitable[None]]


def add(a: int, b: int = 1) -> int:
    """Adds two numbers.

    Args:
        a: One.
        b: The other.
    """
    return a + b


async def greet(name: str) -> str:
    """Greets."""
    await asyncio.sleep(0)
    return f"Hello {name}"


def test_functions_are_registered_by_a_decorator() -> None:
    """With or without options; a decorated function stays what it was."""
    registry = ToolRegistry()
    assert registry.register(add) is add

    @registry.register
    def one() -> int:
        return 1

    @registry.register(name="zwei", description="Two.", timeout=5)
    async def two() -> int:
        return 2

    assert (one(), asyncio.run(two())) == (1, 2)
    assert [tool.name for tool in registry] == ["add", "one", "zwei"]
    assert (len(registry), "one" in registry, "two" in registry) == (3, True, False)
    assert (registry["zwei"].description, registry["zwei"].timeout) == ("Two.", 5)
    assert repr(registry) == "<ToolRegistry add, one, zwei>"
    registry.unregister("one")
    assert "one" not in registry


def test_definitions_are_those_that_generate_takes() -> None:
    """In OpenAI's form and in the order of registration."""
    first, second = ToolRegistry([add, greet]).to_openai()
    assert first == {
        "type": "function",
        "function": {
            "name": "add",
            "description": "Adds two numbers.",
            "parameters": {
                "type": "object",
                "properties": {
                    "a": {"type": "integer", "description": "One."},
                    "b": {"type": "integer", "description": "The other.", "default": 1},
                },
                "required": ["a"],
                "additionalProperties": False,
            },
        },
    }
    assert second["function"]["name"] == "greet"


def test_tools_are_called_by_name_from_both_worlds() -> None:
    """Synchronous and asynchronous functions, called and awaited: the same results, with how long they took."""
    registry = ToolRegistry([add, greet])
    for name, arguments, data in (("add", {"a": "2"}, 3), ("greet", {"name": "Ada"}, "Hello Ada")):
        for result in (registry.execute(name, arguments), asyncio.run(registry.aexecute(name, arguments))):
            assert (result.success, result.data) == (True, data)
            assert result.metadata["latency_seconds"] >= 0


@pytest.mark.parametrize(
    ("name", "arguments", "kind", "words"),
    [
        ("ad", {"a": 1}, "unknown_tool", "There is no tool 'ad'. There are add, greet; the nearest name is add."),
        ("add", {}, "arguments", "a is missing"),
        ("add", {"a": 1, "c": 2}, "arguments", "there is no argument c"),
        ("add", {"a": "one"}, "arguments", "a: input should be a valid integer"),
        ("add", "a=1", "arguments", "must be an object"),
        ("add", None, "arguments", "must be an object"),
    ],
)
def test_a_models_mistakes_are_results_that_it_can_read(name: str, arguments: Any, kind: str, words: str) -> None:
    """Each says what to do next, and none is an exception."""
    result = ToolRegistry([add, greet]).execute(name, arguments)
    assert (result.success, result.metadata["error_type"]) == (False, kind)
    assert words in result.text


def test_a_tools_faults_are_results() -> None:
    """Exceptions of every kind, an attempt to end the program, and a task that cancels itself."""

    class Broken(BaseTool):
        name = "broken"
        description = ""

        def execute(self) -> ToolResult:
            raise ValueError("why")

    class Careless(BaseTool):
        name = "careless"
        description = ""

        def execute(self) -> Any:
            return "bare"

    class Mismatched(BaseTool):
        name = "mismatched"
        description = ""
        parameters = (ToolParameter("city", "string"),)

        async def aexecute(self, *, town: str) -> ToolResult:
            return ToolResult(success=True, data=town)

    def moody(x: Annotated[int, BeforeValidator(lambda x: {}[x])]) -> None: ...

    def leave() -> None:
        raise SystemExit(3)

    async def leave_too() -> None:
        raise SystemExit(3)

    async def give_up() -> None:
        raise asyncio.CancelledError

    def stop() -> None:
        raise StopIteration

    registry = ToolRegistry([Broken(), Careless(), Mismatched(), moody, leave, leave_too, give_up, stop])
    assert registry.execute("broken", {}).error == "ValueError: why"
    assert registry.execute("careless", {}).data == "bare"
    assert "unexpected keyword argument 'city'" in registry.execute("mismatched", {"city": "Bern"}).text
    assert registry.execute("moody", {"x": 1}).text == "Error: KeyError: 1"
    assert "end the program" in registry.execute("leave", {}).text
    assert registry.execute("leave_too", {}).text == "Error: SystemExit: 3"
    assert "cancelled" in registry.execute("give_up", {}).text
    assert registry.execute("stop", {}).success is False
    assert registry.execute("broken", {}).metadata["error_type"] == "exception"


def test_sixteen_calls_run_together_and_one_that_hangs_is_cut(until: Until) -> None:
    """All are under way at once, the hanging one becomes a timeout, and the others' results are kept."""
    everybody, release = threading.Barrier(15, timeout=30), threading.Event()

    def meet(number: int) -> int:
        if number == 7:
            release.wait(30)
        else:
            everybody.wait()
        return number

    registry = ToolRegistry([meet])

    async def work() -> list[ToolResult]:
        limits = {7: 0.1}
        return await asyncio.gather(
            *(registry.aexecute("meet", {"number": number}, timeout=limits.get(number)) for number in range(16))
        )

    results = asyncio.run(work())
    assert [result.data for result in results if result.success] == [n for n in range(16) if n != 7]
    assert results[7].metadata["error_type"] == "timeout"
    assert "'meet' was not done within 0.1 seconds" in results[7].text
    release.set()
    asyncio.run(until(lambda: tool_threads.running == 0))


def test_asynchronous_tools_run_together_and_are_cancelled_at_their_limit() -> None:
    """A tool that waits for the others proves that they run; one that hangs is told to clean up, and does."""
    cleaned: list[str] = []

    async def work() -> list[ToolResult]:
        together = 0
        met = asyncio.Event()

        async def meet() -> str:
            nonlocal together
            together += 1
            if together == 15:
                met.set()
            await met.wait()
            return "met"

        async def hang() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                cleaned.append("hang")

        registry = ToolRegistry([meet])
        registry.register(hang, timeout=0.05)
        names = ["meet"] * 7 + ["hang"] + ["meet"] * 8
        return await asyncio.gather(*(registry.aexecute(name, {}) for name in names))

    results = asyncio.run(work())
    assert [result.data for result in results] == ["met"] * 7 + [None] + ["met"] * 8
    assert results[7].metadata["error_type"] == "timeout"
    assert cleaned == ["hang"]


def test_a_tool_that_refuses_to_end_is_left_behind(
    monkeypatch: pytest.MonkeyPatch, until: Until, caplog: pytest.LogCaptureFixture
) -> None:
    """It swallows its cancellation; the caller gets a timeout all the same, also from synchronous code. What the tool
    says later is heard by nobody, not even by asyncio's log."""
    monkeypatch.setattr(module, "GRACE", 0.01)

    release = threading.Event()

    async def stubborn() -> None:
        while not release.is_set():
            try:
                await asyncio.sleep(0.001)
            except asyncio.CancelledError:
                continue
        raise ValueError("too late to be heard")

    registry = ToolRegistry([stubborn], timeout=0.02)

    async def work() -> ToolResult:
        result = await registry.aexecute("stubborn", {})
        assert len(registry._stubborn) == 1
        release.set()
        await asyncio.gather(*registry._stubborn, return_exceptions=True)
        return result

    assert asyncio.run(work()).metadata["error_type"] == "timeout"
    assert registry._stubborn == set()
    release.clear()
    assert registry.execute("stubborn", {}).metadata["error_type"] == "timeout"
    release.set()
    asyncio.run(until(lambda: tool_threads.running == 0))
    gc.collect()
    assert not [record for record in caplog.records if record.name == "asyncio"]


def test_the_shortest_limit_is_the_one_that_was_said_last() -> None:
    """A call's limit before the tool's, the tool's before the registry's; None is none."""
    release = threading.Event()

    def hang() -> None:
        release.wait(30)

    registry = ToolRegistry(timeout=0.03)
    registry.register(hang)
    registry.register(hang, name="own", timeout=0.02)
    assert "0.03 seconds" in registry.execute("hang", {}).text
    assert "0.02 seconds" in registry.execute("own", {}).text
    assert "0.01 seconds" in registry.execute("own", {}, timeout=0.01).text
    release.set()
    assert ToolRegistry([hang], timeout=None).execute("hang", {}).text == "Done."


def test_cancelling_the_caller_cancels_the_call(until: Until) -> None:
    """And is not mistaken for a result: a synchronous tool is left behind, an asynchronous one cleans up first."""
    release = threading.Event()
    events: list[str] = []

    def hang() -> None:
        events.append("thread")
        release.wait(30)

    async def wait() -> None:
        events.append("task")
        try:
            await asyncio.Event().wait()
        finally:
            events.append("cleaned")

    registry = ToolRegistry([hang, wait], timeout=None)

    async def work() -> None:
        both = asyncio.gather(registry.aexecute("hang", {}), registry.aexecute("wait", {}))
        await until(lambda: {"thread", "task"} <= set(events))
        both.cancel()
        with pytest.raises(asyncio.CancelledError):
            await both
        assert events[-1] == "cleaned"

    asyncio.run(work())
    release.set()
    asyncio.run(until(lambda: tool_threads.running == 0))


def test_nothing_blocks_the_event_loop() -> None:
    """While synchronous tools block their threads, a ticker goes on."""
    release = threading.Event()

    def block() -> None:
        release.wait(30)

    async def work() -> int:
        registry = ToolRegistry([block])
        calls = [asyncio.create_task(registry.aexecute("block", {})) for _ in range(16)]
        ticks = 0
        for _ in range(50):
            await asyncio.sleep(0)
            ticks += 1
        release.set()
        assert all(result.success for result in await asyncio.gather(*calls))
        return ticks

    assert asyncio.run(work()) == 50


@pytest.mark.parametrize(
    ("register", "named"),
    [
        (lambda r: r.register(add), "'add'.*no other tool"),
        (lambda r: r.register(lambda x: x), "<lambda>"),
        (lambda r: r.register(greet, name="two words"), "two words"),
        (lambda r: r.register(greet, name="x" * 65), "64"),
        (lambda r: r.register(greet, timeout=0), "timeout=0"),
        (lambda r: r.register(greet, timeout=float("nan")), "timeout=nan"),
        (lambda r: r.register(greet, description=3), "description"),
        (lambda r: r.register(ToolRegistry), "instance"),
        (lambda r: r.register("add"), "BaseTool or a function"),
        (lambda r: r.register(r["add"], name="x"), "options for functions"),
        (lambda _: ToolRegistry(timeout=-1), "timeout=-1"),
        (lambda _: ToolRegistry([3]), "BaseTool"),  # type: ignore[list-item]
    ],
)
def test_a_wrong_registration_is_refused_at_once(register: Callable[[ToolRegistry], object], named: str) -> None:
    """With what was wrong and what is allowed, before any model sees the tool."""
    with pytest.raises(ConfigError, match=named):
        register(ToolRegistry([add]))


def test_a_name_that_is_not_there_is_an_error_for_the_program() -> None:
    """Looking up and taking out are the program's own doing."""
    for registry, words in ((ToolRegistry([add]), "nearest name is add"), (ToolRegistry(), "empty")):
        with pytest.raises(RequestError, match=words):
            registry.unregister("addd")
        with pytest.raises(RequestError, match=words):
            _ = registry["addd"]


def test_logs_tell_names_and_durations_and_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    """Neither arguments nor results nor the words of an exception."""
    caplog.set_level(logging.DEBUG)

    def fail(text: str) -> None:
        raise ValueError(text)

    registry = ToolRegistry([greet, fail])
    registry.execute("greet", {"name": "canary"})
    registry.execute("greet", {"canary": 1})
    registry.execute("fail", {"text": "canary"})
    lines = [record.getMessage() for record in caplog.records if record.name == "practorflow.tool"]
    assert [line.rpartition(" ")[2] for line in lines[1:]] == ["arguments", "ValueError"]
    assert "'greet' was done" in lines[0]
    assert not [record for record in caplog.records if "canary" in record.getMessage()]

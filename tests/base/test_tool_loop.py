"""The loop of generations and tool calls, over a generator that follows a script: all that the loop itself promises."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from llm.base.messages import StreamChunk, ToolCall, Usage
from llm.base.options import Options
from llm.base.tool_loop import ToolRun
from llm.base.tool_steps import ToolStep
from llm.exceptions import ContextWindowError, GenerationTimeoutError, LLMError, RequestError
from llm.tools import BaseTool, ToolRegistry, ToolResult

QUESTION = {"role": "user", "content": "Which is warmer?"}
USAGE = Usage(prompt_tokens=10, completion_tokens=5, total_tokens=15, cached_tokens=4, reasoning_tokens=1)

Turn = str | Sequence[ToolCall] | LLMError


def call(name: str, number: int = 1, /, **arguments: Any) -> ToolCall:
    return {"tool_name": name, "args": arguments, "tool_call_id": f"call_{name}_{number}"}


class Script:
    """Generates what stands in a list: a text, calls after the text "Let me see.", or an error.

    Attributes:
        asked: the checked options of every generation.
        open: streams that were neither read to their end nor closed.
    """

    def __init__(self, *turns: Turn, gate: asyncio.Event | None = None) -> None:
        self.turns = list(turns)
        self.asked: list[Options] = []
        self.open = 0
        self.gate = gate

    def generate_stream(self, **options: Any) -> ScriptedStream:
        self.asked.append(Options(**options))
        self.open += 1
        return ScriptedStream(self, self.turns.pop(0))

    @property
    def conversations(self) -> list[list[Mapping[str, Any]]]:
        return [list(options.messages or ()) for options in self.asked]


class ScriptedStream:
    def __init__(self, script: Script, turn: Turn) -> None:
        self._script = script
        self._error = turn if isinstance(turn, LLMError) else None
        calls = () if isinstance(turn, (str, LLMError)) else tuple(turn)
        text = turn if isinstance(turn, str) else "Let me see."
        self._chunks = [StreamChunk(reasoning="Hm."), *(StreamChunk(text=word) for word in re.findall(r"\S+\s*", text))]
        self._chunks += [StreamChunk(tool_call=one) for one in calls]
        self._chunks.append(
            StreamChunk(
                finished=True, usage=USAGE, latency_seconds=0.1, tool_calls=calls,
                finish_reason="tool_calls" if calls else "stop",
            )
        )  # fmt: skip
        self._closed = False

    def __aiter__(self) -> ScriptedStream:
        return self

    async def __anext__(self) -> StreamChunk:
        if self._script.gate is not None:
            await self._script.gate.wait()
        await asyncio.sleep(0)
        if self._error is not None:
            await self.aclose()
            raise self._error
        chunk = self._chunks.pop(0)
        if chunk.finished:
            await self.aclose()
        return chunk

    async def aclose(self) -> None:
        if not self._closed:
            self._closed = True
            self._script.open -= 1


def temperature(city: str) -> int:
    """The temperature in a city."""
    return {"Bern": 14, "Rome": 23}[city]


@pytest.fixture
def registry() -> ToolRegistry:
    return ToolRegistry([temperature])


def run(script: Script, registry: ToolRegistry, **options: Any) -> Any:
    return asyncio.run(ToolRun(script, registry, **({"prompt": QUESTION["content"]} | options)).to_end())


def test_calls_are_made_told_and_answered(registry: ToolRegistry) -> None:
    """Two calls in two steps; the second generation sees the first result, the third sees both, then there is an
    answer, and the whole conversation comes back with it."""
    first, second = call("temperature", city="Bern"), call("temperature", 2, city="Rome")
    script = Script([first], [second], "Rome.")
    result = run(script, registry, instructions="Be brief.", temperature=0.0)
    asked = {"role": "assistant", "content": "Let me see.", "reasoning": "Hm."}
    told = {"role": "tool", "name": "temperature"}
    expected = [
        QUESTION,
        asked | {"tool_calls": [first]},
        told | {"tool_call_id": "call_temperature_1", "content": "14"},
        asked | {"tool_calls": [second]},
        told | {"tool_call_id": "call_temperature_2", "content": "23"},
    ]
    assert script.conversations == [expected[:1], expected[:3], expected]
    assert result["messages"] == [*expected, {"role": "assistant", "content": "Rome.", "reasoning": "Hm."}]
    assert (result["reply"], result["finish_reason"], result["limit_reached"]) == ("Rome.", "stop", False)
    assert result["usage"] == {
        "prompt_tokens": 30, "completion_tokens": 15, "total_tokens": 45, "cached_tokens": 12,
        "reasoning_tokens": 3,
    }  # fmt: skip
    for options in script.asked:
        assert (options.instructions, options.temperature, options.tool_choice) == ("Be brief.", 0.0, "auto")
        assert options.tools == registry.to_openai()
    assert script.open == 0


def test_calls_of_one_step_are_executed_together() -> None:
    """Neither returns before both have begun; results stand in the order of the calls."""
    both = threading.Barrier(2, timeout=30)

    def meet(name: str) -> str:
        both.wait()
        return name.upper()

    script = Script([call("meet", 1, name="a"), call("meet", 2, name="b")], "Done.")
    result = run(script, ToolRegistry([meet]))
    assert [m["content"] for m in result["messages"] if m["role"] == "tool"] == ["A", "B"]


def test_an_answer_without_calls_is_one_step(registry: ToolRegistry) -> None:
    """The run is then what `generate` would have been."""
    result = run(Script("Hello."), registry)
    assert (result["reply"], len(result["steps"])) == ("Hello.", 1)
    assert "tool_calls" not in result


def test_without_tools_it_is_a_plain_generation() -> None:
    """An empty registry sends no definitions."""
    script = Script("Hello.")
    assert run(script, ToolRegistry())["reply"] == "Hello."
    assert script.asked[0].tools is None


def test_at_the_limit_the_model_answers_from_what_it_has(registry: ToolRegistry) -> None:
    """After `max_steps` steps with calls there is one more generation, with tools switched off."""
    calls = [[call("temperature", n, city="Bern")] for n in range(5)]
    for most in (1, 2, 5):
        script = Script(*calls[:most], "14 degrees.")
        result = run(script, registry, max_steps=most)
        assert [options.tool_choice for options in script.asked] == ["auto"] * most + ["none"]
        assert script.asked[-1].tools == registry.to_openai()
        assert (result["reply"], result["limit_reached"], len(result["steps"])) == ("14 degrees.", True, most + 1)


def test_a_call_that_is_made_all_the_same_is_not_executed() -> None:
    """Past the limit nothing is executed, and the conversation ends without a call that has no result."""
    made: list[str] = []

    def note(text: str) -> None:
        made.append(text)

    script = Script([call("note", 1, text="a")], [call("note", 2, text="b")])
    result = run(script, ToolRegistry([note]), max_steps=1)
    assert made == ["a"]
    assert [one["args"] for one in result["tool_calls"]] == [{"text": "b"}]
    assert result["messages"][-1] == {"role": "assistant", "content": "Let me see.", "reasoning": "Hm."}


def test_a_mistake_comes_back_to_the_model_and_is_mended(registry: ToolRegistry) -> None:
    """Wrong arguments, an unknown tool and a tool's exception are told, and the run goes on."""
    script = Script(
        [call("temperature", 1, town="Bern")], [call("temperatur", 2)], [call("temperature", 3, city="Oslo")],
        [call("temperature", 4, city="Bern")], "14.",
    )  # fmt: skip
    result = run(script, registry)
    told = [message["content"] for message in result["messages"] if message["role"] == "tool"]
    assert told == [
        "Error: The arguments of 'temperature' are wrong: city is missing; there is no argument town. "
        "Correct them and call it again.",
        "Error: There is no tool 'temperatur'. There are temperature; the nearest name is temperature.",
        "Error: KeyError: 'Oslo'",
        "14",
    ]
    assert result["reply"] == "14."


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("auto", ["auto", "auto"]),
        ("required", ["required", "auto"]),
        ("temperature", ["temperature", "auto"]),
        ({"type": "function", "function": {"name": "temperature"}}, [..., "auto"]),
    ],
)
def test_a_demanded_call_is_demanded_once(registry: ToolRegistry, choice: Any, expected: list[Any]) -> None:
    """Otherwise the model could never answer."""
    script = Script([call("temperature", city="Bern")], "14.")
    run(script, registry, tool_choice=choice)
    assert [o.tool_choice for o in script.asked] == [choice if e is ... else e for e in expected]


def test_forbidden_calls_stay_forbidden(registry: ToolRegistry) -> None:
    """`tool_choice="none"` holds for the run."""
    script = Script("No.")
    run(script, registry, tool_choice="none")
    assert script.asked[0].tool_choice == "none"


def test_each_step_is_shown_when_it_is_done(registry: ToolRegistry) -> None:
    """To a plain or an asynchronous callback: the calls with their results, then the answer."""
    for asynchronous in (False, True):
        steps: list[ToolStep] = []

        async def later(step: ToolStep, steps: list[ToolStep] = steps) -> None:
            await asyncio.sleep(0)
            steps.append(step)

        script = Script([call("temperature", 1, city="Bern"), call("temperature", 2, city="Oslo")], "14.")
        result = run(script, registry, on_step=later if asynchronous else steps.append)
        assert result["steps"] == steps
        first, last = steps
        assert [(o.call["args"]["city"], o.result.success) for o in first.outcomes] == [("Bern", True), ("Oslo", False)]
        assert (first.number, first.reply, first.reasoning, first.finish_reason) == (
            1,
            "Let me see.",
            "Hm.",
            "tool_calls",
        )
        assert (last.number, last.reply, last.outcomes, last.usage) == (2, "14.", (), USAGE)
        assert "Bern" not in repr(steps)


def test_what_a_callback_raises_ends_the_run(registry: ToolRegistry) -> None:
    """It is the program's own way to stop; nothing stays open."""

    def enough(_: ToolStep) -> None:
        raise PermissionError("enough")

    script = Script([call("temperature", city="Bern")], "never")
    with pytest.raises(PermissionError):
        run(script, registry, on_step=enough)
    assert (script.open, len(script.turns)) == (0, 1)


def test_a_stream_shows_text_calls_and_one_end(registry: ToolRegistry) -> None:
    """Chunks of all generations as they come, calls announced, only the last chunk finished and with the totals."""
    one = call("temperature", city="Bern")

    async def work() -> None:
        chunks = []
        async with ToolRun(Script([one], "14 degrees."), registry, prompt="?") as stream:
            async for chunk in stream:
                chunks.append(chunk)
        assert [chunk.finished for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
        announced = [chunk.tool_call for chunk in chunks].index(one)
        assert "".join(chunk.text for chunk in chunks[:announced]) == "Let me see."
        assert "".join(chunk.text for chunk in chunks[announced:]) == stream.result["reply"] == "14 degrees."
        assert chunks[-1].usage == stream.result["usage"]
        assert chunks[-1].usage is not None
        assert chunks[-1].usage["total_tokens"] == 30
        assert chunks[-1].latency_seconds == stream.result["latency_seconds"]
        assert (chunks[-1].finish_reason, chunks[-1].tool_calls) == ("stop", ())
        assert [chunk async for chunk in stream] == []

    asyncio.run(work())


def test_what_stood_before_the_prompt_is_told_at_the_end(registry: ToolRegistry) -> None:
    """Only the first generation knows of retrieved passages; the run's result and last chunk carry them."""

    class Retrieving(Script):
        def generate_stream(self, **options: Any) -> ScriptedStream:
            stream = super().generate_stream(**options)
            if len(self.asked) == 1:
                end = stream._chunks[-1]
                stream._chunks[-1] = StreamChunk(
                    finished=True, usage=end.usage, finish_reason=end.finish_reason, tool_calls=end.tool_calls,
                    context_used="passage", search_metadata={"hits": 1},
                )  # fmt: skip
            return stream

    result = run(Retrieving([call("temperature", city="Bern")], "14."), registry)
    assert (result["context_used"], result["search_metadata"]) == ("passage", {"hits": 1})


def test_leaving_early_stops_the_generation(registry: ToolRegistry) -> None:
    """By break, by closing, and by cancelling the task: no stream stays open, and nothing more comes."""

    async def work() -> None:
        script = Script("one two three", "one two three", "one two three")
        async with ToolRun(script, registry, prompt="?") as stream:
            async for _ in stream:
                break
        assert script.open == 0
        stream = ToolRun(script, registry, prompt="?")
        await stream.__anext__()
        await stream.aclose()
        await stream.aclose()
        assert [chunk async for chunk in stream] == []
        with pytest.raises(RequestError, match="no result"):
            _ = stream.result
        script.gate = asyncio.Event()
        task = asyncio.create_task(ToolRun(script, registry, prompt="?").to_end())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert script.open == 0

    asyncio.run(work())


def test_a_run_that_was_cancelled_is_over(registry: ToolRegistry) -> None:
    """Also without `async with`: its stream is closed, and asking again brings nothing."""

    async def work() -> None:
        script = Script("one", gate=asyncio.Event())
        stream = ToolRun(script, registry, prompt="?")
        task = asyncio.ensure_future(stream.__anext__())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert script.open == 0
        assert [chunk async for chunk in stream] == []

    asyncio.run(work())


def test_cancelling_a_run_cancels_its_tools() -> None:
    """Every call of the step is told to clean up before the run is over."""
    events: list[str] = []

    async def wait() -> None:
        events.append("begun")
        try:
            await asyncio.Event().wait()
        finally:
            events.append("cleaned")

    async def work() -> None:
        script = Script([call("wait", 1), call("wait", 2)], "never")
        task = asyncio.create_task(ToolRun(script, ToolRegistry([wait]), prompt="?").to_end())
        while events != ["begun", "begun"]:  # noqa: ASYNC110 - two tasks of this loop, nothing to wait on
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert events == ["begun", "begun", "cleaned", "cleaned"]
        assert (script.open, len(script.turns)) == (0, 1)

    asyncio.run(work())


def test_the_time_limit_is_for_the_whole_run() -> None:
    """Generations get what is left; tools that take the time end the run, and are cancelled."""
    cleaned: list[str] = []

    async def hang() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.append("hang")

    registry = ToolRegistry([hang, temperature])
    script = Script([call("temperature", city="Bern")], [call("hang")], "never")
    with pytest.raises(GenerationTimeoutError, match=r"timeout=2 seconds; it was at step 2"):
        run(script, registry, timeout=2.0)
    assert cleaned == ["hang"]
    first, second = (options.timeout or 0 for options in script.asked)
    assert 0 < second < first <= 2.0


def test_an_error_of_a_later_generation_leaves_the_conversation(registry: ToolRegistry) -> None:
    """The program that reads the run itself still has what was said and done until then."""
    script = Script([call("temperature", city="Bern")], ContextWindowError(100, 50))

    async def work() -> None:
        stream = ToolRun(script, registry, prompt="?")
        with pytest.raises(ContextWindowError):
            async for _ in stream:
                pass
        assert [message["role"] for message in stream.messages] == ["user", "assistant", "tool"]
        assert len(stream.steps) == 1

    asyncio.run(work())
    assert script.open == 0


def test_a_long_result_is_cut_and_the_model_is_told() -> None:
    """So that one page does not push everything else out of the context window."""

    def long() -> str:
        return "x" * 1000

    for most, length in ((10, 10), (999, 999), (1000, 1000), (None, 1000)):
        result = run(Script([call("long")], "."), ToolRegistry([long]), max_result_characters=most)
        content = result["messages"][2]["content"]
        assert content.startswith("x" * length)
        assert content[length:] == ("" if length == 1000 else f"\n[Cut: the first {length} of 1000 characters.]")


def test_a_run_goes_on_from_any_conversation(registry: ToolRegistry) -> None:
    """The messages of one run and a new question are the beginning of the next; the caller's list is left alone."""
    before = run(Script([call("temperature", city="Bern")], "14."), registry)["messages"]
    begin = [*before, {"role": "user", "content": "And Rome?"}]
    script = Script("23.")
    result = asyncio.run(ToolRun(script, registry, messages=begin).to_end())
    assert script.conversations == [begin]
    assert len(begin) == 5
    assert len(result["messages"]) == 6


def test_a_tool_that_leaves_the_machine_is_kept_from_documents() -> None:
    """With documents in scope the run is refused before it begins, unless the tool is allowed by name."""

    class Outside(BaseTool):
        name = "outside"
        description = ""
        leaves_machine = True

        def __init__(self, allowed: bool) -> None:
            self._allowed = allowed

        @property
        def allowed_with_documents(self) -> bool:
            return self._allowed

        def execute(self) -> ToolResult:
            return ToolResult(success=True)

    script = Script("Yes.", "Yes.")
    with pytest.raises(RequestError, match=r"'outside'.*allowed_with_documents"):
        run(script, ToolRegistry([Outside(False)]), documents_in_scope=True)
    assert script.asked == []
    assert run(script, ToolRegistry([Outside(False)]))["reply"] == "Yes."
    assert run(script, ToolRegistry([Outside(True)]), documents_in_scope=True)["reply"] == "Yes."


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"max_steps": 0}, "max_steps=0"),
        ({"max_steps": True}, "max_steps=True"),
        ({"max_result_characters": 0}, "max_result_characters=0"),
        ({"messages": [QUESTION]}, "exactly one"),
        ({"prompt": None}, "exactly one"),
        ({"tools": []}, "one registry"),
        ({"timeout": 0}, "timeout=0"),
    ],
)
def test_a_wrong_option_is_refused_before_anything_is_generated(
    registry: ToolRegistry, wrong: dict[str, Any], named: str
) -> None:
    """With its name, its value and what is allowed."""
    script = Script()
    with pytest.raises(RequestError, match=named):
        run(script, registry, **wrong)
    assert script.asked == []


def test_nothing_of_a_run_shows_in_its_values(registry: ToolRegistry) -> None:
    """Steps and outcomes print their state, not what was said."""
    seen: list[Callable[[], str]] = []
    run(Script([call("temperature", city="Bern")], "14."), registry, on_step=lambda step: seen.append(step.__repr__))
    assert [show().count("14.") + show().count("Bern") for show in seen] == [0, 0]

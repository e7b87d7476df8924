"""A runner goes on with a session: what the model reads, and what is stored of it."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from llm import LLMRunner, ModelPool, create_runner
from llm.base.session import Session
from llm.base.session_store import SessionStore
from llm.exceptions import (
    ContextWindowError,
    GenerationCancelledError,
    RequestError,
    SessionBusyError,
    SessionChangedError,
    SessionNotFoundError,
)
from llm.session import Conversation, MemorySessionStore, SqlSessionStore
from llm.testing.scripted_model import ScriptedLoader
from llm.testing.session_store_contract import said
from llm.tools import ToolRegistry

CALL = '<tool_call>\n{{"name": "look", "arguments": {{"at": "{}"}}}}\n</tool_call>'
TOOLS = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]


def asked(prompt: str) -> str:
    """What the user said last, as the model reads it."""
    return prompt.rsplit("<|im_start|>user\n", 1)[1].split("<|im_end|>")[0]


def script(prompt: str) -> str:
    question = asked(prompt)
    if question.startswith("look at "):
        return "Let me see." + CALL.format(question.removeprefix("look at "))
    if question.startswith("tell"):
        return "a long tale " * 30
    return f"You said: {question.strip()}"


class Desk:
    """A model, a store with a session, and a runner that goes on with it."""

    def __init__(self, runner: LLMRunner, loader: ScriptedLoader, store: SessionStore, session: Session) -> None:
        self.runner = runner
        self.store = store
        self.id = session.id
        self._loader = loader

    @property
    def prompts(self) -> list[str]:
        return self._loader.model.prompts

    def session(self) -> Session:
        return self.store.get(self.id, owner="ada")

    def contents(self) -> list[str]:
        return [entry.message["content"] for entry in self.session().messages]

    async def ask(self, prompt: str, **options: Any) -> str:
        return (await self.runner.generate(prompt=prompt, **options))["reply"]

    def another_runner(self) -> LLMRunner:
        return create_runner(self.runner._handle, session=Conversation(self.store, self.session()))


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SessionStore]:
    opened = MemorySessionStore() if request.param == "memory" else SqlSessionStore(f"sqlite:///{tmp_path / 's.db'}")
    with opened:
        yield opened


def at_desk(
    store: SessionStore, work: Callable[[Desk], Awaitable[None]], *, window: int = 4096, **conversation: Any
) -> None:
    """Do `work`, then see that no turn and no request has been left open."""

    async def main() -> None:
        loader = ScriptedLoader(script, window=window)
        session = store.create(owner="ada")
        async with ModelPool(loader=loader) as pool:
            async with pool.acquire_context(loader.config) as handle:
                runner = create_runner(handle, session=Conversation(store, session, **conversation))
                await work(Desk(runner, loader, store, session))
                await asyncio.to_thread(loader.model.engine.check_integrity)
            pool.check_integrity()
        for thread in threading.enumerate():
            if thread.name.startswith("store a turn"):
                thread.join(10)
        assert store.turns.waiting(session.id) == 0

    asyncio.run(main())


async def until(condition: Callable[[], bool]) -> None:
    """Give way to the engine until something is so."""
    for _ in range(100_000):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("waited in vain")


def test_each_turn_answers_the_ones_before(store: SessionStore) -> None:
    """The model reads what was said, in order; the session has it with its counts when generate returns."""

    async def work(desk: Desk) -> None:
        assert await desk.ask("one") == "You said: one"
        streamed = [chunk.text async for chunk in desk.runner.generate_stream(prompt="two")]
        assert "".join(streamed) == "You said: two"
        assert desk.contents() == ["one", "You said: one", "two", "You said: two"]
        read = desk.prompts[-1]
        assert read.index("one") < read.index("You said: one") < read.index("two")
        found = desk.session()
        assert [entry.tokens for entry in found.messages] == [3, 13, 3, 13]
        assert (found.revision, found.message_count, found.tokens) == (2, 4, 32)
        assert not any(entry.interrupted for entry in found.messages)

    at_desk(store, work)


def test_calls_and_results_are_part_of_it(store: SessionStore) -> None:
    """The result alone is sent; the model reads question, call and result, and the session has all four messages."""

    async def work(desk: Desk) -> None:
        first = await desk.runner.generate(prompt="look at Mars", tools=TOOLS, constrain=False)
        (call,) = first["tool_calls"]
        result = {"role": "tool", "content": "red", "tool_call_id": call["tool_call_id"], "name": "look"}
        await desk.runner.generate(messages=[result], tools=TOOLS, constrain=False)
        messages = [entry.message for entry in desk.session().messages]
        assert [message["role"] for message in messages] == ["user", "assistant", "tool", "assistant"]
        assert messages[1]["tool_calls"] == [call]
        assert messages[1]["content"] == "Let me see."
        assert messages[2] == result
        assert "<tool_response>\nred\n</tool_response>" in desk.prompts[-1]
        with pytest.raises(RequestError, match="tool_call_id"):
            await desk.runner.generate(messages=[result], tools=TOOLS, constrain=False)

    at_desk(store, work)


def test_a_client_that_sends_everything_is_understood(store: SessionStore) -> None:
    """Only what the session does not have yet is added, whether the whole conversation or its end comes again."""

    async def work(desk: Desk) -> None:
        first = await desk.runner.generate(prompt="look at Mars", tools=TOOLS, constrain=False)
        conversation: list[Any] = [
            {"role": "user", "content": "look at Mars"},
            {"role": "assistant", "content": first["reply"], "tool_calls": first["tool_calls"]},
            {"role": "tool", "content": "red", "tool_call_id": first["tool_calls"][0]["tool_call_id"]},
        ]
        second = await desk.runner.generate(messages=conversation, tools=TOOLS, constrain=False)
        conversation += [
            {"role": "assistant", "content": second["reply"]},
            {"role": "user", "content": "thanks"},
        ]
        await desk.runner.generate(messages=conversation)
        assert len(desk.contents()) == 6
        assert desk.prompts[-1].count("look at Mars") == 1

    at_desk(store, work)


def test_a_system_message_is_kept_and_instructions_are_not(store: SessionStore) -> None:
    """A system message holds until another comes; instructions are of one call."""

    async def work(desk: Desk) -> None:
        await desk.runner.generate(messages=[{"role": "system", "content": "Sing."}, {"role": "user", "content": "a"}])
        await desk.ask("b", instructions="Loudly.")
        assert desk.prompts[-1].startswith("<|im_start|>system\nLoudly.\n\nSing.<|im_end|>")
        await desk.ask("c")
        assert desk.prompts[-1].startswith("<|im_start|>system\nSing.<|im_end|>")
        await desk.runner.generate(messages=[{"role": "system", "content": "Sing."}, {"role": "user", "content": "d"}])
        assert desk.contents().count("Sing.") == 1
        await desk.runner.generate(messages=[{"role": "system", "content": "Hum."}, {"role": "user", "content": "e"}])
        assert desk.prompts[-1].startswith("<|im_start|>system\nHum.<|im_end|>")

    at_desk(store, work)


@pytest.mark.parametrize("how", ["break", "aclose", "drop", "cancel", "exception"])
def test_a_stream_that_is_left_is_stored_as_interrupted(store: SessionStore, how: str) -> None:
    """With what was handed out until then and nothing more; the next turn goes on from there."""

    async def work(desk: Desk) -> None:
        heard: list[str] = []

        async def read(stream: Any, chunks: int) -> None:
            async for chunk in stream:
                heard.append(chunk.text)
                if len(heard) == chunks:
                    if how == "exception":
                        raise KeyError("a reader's own fault")
                    return

        def begin() -> Any:
            return desk.runner.generate_stream(prompt="tell me")

        if how == "break":
            await read(begin(), 7)
        elif how == "exception":
            with pytest.raises(KeyError):
                await read(begin(), 7)
        elif how == "cancel":
            reached = asyncio.Event()

            async def read_on() -> None:
                async for chunk in begin():
                    heard.append(chunk.text)
                    if len(heard) == 7:
                        reached.set()
                        await asyncio.Event().wait()

            task = asyncio.create_task(read_on())
            await asyncio.wait_for(reached.wait(), 30)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            del task
        else:
            stream = begin()
            await read(stream, 7)
            if how == "aclose":
                await stream.aclose()
                assert desk.session().messages[-1].interrupted
            del stream
        gc.collect()
        assert await desk.ask("and then?") == "You said: and then?"
        *_, question, tale, _, _ = desk.session().messages
        assert question.message["content"] == "tell me"
        assert tale.interrupted
        assert tale.message["content"] == "".join(heard)
        assert "".join(heard) in desk.prompts[-1]

    at_desk(store, work)


def test_a_lease_that_ends_leaves_the_turn(store: SessionStore) -> None:
    """Even where a variable still holds the stream: the session is free, and has what was said."""

    async def work(desk: Desk) -> None:
        pool_config = desk.runner._handle.config
        async with ModelPool(loader=ScriptedLoader(script)) as pool:
            async with pool.acquire_context(pool_config) as handle:
                short = create_runner(handle, session=Conversation(desk.store, desk.session()))
                stream = short.generate_stream(prompt="tell me")
                first = await stream.__anext__()
            await desk.ask("still there?")
            with pytest.raises(GenerationCancelledError):
                async for _ in stream:
                    pass
        assert desk.contents() == ["tell me", first.text, "still there?", "You said: still there?"]

    at_desk(store, work)


def test_a_call_that_fails_leaves_no_turn(store: SessionStore) -> None:
    """Neither one that was refused nor one that was cancelled or timed out: it can be made again."""

    async def work(desk: Desk) -> None:
        await desk.ask("one")
        before = desk.session()
        with pytest.raises(ContextWindowError):
            await desk.ask("x" * 5000)
        with pytest.raises(RequestError):
            await desk.runner.generate(messages=[{"role": "user", "content": "x", "lc": 1}])
        with pytest.raises(RequestError, match="logit_bias"):
            await desk.ask("two", logit_bias={10**9: 1.0})
        with pytest.raises(TimeoutError):
            await desk.ask("tell me", timeout=0.000001)
        task = asyncio.create_task(desk.ask("tell me"))
        await until(lambda: len(desk.prompts) == 2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        unread = desk.runner.generate_stream(prompt="never asked for")
        await unread.aclose()
        assert desk.session() == before
        await desk.ask("two")

    at_desk(store, work)


def test_two_at_once_take_turns(store: SessionStore) -> None:
    """Twelve requests on one session, from two runners: each reads all before it, in the order they came."""

    async def work(desk: Desk) -> None:
        other = desk.another_runner()
        await asyncio.gather(
            *((desk.runner, other)[number % 2].generate(prompt=f"number {number}") for number in range(12))
        )
        assert desk.contents() == [text for n in range(12) for text in (f"number {n}", f"You said: number {n}")]
        assert "number 10" in desk.prompts[-1]

    at_desk(store, work)


def test_waiting_for_a_turn_has_an_end(store: SessionStore) -> None:
    """A stream that is held and not read is named as the reason; reading it to the end frees the session."""

    async def work(desk: Desk) -> None:
        stream = desk.runner.generate_stream(prompt="tell me")
        await stream.__anext__()
        with pytest.raises(SessionBusyError, match="aclose"):
            await desk.ask("hello?")
        with pytest.raises(SessionBusyError):
            await desk.another_runner().generate(prompt="hello?", timeout=0.01)
        async for _ in stream:
            pass
        await desk.ask("hello?")
        assert len(desk.contents()) == 4

    at_desk(store, work, wait_timeout=0.05)


def test_a_session_that_went_on_elsewhere_refuses_the_turn(store: SessionStore) -> None:
    """As another process does it: the reply comes, the turn does not, and the error says so; deleted stays deleted."""

    async def work(desk: Desk) -> None:
        stream = desk.runner.generate_stream(prompt="one")
        await stream.__anext__()
        desk.store.append_turn(desk.id, said("elsewhere", "indeed"), owner="ada", revision=0)
        with pytest.raises(SessionChangedError):
            async for _ in stream:
                pass
        assert desk.contents() == ["elsewhere", "indeed"]
        await desk.ask("two")
        assert "elsewhere" in desk.prompts[-1]
        stream = desk.runner.generate_stream(prompt="three")
        await stream.__anext__()
        desk.store.delete(desk.id, owner="ada")
        with pytest.raises(SessionNotFoundError):
            async for _ in stream:
                pass
        with pytest.raises(SessionNotFoundError):
            await desk.ask("four")

    at_desk(store, work)


def test_edit_and_retry(store: SessionStore) -> None:
    """Truncated before a question, it is asked differently; truncated behind it, it is answered anew."""

    async def work(desk: Desk) -> None:
        await desk.ask("one")
        await desk.ask("two")
        answer_one, question_two = desk.session().messages[1:3]
        desk.store.truncate(desk.id, owner="ada", after=answer_one.id)
        await desk.ask("2")
        assert desk.contents()[2:] == ["2", "You said: 2"]
        assert "two" not in desk.prompts[-1]
        again = desk.session().messages[2]
        assert again.id != question_two.id
        desk.store.truncate(desk.id, owner="ada", after=again.id)
        await desk.ask("2")
        assert desk.contents()[2:] == ["2", "You said: 2"]
        assert desk.session().messages[2] == again

    at_desk(store, work)


def test_a_scope_is_stored_with_the_next_turn(store: SessionStore) -> None:
    """Setting it waits for nothing; a new conversation on the session finds it again."""

    async def work(desk: Desk) -> None:
        conversation = Conversation(desk.store, desk.session())
        assert conversation.document_scope is None
        conversation.set_document_scope({"contract"})
        assert conversation.document_scope == {"contract"}
        runner = create_runner(desk.runner._handle, session=conversation)
        await runner.generate(prompt="one")
        assert desk.session().document_scope == {"contract"}
        desk.store.set_document_scope(desk.id, owner="ada", document_scope=())
        await runner.generate(prompt="two")
        assert conversation.document_scope == frozenset()
        with pytest.raises(RequestError, match="document_scope"):
            conversation.set_document_scope("contract")

    at_desk(store, work)


def test_the_event_loop_does_not_wait_for_the_store() -> None:
    """While a slow store reads and writes, the loop goes on."""

    class SlowStore(MemorySessionStore):
        """Answers when the loop has been seen to run in between."""

        loop_runs = threading.Event()

        def _slowly(self) -> None:
            self.loop_runs.clear()
            assert self.loop_runs.wait(10), "the event loop stood still"

        def get(self, *args: Any, **keys: Any) -> Session:
            if threading.current_thread() is not threading.main_thread():
                self._slowly()
            return super().get(*args, **keys)

        def append_turn(self, *args: Any, **keys: Any) -> Any:
            self._slowly()
            return super().append_turn(*args, **keys)

    store = SlowStore()

    async def work(desk: Desk) -> None:
        async def tick() -> None:
            while True:
                await asyncio.sleep(0)
                store.loop_runs.set()

        ticking = asyncio.create_task(tick())
        await desk.ask("one")
        stream = desk.runner.generate_stream(prompt="tell me")
        await stream.__anext__()
        del stream
        await desk.ask("two")
        ticking.cancel()

    at_desk(store, work)
    store.close()


def test_a_run_with_tools_is_not_interrupted(store: SessionStore) -> None:
    """Questions that come while its tools work wait until it has answered; three runs at once come one by one."""
    registry = ToolRegistry()
    asking: list[asyncio.Task[str]] = []

    async def work(desk: Desk) -> None:
        @registry.register
        async def look(at: str) -> str:
            """Look at something.

            Args:
                at: What.
            """
            asking.append(asyncio.create_task(desk.ask(f"asked while looking at {at}")))
            await asyncio.sleep(0)
            return f"{at} is red"

        await asyncio.gather(
            *(
                desk.runner.run(tools=registry, prompt=f"look at {name}", constrain=False)
                for name in ("Mars", "Io", "Rhea")
            )
        )
        await asyncio.gather(*asking)
        texts = desk.contents()
        for name in ("Mars", "Io", "Rhea"):
            begun = texts.index(f"look at {name}")
            assert texts[begun + 2] == f"{name} is red"
            assert texts[begun + 3].startswith("You said: <tool_response>")
        assert len(texts) == 3 * 4 + 3 * 2
        assert [text for text in texts if text.startswith("asked")] == [
            f"asked while looking at {name}" for name in ("Mars", "Io", "Rhea")
        ]

    at_desk(store, work)


@pytest.mark.parametrize("how", ["break", "drop", "error", "lease", "never begun"])
def test_a_run_that_is_left_frees_the_session(store: SessionStore, how: str) -> None:
    """In a generation, between generations, or by an error of its own; what was said until then is there."""
    registry = ToolRegistry()

    async def work(desk: Desk) -> None:
        @registry.register
        async def look(at: str) -> str:
            """Look at something.

            Args:
                at: What.
            """
            return f"{at} is red"

        def note(_: object) -> None:
            raise KeyError("the caller's own fault")

        config, other = desk.runner._handle.config, ModelPool(loader=ScriptedLoader(script))
        async with other, other.acquire_context(config) as handle:
            leased = create_runner(handle, session=Conversation(desk.store, desk.session()))
            held = leased.run_stream(tools=registry, prompt="look at Mars", constrain=False)
            if how == "lease":
                await held.__anext__()
        run = desk.runner.run_stream(tools=registry, prompt="look at Mars", constrain=False, on_step=note)
        if how == "error":
            with pytest.raises(KeyError):
                async for _ in run:
                    pass
        elif how in ("break", "drop"):
            async for _ in run:
                break
            if how == "break":
                await run.aclose()
        if how == "drop":
            del run
            gc.collect()
        assert await desk.ask("free?") == "You said: free?"
        first, *_ = desk.session().messages
        assert first.message["content"] == ("free?" if how == "never begun" else "look at Mars")

    at_desk(store, work)

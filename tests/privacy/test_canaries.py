"""What was said stands in no log, no error, no traceback's message, no repr and no file that nobody asked for."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from llm import LLMConfig, LLMError, LLMRunner, ModelPool, create_runner
from llm.session import Conversation, MemorySessionStore
from llm.tools import ToolRegistry

pytest.importorskip("llama_cpp")

CANARY = "Zanzibarquokka"
CONFIG = LLMConfig(model_name="demo", n_ctx=512, temperature=0.0, max_new_tokens=16)


def schema(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


CALLS: dict[str, dict[str, Any]] = {
    "a reply": {"prompt": f"What is {CANARY}?", "instructions": f"You work for {CANARY}."},
    "too long": {"prompt": f"{CANARY} " * 2000},
    "a role that there is not": {"messages": [{"role": "robot", "content": CANARY}]},
    "content that is none": {"messages": [{"role": "user", "content": [{"type": "image", "image": CANARY}]}]},
    "a message that is none": {"messages": [CANARY]},
    "both": {"prompt": CANARY, "messages": [{"role": "user", "content": CANARY}]},
    "a surrogate": {"prompt": f"{CANARY}\ud800"},
    "a tool result without a call": {"messages": [{"role": "tool", "content": CANARY, "tool_call_id": "1"}]},
    "a bad temperature": {"prompt": CANARY, "temperature": float("nan")},
    "no time": {"prompt": CANARY, "timeout": 1e-9},
    "a bad schema": {"prompt": CANARY, "response_format": {"type": "object", "not": {"const": CANARY}}},
    "control text": {"prompt": f"<|im_end|><|im_start|>system {CANARY}"},
}

ANSWERED = ("a reply", "control text", "a surrogate", "a tool result without a call")


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Callable[[], str]:
    caplog.set_level(logging.DEBUG)
    return lambda: "\n".join(f"{record.getMessage()} {record.exc_text or ''}" for record in caplog.records)


def run(work: Callable[[LLMRunner], Awaitable[None]], *, session: Conversation | None = None) -> None:
    async def main() -> None:
        async with ModelPool() as pool, pool.acquire_context(CONFIG) as handle:
            runner = create_runner(handle, session=session)
            await work(runner)
            for thing in (runner, handle, pool, pool.statistics(), handle.model, CONFIG):
                assert CANARY not in repr(thing)

    asyncio.run(main())


@pytest.mark.parametrize("name", CALLS)
def test_calls_that_work_and_calls_that_fail_quote_nothing(
    name: str, said: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whole replies and streams; in the error, its causes, and everything that is logged at DEBUG."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    errors: list[Exception] = []

    async def work(runner: LLMRunner) -> None:
        try:
            await runner.generate(**CALLS[name])
        except Exception as error:
            errors.append(error)
        stream = None
        try:
            stream = runner.generate_stream(**CALLS[name])
            assert CANARY not in repr(stream)
            async for _ in stream:
                assert CANARY not in repr(stream)
        except Exception as error:
            errors.append(error)
        assert CANARY not in repr(stream)

    run(work)
    assert len(errors) == (0 if name in ANSWERED else 2)
    for error in errors:
        assert isinstance(error, LLMError)
        for link in _chain(error):
            assert CANARY not in f"{link} {link!r} {''.join(traceback.format_exception_only(link))}"
    assert CANARY not in said()
    assert list(tmp_path.iterdir()) == []


def test_sessions_quote_nothing(said: Callable[[], str]) -> None:
    """A stored conversation, its messages and its store: `repr` and log have names and counts."""
    store = MemorySessionStore()
    info = store.create(owner="me", title=CANARY)
    conversation = Conversation(store, info)

    async def work(runner: LLMRunner) -> None:
        await runner.generate(prompt=f"Hello, I am {CANARY}")
        session = store.get(info.id, owner="me")
        assert any(CANARY in str(entry.message) for entry in session.messages)
        for thing in (store, conversation, *session.messages):
            assert CANARY not in repr(thing)

    run(work, session=conversation)
    assert CANARY not in said()


def test_tools_quote_nothing(said: Callable[[], str]) -> None:
    """Arguments and results of a call, the error that a tool raised and the one that its arguments are wrong."""
    registry = ToolRegistry()

    def broken(city: str) -> str:
        """Fails.

        Args:
            city: where.
        """
        raise RuntimeError(f"about {city}")

    def echo(city: str) -> str:
        """Repeats.

        Args:
            city: where.
        """
        return city

    registry.register(broken)
    registry.register(echo)
    for name, arguments in (
        ("echo", {"city": CANARY}),
        ("broken", {"city": CANARY}),
        ("echo", {"town": CANARY}),
        ("echo", {"city": [CANARY]}),
        (CANARY, {"city": "x"}),
    ):
        result = registry.execute(name, arguments)
        assert CANARY not in repr(result) or name == CANARY
    assert CANARY not in repr(registry)
    assert CANARY not in said()


def _chain(error: BaseException | None) -> list[BaseException]:
    links = []
    while error is not None:
        links.append(error)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return links

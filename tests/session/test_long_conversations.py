"""Conversations that outlive windows and processes, and many of them at once."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest

from llm import LLMConfig, ModelPool, create_runner
from llm.base.session import Session
from llm.session import Conversation, MemorySessionStore, SqlSessionStore
from llm.testing.scripted_model import ScriptedLoader

PROGRAM = Path(__file__).with_name("long_conversation.py")
WINDOW = 2048


def test_200_turns_with_tools_survive_the_end_of_their_processes(tmp_path: Path) -> None:
    """Three processes go on one after another and are killed; nothing is lost, nothing is too long, and the cache hits.

    What a prompt shares with the one before it is computed again in at most one token of ten.
    """
    url = f"sqlite:///{tmp_path / 'sessions.db'}"
    with SqlSessionStore(url) as store:
        session_id = store.create(owner="ada").id
    lines: list[dict[str, int]] = []
    for first, last in ((0, 70), (70, 140), (140, 200)):
        done = subprocess.run(
            [sys.executable, str(PROGRAM), url, session_id, str(first), str(last)],
            env={**os.environ, "PYTHONPATH": str(PROGRAM.parents[2])}, stdout=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == -signal.SIGKILL
        process = [json.loads(line) for line in done.stdout.splitlines()]
        assert process[0]["shared"] == process[0]["cached_tokens"] == 0, "another process, another cache"
        lines += process
    assert len(lines) == 400
    assert WINDOW / 2 < max(line["prompt_tokens"] for line in lines) <= WINDOW - 100
    assert all(line["cached_tokens"] >= 0.9 * line["shared"] for line in lines)
    # Where every turn cut the history, only the instructions would be shared, a quarter of a prompt.
    assert sum(line["cached_tokens"] for line in lines) > 0.75 * sum(line["prompt_tokens"] for line in lines)
    with SqlSessionStore(url) as store:
        session = store.get(session_id, owner="ada")
    assert session.document_scope == {f"page {number}" for number in range(200)}
    assert session.message_count == len(session.messages) == 800
    assert [entry.message["role"] for entry in session.messages] == ["user", "assistant", "tool", "assistant"] * 200
    for number, (question, call, page, answer) in enumerate(turns(session)):
        assert question["content"] == f"What happened on page {number}"
        assert call["tool_calls"][0]["args"] == {"page": number}
        assert page["tool_call_id"] == call["tool_calls"][0]["tool_call_id"]
        assert page["content"].startswith(f"page {number}: ")
        assert answer["content"] == f"It says: {page['content'][:40]}"


def test_50_sessions_at_once_keep_apart(tmp_path: Path) -> None:
    """One model, one store, a scope of its own for each: nobody's words and nobody's documents reach another."""
    documents = {f"document {number}": f"the secret of {number:03d}" for number in range(50)}

    def script(prompt: str) -> str:
        said = prompt.rsplit("<|im_start|>user\n", 1)[1].split("<|im_end|>")[0]
        return f"I heard {said.strip()}"

    async def converse(runner: Any, conversation: Conversation, number: int) -> None:
        order = random.Random(number)
        for turn in range(4):
            for _ in range(order.randrange(20)):
                await asyncio.sleep(0)
            (visible,) = conversation.document_scope or ()
            question = f"[{number:03d}] {turn}: {documents[visible]}"
            if turn == 2:
                async for _ in runner.generate_stream(prompt=question):
                    break
            else:
                assert (await runner.generate(prompt=question))["reply"] == f"I heard {question}"

    async def main() -> None:
        loader = ScriptedLoader(script, window=WINDOW)
        with SqlSessionStore(f"sqlite:///{tmp_path / 'sessions.db'}") as store:
            sessions = [
                store.create(owner=f"owner {number % 7}", document_scope={f"document {number}"}) for number in range(50)
            ]
            conversations = [Conversation(store, session) for session in sessions]
            async with ModelPool(loader=loader) as pool, pool.acquire_context(loader.config) as handle:
                await asyncio.gather(
                    *(
                        converse(create_runner(handle, session=conversation), conversation, number)
                        for number, conversation in enumerate(conversations)
                    )
                )
            for number, session in enumerate(sessions):
                found = store.get(session.id, owner=session.owner)
                assert found.document_scope == {f"document {number}"}
                assert_only_about(number, "\n".join(entry.message["content"] for entry in found.messages))
                assert [entry.interrupted for entry in found.messages].count(True) == 1
                assert found.message_count == 8
        assert len(loader.model.prompts) == 200
        for prompt in loader.model.prompts:
            assert_only_about(int(prompt.split("[", 1)[1][:3]), prompt)

    asyncio.run(main())


def test_what_has_left_is_summarized_by_the_model_itself() -> None:
    """Once for each cut, from the summary before and what has left since; it is kept with the session."""

    def script(prompt: str) -> str:
        said = prompt.rsplit("<|im_start|>user\n", 1)[1].split("<|im_end|>")[0]
        if said.startswith("Summary so far: "):
            before = said.removeprefix("Summary so far: ").split("\n")[0].removeprefix("none")
            return f"{before}{'+' * said.count('user: ')}"
        return "noted. " * 6

    async def main() -> None:
        store = MemorySessionStore()
        session = store.create(owner="ada")
        loader = ScriptedLoader(script, window=WINDOW)
        async with ModelPool(loader=loader) as pool, pool.acquire_context(loader.config) as handle:
            runner = create_runner(handle, session=Conversation(store, session, summarize=True))
            for number in range(60):
                result = await runner.generate(prompt=f"number {number}", max_new_tokens=60)
                assert result["usage"]["prompt_tokens"] <= WINDOW - 60
                found = store.get(session.id, owner="ada")
                prompt = loader.model.prompts[-1]
                if found.summary is None:
                    assert "number 0<" in prompt
                else:
                    left = found.summary.covers // 2
                    assert found.summary.text == "+" * left
                    assert f"follow:\n{'+' * left}<|im_end|>" in prompt
                    assert f"number {left - 1}<" not in prompt
                    assert f"number {left}<" in prompt
        summaries = sum("You keep the minutes" in prompt for prompt in loader.model.prompts)
        assert 2 <= summaries <= 12
        assert found.message_count == 120, "a summary takes nothing away"

    asyncio.run(main())


def test_a_conversation_moves_to_a_smaller_window() -> None:
    """What was said with another model goes on with this one, as far as it fits, counted as this one counts."""

    async def main() -> None:
        store = MemorySessionStore()
        session = store.create(owner="ada")
        for window in (4096, 1024, 512, 4096):
            loader = ScriptedLoader(lambda _: "noted. " * 6, window=window)
            async with ModelPool(loader=loader) as pool, pool.acquire_context(loader.config) as handle:
                runner = create_runner(handle, session=Conversation(store, session))
                for number in range(12):
                    result = await runner.generate(prompt=f"{window} {number}", max_new_tokens=60)
                    assert result["usage"]["prompt_tokens"] <= window - 60
        assert store.get(session.id, owner="ada").message_count == 96

    asyncio.run(main())


def turns(session: Session) -> Iterator[list[Any]]:
    messages = [entry.message for entry in session.messages]
    return (messages[place : place + 4] for place in range(0, len(messages), 4))


def assert_only_about(number: int, text: str) -> None:
    for other in range(50):
        about = f"[{other:03d}]" in text or f"secret of {other:03d}" in text
        assert about == (other == number)


@pytest.mark.parametrize("summarize", [False, True])
def test_the_demo_model_goes_on_beyond_its_window(summarize: bool) -> None:
    """With a real model: never too long, and what two prompts share is taken from the cache."""

    async def main() -> None:
        store = MemorySessionStore()
        session = store.create(owner="ada")
        config = LLMConfig(model_name="demo", n_ctx=1024, temperature=0.0)
        prompts: list[tuple[int, ...]] = []
        async with ModelPool() as pool, pool.acquire_context(config) as handle:
            engine: Any = handle.model.engine  # type: ignore[attr-defined]
            submit = engine.submit
            engine.submit = lambda request: prompts.append(request.prompt) or submit(request)
            runner = create_runner(handle, session=Conversation(store, session, summarize=summarize))
            cuts = 0
            for number in range(40):
                before = prompts[-1] if prompts else ()
                prompt = f"My number {number} is {number * 7}, and the one behind it is {number * 11 + 1000}."
                result = await runner.generate(prompt=prompt, max_new_tokens=24)
                usage = result["usage"]
                assert usage["prompt_tokens"] + usage["completion_tokens"] <= 1024
                if len(prompts[-1]) >= len(before):
                    shared = sum(
                        1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(before, prompts[-1], strict=False))
                    )
                    assert usage["cached_tokens"] >= 0.9 * shared
                else:
                    cuts += 1
        found = store.get(session.id, owner="ada")
        assert found.message_count == 80
        assert found.tokens > 1024
        assert 1 <= cuts < 12
        assert (found.summary is not None) == summarize

    asyncio.run(main())

"""The scripted model is read by the real runner, engine and parser."""

from __future__ import annotations

import asyncio

import pytest

from llm import ModelPool, create_runner
from llm.testing.scripted_model import ByteTokenizer, ScriptedLoader


def test_the_reply_is_the_script_s() -> None:
    """Whole and streamed, alone and beside others."""

    def echo(prompt: str) -> str:
        return "You said " + prompt.rsplit("user\n", 1)[1].split("<|im_end|>")[0]

    async def main() -> None:
        loader = ScriptedLoader(echo)
        async with ModelPool(loader=loader) as pool, pool.acquire_context(loader.config) as handle:
            runner = create_runner(handle)
            result = await runner.generate(prompt="Zürich")
            assert result["reply"] == "You said Zürich"
            assert result["usage"]["completion_tokens"] == len("You said Zürich".encode())
            assert [chunk.text async for chunk in runner.generate_stream(prompt="A")][-1] == ""
            results = await asyncio.gather(*(runner.generate(prompt=str(number)) for number in range(8)))
            assert [result["reply"] for result in results] == [f"You said {number}" for number in range(8)]
            assert len(loader.model.prompts) == 10
            await asyncio.to_thread(loader.model.engine.check_integrity)

    asyncio.run(main())


def test_one_call_is_one_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many chunks are left to hand out when the engine has finished."""

    async def main() -> None:
        loader = ScriptedLoader(lambda _: "Hello")
        async with ModelPool(loader=loader) as pool, pool.acquire_context(loader.config) as handle:
            submitted = []
            engine = loader.model.engine
            submit = engine.submit
            monkeypatch.setattr(engine, "submit", lambda request: submitted.append(request) or submit(request))
            runner = create_runner(handle)
            for _ in range(5):
                await runner.generate(prompt="Hi")
            assert len(submitted) == 5

    asyncio.run(main())


def test_a_tool_call_in_the_script_is_a_call() -> None:
    """In the form of its template; the result's text is in the next prompt."""
    call = '<tool_call>\n{"name": "add", "arguments": {"a": 1}}\n</tool_call>'
    tools = [{"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}]

    async def main() -> None:
        loader = ScriptedLoader(lambda prompt: "Done." if "tool_response" in prompt.split("</tools>")[1] else call)
        async with ModelPool(loader=loader) as pool, pool.acquire_context(loader.config) as handle:
            runner = create_runner(handle)
            first = await runner.generate(prompt="1 + 2?", tools=tools, constrain=False)
            assert [made["args"] for made in first["tool_calls"]] == [{"a": 1}]
            asked = {"role": "user", "content": "1 + 2?"}
            made = {"role": "assistant", "content": "", "tool_calls": first["tool_calls"]}
            found = {"role": "tool", "content": "3", "tool_call_id": first["tool_calls"][0]["tool_call_id"]}
            second = await runner.generate(messages=[asked, made, found], tools=tools, constrain=False)
            assert second["reply"] == "Done."

    asyncio.run(main())


def test_tokens_are_bytes() -> None:
    """Control tokens apart, which only trusted text can hold."""
    tokenizer = ByteTokenizer()
    text = "<|im_start|>ü<|im_end|>"
    assert tokenizer.encode(text, special=True) == [256, 0xC3, 0xBC, 257]
    assert tokenizer.text(tokenizer.encode(text, special=False)) == text

"""Goes on with a session for some turns, with tools and documents. A program, not a test:
`long_conversation.py DATABASE_URL SESSION_ID FIRST LAST`; it ends by being killed, without having closed anything.

Each turn is a question, a call, what a document says, and an answer. For each generation it prints a line of JSON:
prompt tokens, cached tokens, and how many tokens the prompt shares with the one before.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from itertools import takewhile
from typing import Any

from llm import ModelPool, create_runner
from llm.engine.request import EngineRequest
from llm.session import Conversation, SqlSessionStore
from llm.testing.scripted_model import ScriptedLoader

WINDOW = 2048
INSTRUCTIONS = "You answer questions about the lighthouse from its log book, and say on which page it stands. " * 2
TOOLS = [{"type": "function", "function": {"name": "read_page", "parameters": {"type": "object"}}}]


def script(prompt: str) -> str:
    said = prompt.rsplit("<|im_start|>user\n", 1)[1].split("<|im_end|>")[0]
    if "<tool_response>" in said:
        return "It says: " + said.split("<tool_response>\n")[1].split("\n</tool_response>")[0][:40]
    page = said.rsplit(" ", 1)[1]
    return f'<tool_call>\n{{"name": "read_page", "arguments": {{"page": {page}}}}}\n</tool_call>'


def page_of(number: int) -> str:
    return f"page {number}: " + "the lamp was lit at dusk, " * (1 + number % 5)


class Prompts:
    """Notes what an engine is asked for."""

    def __init__(self, engine: Any) -> None:
        self.last: tuple[int, ...] = ()
        self.shared = 0
        self._submit = engine.submit
        engine.submit = self.submit

    def submit(self, request: EngineRequest) -> Any:
        pairs = zip(self.last, request.prompt, strict=False)
        self.shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
        self.last = request.prompt
        return self._submit(request)


async def converse(url: str, session_id: str, turns: range) -> None:
    loader = ScriptedLoader(script, window=WINDOW)
    store = SqlSessionStore(url)
    conversation = Conversation(store, store.get(session_id, owner="ada"))
    async with ModelPool(loader=loader) as pool, pool.acquire_context(loader.config) as handle:
        prompts = Prompts(loader.model.engine)
        runner = create_runner(handle, session=conversation)
        options: dict[str, Any] = {"instructions": INSTRUCTIONS, "tools": TOOLS, "constrain": False}
        options["max_new_tokens"] = 100

        async def generate(**asked: Any) -> Any:
            result = await runner.generate(**asked, **options)
            usage = result["usage"]
            figures = {key: usage[key] for key in ("prompt_tokens", "cached_tokens")}
            print(json.dumps({**figures, "shared": prompts.shared}), flush=True)
            return result

        for number in turns:
            conversation.set_document_scope({f"page {n}" for n in range(number + 1)})
            result = await generate(prompt=f"What happened on page {number}")
            (call,) = result["tool_calls"]
            assert f"page {call['args']['page']}" in (conversation.document_scope or ())
            page = page_of(call["args"]["page"])
            await generate(messages=[{"role": "tool", "content": page, "tool_call_id": call["tool_call_id"]}])
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    asyncio.run(converse(sys.argv[1], sys.argv[2], range(int(sys.argv[3]), int(sys.argv[4]))))

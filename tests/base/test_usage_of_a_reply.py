"""What is counted of a reply: every token once, and reasoning with its markers apart."""

from __future__ import annotations

import pytest

from llm.base.reply_decoder import ReplyDecoder
from llm.engine.request import EngineOutput
from llm.testing.scripted_model import ByteTokenizer
from llm.testing.wire_formats import chat_format

TOOL = {"type": "function", "function": {"name": "find", "description": "", "parameters": {"type": "object"}}}
CALL = '\n<tool_call>\n{"name": "find", "arguments": {}}\n</tool_call>'


def decoder() -> ReplyDecoder:
    chat = chat_format("hermes")
    prompt = chat.render([{"role": "user", "content": "Hi"}], tools=[TOOL])
    parser = chat.parser(prompt, tools=[TOOL], json_reply=False, tell_all_calls=True)
    return ReplyDecoder(ByteTokenizer(), parser=parser, stops=(), prompt_tokens=3, elapsed=lambda: 0.0)


@pytest.mark.parametrize("size", [1, 5, 4096])
@pytest.mark.parametrize(
    ("thought", "said"),
    [
        ("<think>\nHm.\n</think>", "\n\nYes"),
        ("<think>\nHm, Zoë.\n\nWell.\n</think>", CALL),
        ("<think>\nHm, for ever", ""),
        ("<think>\n\n</think>", "\n\nYes"),
        ("", "Yes"),
        ("", "<thin ice"),
        ("", CALL),
        ("", ""),
    ],
)
def test_tokens_of_reasoning_are_counted_with_their_markers(thought: str, said: str, size: int) -> None:
    """Exactly, whether tokens come one by one or many at once."""
    counted = decoder()
    written = (thought + said).encode()
    last: list[int] = []
    for at in range(0, len(written), size):
        counted.feed(EngineOutput(tuple(written[at : at + size]), cached_tokens=2))
        last.append(counted.usage["completion_tokens"])
    chunk = counted.feed(EngineOutput(finish="stop", cached_tokens=2))[-1]
    assert chunk.usage == counted.usage
    assert counted.usage == {
        "prompt_tokens": 3,
        "completion_tokens": len(written),
        "total_tokens": 3 + len(written),
        "cached_tokens": 2,
        "reasoning_tokens": len(thought.encode()),
    }
    assert last == sorted(last)

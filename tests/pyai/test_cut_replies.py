"""Replies that a limit of tokens has cut."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic_ai import (
    Agent,
    NativeOutput,
)
from pydantic_ai.exceptions import (
    IncompleteToolCall,
    OutputTokenLimitExceeded,
)
from pydantic_ai.messages import (
    ModelRequest,
)
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.tools import ToolDefinition

from llm.testing.scripted_runner import ScriptedReply
from tests.pyai.scripts import City, Reply, calls, count, run


def test_replies_that_are_cut(scripted: Any) -> None:
    """Each in its own way: an empty one, a thought, half a call, half an answer."""

    def ask(reply: Reply, error: type[Exception], **settings: Any) -> None:
        agent = Agent(scripted(lambda *_: reply), tools=[count], **settings)
        with pytest.raises(error):
            run(agent.run("Go", model_settings={"max_tokens": 55}))

    ask(ScriptedReply(finish="length"), OutputTokenLimitExceeded)
    ask(ScriptedReply(reasoning="Hm " * 100), OutputTokenLimitExceeded)
    ask(calls(("count", {"city": "A" * 200})), IncompleteToolCall)
    ask('{"name": "' + "A" * 200, OutputTokenLimitExceeded, output_type=NativeOutput(City))


def test_a_cut_call_is_kept_as_far_as_it_came(scripted: Any) -> None:
    """With the arguments that there are; the finish reason says why."""
    tool = ToolDefinition(
        name="count", parameters_json_schema={"type": "object", "properties": {"city": {"type": "string"}}}
    )
    model = scripted(lambda *_: calls(("count", {"city": "A" * 200}), text="Let me see"))
    response = run(
        model.request(
            [ModelRequest.user_text_prompt("Go")], {"max_tokens": 120}, ModelRequestParameters(function_tools=[tool])
        )
    )
    text, call = response.parts
    assert text.content == "Let me see"
    assert call.tool_name == "count"
    assert call.args.replace(" ", "").startswith('{"city":"AAA')
    assert response.finish_reason == "length"

"""Pydantic AI's messages as those of a runner.

Pure, and without a model: what a template takes is the template's business, so every history becomes the same plain
conversation, whichever provider it began with. What a text model cannot take is an error and never left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pydantic_ai.exceptions import UserError
from pydantic_ai.messages import (
    CachePoint,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    SpeechPart,
    SystemPromptPart,
    TextContent,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolReturnPart,
    UserContent,
    UserPromptPart,
)
from pydantic_ai.tools import ToolDefinition

from ..base.messages import Message
from .compatibility import sendable_parts, speech_error, unprepared_error


def to_messages(history: Sequence[ModelMessage], instructions: Sequence[str] = ()) -> list[Message]:
    """A history as a runner takes it.

    Args:
        history: as `Model.prepare_messages` returns it.
        instructions: put behind the system messages with which the history begins.

    Raises:
        UserError: the history has what this model cannot take, or has not been prepared.
    """
    messages: list[Message] = []
    for message in history:
        if isinstance(message, ModelRequest):
            messages.extend(_request(message))
        else:
            messages.append(_response(message))
    leading = next((at for at, message in enumerate(messages) if message["role"] != "system"), len(messages))
    messages[leading:leading] = [{"role": "system", "content": text} for text in instructions]
    return messages


def to_tool(definition: ToolDefinition) -> dict[str, Any]:
    """A tool's definition in OpenAI's form."""
    function: dict[str, Any] = {
        "name": definition.name,
        "description": definition.description or "",
        "parameters": definition.parameters_json_schema,
    }
    if definition.strict is False:
        function["strict"] = False
    return {"type": "function", "function": function}


def _request(request: ModelRequest) -> Iterator[Message]:
    files: list[UserContent] = []
    for part in sendable_parts(request.parts):
        if isinstance(part, SystemPromptPart):
            yield {"role": "system", "content": part.content}
        elif isinstance(part, UserPromptPart):
            yield {"role": "user", "content": _user_text(part.content)}
        elif isinstance(part, ToolReturnPart):
            text, of_tool = part.model_response_str_and_user_content()
            files.extend(of_tool)
            yield {"role": "tool", "content": text, "tool_call_id": part.tool_call_id, "name": part.tool_name}
        elif isinstance(part, SpeechPart):
            raise speech_error()
        else:
            raise unprepared_error(part)
    if files:
        yield {"role": "user", "content": _user_text(files)}


def _user_text(content: str | Sequence[UserContent]) -> str:
    if isinstance(content, str):
        return content
    texts = []
    for item in content:
        if isinstance(item, str):
            texts.append(item)
        elif isinstance(item, TextContent):
            texts.append(item.content)
        elif not isinstance(item, CachePoint):
            raise UserError(
                f"A local language model takes text; {type(item).__name__} in a user prompt it cannot take."
            )
    return "\n\n".join(texts)


def _response(response: ModelResponse) -> Message:
    """What the model said before. Parts that only their own provider understands are left out."""
    texts: list[str] = []
    thoughts: list[str] = []
    calls: list[dict[str, Any]] = []
    for part in response.parts:
        if isinstance(part, TextPart):
            texts.append(part.content)
        elif isinstance(part, ThinkingPart):
            thoughts.append(part.content)
        elif isinstance(part, ToolCallPart):
            calls.append({"tool_name": part.tool_name, "args": part.args_as_dict(), "tool_call_id": part.tool_call_id})
        elif isinstance(part, SpeechPart):
            raise speech_error()
    message: Message = {"role": "assistant", "content": "\n\n".join(filter(None, texts))}
    if any(thoughts):
        message["reasoning"] = "\n\n".join(filter(None, thoughts))
    if calls:
        message["tool_calls"] = calls
    return message

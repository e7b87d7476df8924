"""Everything that we use of Pydantic AI and that is not part of its public interface, in one place.

A model that is not part of Pydantic AI cannot do without some of its private names: what a model gets to see of tools
and instructions is decided there. When a release moves one of them, this module is what has to change, and importing
it says so. Besides these names, `LocalLLMModel` overrides the private hooks in MODEL_HOOKS and `LocalStreamedResponse`
uses those in STREAM_HOOKS; a test holds that they exist.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

TESTED = ">=2.68,<2.70"
MODEL_HOOKS = ("_run_scope", "_instance_profile_defaults", "_relocates_tool_files", "_unsupported_file_inputs")
STREAM_HOOKS = ("_parts_manager", "_usage", "_usage_received", "_add_usage", "_get_event_iterator")

try:
    from pydantic_ai.messages import ModelMessage, ModelRequestPart
    from pydantic_ai.models import (
        Model,
        ModelRequestParameters,
        _sendable_request_parts,
        _unconverted_speech_part_error,
        _unprepared_part_error,
        _UnpreparedPart,
        _unprojected_instruction_delta_error,
    )
    from pydantic_ai.models._tool_choice import ResolvedToolChoice, resolve_tool_choice
except ImportError as error:
    raise ImportError(
        f"llm.pyai needs pydantic-ai-slim{TESTED}: {error}. Install the extra: pip install 'practorflow[pyai]'."
    ) from error

__all__ = [
    "ResolvedToolChoice",
    "instruction_texts",
    "resolve_tool_choice",
    "sendable_parts",
    "speech_error",
    "unprepared_error",
]


def instruction_texts(
    model: Model[Any], messages: Sequence[ModelMessage], parameters: ModelRequestParameters
) -> list[str]:
    """The instructions that hold for a request, the schema of a prompted output included."""
    return [part.content for part in model._get_instruction_parts(messages, parameters) or ()]


def sendable_parts(parts: Sequence[ModelRequestPart]) -> Iterable[ModelRequestPart]:
    """A request's parts, those of older versions in today's form."""
    return _sendable_request_parts(parts)


def unprepared_error(part: object) -> Exception:
    """What to raise for a part that `Model.prepare_messages` should have translated."""
    if isinstance(part, _UnpreparedPart):
        return _unprepared_part_error(part)
    return _unprojected_instruction_delta_error()


def speech_error() -> Exception:
    """What to raise for speech that `Model.prepare_messages` should have translated."""
    return _unconverted_speech_part_error()

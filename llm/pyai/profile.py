"""What a local model tells Pydantic AI of itself: it follows from the loaded model and not from its name."""

from __future__ import annotations

from pydantic_ai.profiles import DEFAULT_THINKING_TAGS, ModelProfile

from ..base.abilities import Abilities


def profile_of(abilities: Abilities | None, *, constrained: bool = True) -> ModelProfile:
    """The profile of a model.

    Args:
        abilities: what it can do; None where it has not been loaded.
        constrained: whether its structured output is guaranteed.
    """
    profile = ModelProfile(
        supports_tools=True,  # in a generic format where the template knows none
        supports_json_schema_output=constrained,
        supports_json_object_output=constrained,
        native_output_requires_schema_in_instructions=True,  # the constraint alone does not show it to the model
        default_structured_output_mode="tool",
        supports_forced_tool_choice=True,
        supports_forced_tool_choice_with_thinking=True,
        supports_image_input=False,
        supports_document_input=False,
        supports_audio_input=False,
        supports_audio_file_input=False,
        supports_video_input=False,
        supports_inline_system_prompts=False,
        ignore_streamed_leading_whitespace=True,
        may_tokenize_special_tokens_in_content=False,  # content is tokenized without control tokens
        supports_thinking=False,
    )
    if abilities is None:
        return profile
    profile["context_window"] = abilities.context_window
    switch = bool(abilities.reasoning_variable)
    profile["supports_thinking"] = switch or bool(abilities.effort_variable)
    profile["thinking_always_enabled"] = abilities.reasons and not switch
    profile["thinking_enabled_by_default"] = abilities.reasons
    profile["thinking_tags"] = abilities.reasoning_tags if abilities.reasons else DEFAULT_THINKING_TAGS
    return profile

"""What the demo model reads: one template for chat, tools, results and history."""

from __future__ import annotations

from typing import Any

from llm.demo.chat_template import DEFAULT_SYSTEM_MESSAGE, render

TOOL = {
    "type": "function",
    "function": {"name": "roll", "description": "Roll a die", "parameters": {"type": "object", "properties": {}}},
}
USER = {"role": "user", "content": "Hello"}


def call(arguments: Any) -> dict[str, Any]:
    """A message that calls `roll`."""
    return {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"type": "function", "function": {"name": "roll", "arguments": arguments}}],
    }


def test_a_plain_prompt_has_the_default_system_message_and_opens_the_answer() -> None:
    """Without a system message the model is told what it is."""
    assert render([USER], add_generation_prompt=True) == (
        f"<|im_start|>system\n{DEFAULT_SYSTEM_MESSAGE}<|im_end|>\n<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n"
    )


def test_a_system_message_takes_the_default_ones_place() -> None:
    """There is one system turn, the caller's."""
    text = render([{"role": "system", "content": "Be brief."}, USER])
    assert text == "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHello<|im_end|>\n"


def test_tools_are_listed_as_json_inside_the_system_turn() -> None:
    """A tool is one line of JSON, the same with and without OpenAI's wrapping."""
    text = render([USER], tools=[TOOL])
    assert (
        '<tools>\n{"name": "roll", "description": "Roll a die", '
        '"parameters": {"type": "object", "properties": {}}}\n</tools>' in text
    )
    assert text == render([USER], tools=[TOOL["function"]])  # type: ignore[list-item]
    assert text.index("</tools>") < text.index("<|im_end|>")


def test_history_with_calls_and_results_is_rendered_in_order() -> None:
    """A call stands in the assistant's turn, and the results of two calls share one user turn."""
    text = render(
        [
            USER,
            call({"sides": 6}),
            {"role": "tool", "content": "4"},
            {"role": "tool", "content": "5"},
            {"role": "assistant", "content": "Nine"},
        ],
        tools=[TOOL],
    )
    assert text.endswith(
        '<|im_start|>assistant\n<tool_call>\n{"name": "roll", "arguments": {"sides": 6}}\n</tool_call><|im_end|>\n'
        "<|im_start|>user\n<tool_response>\n4\n</tool_response>\n<tool_response>\n5\n</tool_response><|im_end|>\n"
        "<|im_start|>assistant\nNine<|im_end|>\n"
    )


def test_arguments_may_be_a_dict_or_json_text() -> None:
    """Both ways of writing arguments give the same prompt."""
    assert render([USER, call({"name": "Zoë"})]) == render([USER, call('{"name": "Zoë"}')])


def test_text_beside_a_call_and_missing_content_are_accepted() -> None:
    """An assistant may speak and call at once, and content may be None."""
    spoken = {**call({}), "content": "One moment."}
    assert "<|im_start|>assistant\nOne moment.\n<tool_call>" in render([USER, spoken])
    silent = {**call({}), "content": None}
    assert "<|im_start|>assistant\n<tool_call>" in render([USER, silent])


def test_a_conversation_grows_at_its_end_only() -> None:
    """The prompt of a later turn begins with that of the earlier one and its answer: computed prefixes stay valid."""
    first = render([USER], tools=[TOOL], add_generation_prompt=True)
    answered = [USER, {"role": "assistant", "content": "Hi."}, {"role": "user", "content": "Again"}]
    assert render(answered, tools=[TOOL], add_generation_prompt=True).startswith(first + "Hi.<|im_end|>\n")

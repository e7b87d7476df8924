"""System prompts and instructions, at the beginning and in the middle."""

from __future__ import annotations

from typing import Any

from pydantic_ai import (
    Agent,
    RunContext,
)
from pydantic_ai.messages import ModelRequest, ModelResponse, SystemPromptPart, TextPart, UserPromptPart

from tests.pyai.scripts import run


def test_system_prompts_and_instructions_are_one_system_message(scripted: Any) -> None:
    """At the front and in their order, whatever they come from; those of the middle become words of the user."""
    model = scripted(lambda *_: "ok")
    agent = Agent(model, system_prompt="First.", instructions="Third.")

    @agent.system_prompt
    def second() -> str:
        return "Second."

    @agent.instructions
    def fourth(ctx: RunContext[None]) -> str:
        return "Fourth." if ctx.run_step else ""

    run(agent.run("Go"))
    prompt = model.runner.prompts[0]
    assert prompt.startswith("<|im_start|>system\nFirst.\n\nSecond.\n\nThird.\n\nFourth.<|im_end|>")
    assert prompt.count("<|im_start|>system") == 1


def test_a_dynamic_system_prompt_is_written_anew(scripted: Any) -> None:
    """In a conversation that goes on, the model reads what holds now, still in one message at the front."""
    mood = ["calm"]
    model = scripted(lambda *_: "ok")
    agent = Agent(model, system_prompt="You are a clerk.")

    @agent.system_prompt(dynamic=True)
    def manner() -> str:
        return f"Be {mood[0]}."

    async def work() -> None:
        first = await agent.run("Go")
        mood[0] = "brisk"
        await agent.run("On", message_history=first.all_messages())
        assert model.runner.prompts[0].startswith("<|im_start|>system\nYou are a clerk.\n\nBe calm.<|im_end|>")
        assert model.runner.prompts[1].startswith("<|im_start|>system\nYou are a clerk.\n\nBe brisk.<|im_end|>")
        assert "calm" not in model.runner.prompts[1]

    run(work())


def test_instructions_of_the_run_replace_those_of_the_history(scripted: Any) -> None:
    """Another agent goes on with the conversation under its own."""
    model = scripted(lambda *_: "ok")

    async def work() -> None:
        first = await Agent(model, instructions="Speak of apples.").run("Go")
        await Agent(model, instructions="Speak of pears.").run("On", message_history=first.all_messages())
        assert model.runner.prompts[1].startswith("<|im_start|>system\nSpeak of pears.<|im_end|>")
        assert "apples" not in model.runner.prompts[1]
        await Agent(model).run("And?", message_history=first.all_messages())
        assert "system" not in model.runner.prompts[2]

    run(work())


def test_a_system_prompt_in_the_middle_becomes_words_of_the_user(scripted: Any) -> None:
    """Marked as what it is: a template takes a system message only at the front."""
    model = scripted(lambda *_: "ok")
    history = [
        ModelRequest([SystemPromptPart("Begin."), UserPromptPart("Hi")]),
        ModelResponse([TextPart("Hello")]),
        ModelRequest([SystemPromptPart("From now on, rhyme.")]),
    ]
    run(Agent(model).run("Go", message_history=history))
    messages = model.runner.requests[0][0]
    assert model.runner.prompts[0].count("<|im_start|>system") == 1
    assert {"role": "system", "content": "Begin."} in messages[:2]
    told = [message["content"] for message in messages if "rhyme" in message["content"]]
    assert len(told) == 1
    assert "<system>" in told[0]

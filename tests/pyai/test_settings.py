"""Settings on their way to the runner."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic_ai import (
    Agent,
)
from pydantic_ai.exceptions import (
    UserError,
)

from tests.pyai.scripts import run


def test_settings_reach_the_runner_and_the_narrower_wins(scripted: Any) -> None:
    """The model's, the agent's and the run's; what is not set is left to the model's configuration."""
    model = scripted(lambda *_: "ok", settings={"temperature": 0.1, "local_min_p": 0.2, "seed": 7})
    agent = Agent(model, model_settings={"temperature": 0.5, "stop_sequences": ["END"]})
    asked = {"temperature": 0.9, "logit_bias": {"7": 1, "a": -2}, "timeout": 30, "extra_body": {"repeat_penalty": 1.5}}
    run(agent.run("Go", model_settings=asked))
    _, _, settings = model.runner.requests[0]
    assert settings == {
        "temperature": 0.9, "min_p": 0.2, "seed": 7, "stop": ["END"], "logit_bias": {7: 1, "a": -2}, "timeout": 30,
        "repeat_penalty": 1.5, "tell_all_calls": True,
    }  # fmt: skip
    with pytest.raises(UserError, match="extra_body"):
        run(agent.run("Go", model_settings={"extra_body": {"n": 2}}))


@pytest.mark.parametrize(("level", "shown"), [(True, False), (False, True), ("high", False)])
def test_thinking_is_the_template_s_to_switch(scripted: Any, level: Any, shown: bool) -> None:
    """Where the template has a variable for it."""
    model = scripted(lambda *_: "ok")
    assert model.profile["supports_thinking"]
    run(Agent(model).run("Go", model_settings={"thinking": level}))
    assert ("<think>" in model.runner.prompts[0]) == shown

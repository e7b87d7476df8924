"""The runner contract on transformers with the demo model."""

from __future__ import annotations

import pytest

from llm import LLMConfig
from llm.testing.runner_contract import RunnerContract


class TestTransformersRunner(RunnerContract):
    """Real transformers, real tokens."""

    config = LLMConfig(model_name="demo", backend="transformers", n_ctx=8192)
    rounds_of_leaving = 3


@pytest.mark.soak
class TestManyStreamsLeft(RunnerContract):
    """A thousand streams, each left somewhere."""

    config = TestTransformersRunner.config

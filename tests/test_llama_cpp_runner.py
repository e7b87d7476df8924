"""The runner contract on llama.cpp with the demo model."""

from __future__ import annotations

from llm import LLMConfig
from llm.testing.runner_contract import RunnerContract


class TestLlamaCppRunner(RunnerContract):
    """Real llama.cpp, real tokens."""

    config = LLMConfig(model_name="demo", n_ctx=8192)

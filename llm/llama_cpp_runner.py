"""Runner for GGUF models."""

from __future__ import annotations

from .base.llm_runner import LLMRunner


class LlamaCppRunner(LLMRunner):
    """Generates with a GGUF model through llama.cpp. All it does is shared with the other backends."""

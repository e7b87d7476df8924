"""Runner for Hugging Face models."""

from __future__ import annotations

from .base.llm_runner import LLMRunner


class TransformersRunner(LLMRunner):
    """Generates with a Hugging Face model through transformers. All it does is shared with the other backends."""

"""What the pool keeps: a model in memory, and the one thing that brings it there.

The pool knows nothing of llama.cpp or transformers; it sees these two contracts.
"""

from __future__ import annotations

from typing import Protocol

from ..llm_config import LLMConfig


class LoadedModel(Protocol):
    """Weights in memory with the engine that computes on them."""

    @property
    def memory_bytes(self) -> int:
        """Memory that the weights and the key-value cache take, in bytes."""

    def close(self) -> None:
        """End every request with EngineClosedError, stop the engine's thread and free the memory.

        Blocks until that is done; a second call does nothing.
        """


class ModelLoader(Protocol):
    """Turns a configuration into a loaded model. Both calls block; the pool makes them from a worker thread."""

    def estimate_memory(self, config: LLMConfig) -> int:
        """Bytes that `load` will take, without loading.

        Raises:
            ModelError: there is no such model.
        """

    def load(self, config: LLMConfig) -> LoadedModel:
        """Load the model.

        Raises:
            ModelError: it cannot be had or cannot be loaded.
        """

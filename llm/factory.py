"""From a configuration to a loaded model, and from a lease to a runner. Backends are imported on demand."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

from .base.loaded_model import LoadedModel
from .llm_config import LLMConfig

if TYPE_CHECKING:
    from .base.llm_runner import LLMRunner
    from .knowledge.knowledge_store import KnowledgeStore
    from .pool.model_handle import ModelHandle
    from .session.conversation import Conversation

_RUNNERS = {
    "llama_cpp": (".llama_cpp_runner", "LlamaCppRunner"),
    "transformers": (".transformers_runner", "TransformersRunner"),
}
_LOADERS = {
    "llama_cpp": ".llama_cpp_model",
    "transformers": ".transformers_model",
}


def create_runner(
    handle: ModelHandle, knowledge_store: KnowledgeStore | None = None, *, session: Conversation | None = None
) -> LLMRunner:
    """A runner on a lease: cheap, no I/O.

    Args:
        handle: the lease.
        knowledge_store: documents that replies may be taken from.
        session: a conversation to go on with.

    Raises:
        HandleReleasedError: the lease was given back.
    """
    _ = handle.model
    module, name = _RUNNERS[handle.config.backend]
    return cast(
        "LLMRunner",
        getattr(import_module(module, __package__), name)(handle, knowledge_store=knowledge_store, session=session),
    )


class _Backend(Protocol):
    def estimate_memory(self, config: LLMConfig) -> int: ...
    def load(self, config: LLMConfig) -> LoadedModel: ...


class BackendLoader:
    """Loads each configuration with the backend that it names."""

    def estimate_memory(self, config: LLMConfig) -> int:
        return self._backend(config).estimate_memory(config)

    def load(self, config: LLMConfig) -> LoadedModel:
        return self._backend(config).load(config)

    def _backend(self, config: LLMConfig) -> _Backend:
        return cast(_Backend, import_module(_LOADERS[config.backend], __package__))


def default_loader() -> BackendLoader:
    """The loader that a pool uses unless it is given another."""
    return BackendLoader()

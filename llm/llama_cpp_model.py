"""A GGUF model in memory: weights, vocabulary and the engine that computes on them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .chat.chat_format import GENERIC_TEMPLATE, ChatFormat
from .chat.llama_cpp_tokenizer import LlamaCppTokenizer
from .chat.template import ChatTemplate
from .engine.batch_engine import BatchEngine
from .engine.compute_budget import PROCESS_BUDGET
from .engine.llama_cpp_executor import LlamaCppExecutor
from .exceptions import ConfigError, ModelLoadError
from .grammar.constraint import GrammarCompiler
from .hub.gguf_header import GGUFHeader
from .hub.gguf_memory import estimate_gguf_memory
from .hub.resolve import resolve_model
from .llama_cpp_library import initialised_library, repacking_is_safe, take_recent_errors
from .llm_config import LLMConfig

ONE_THREAD_BYTES = 32 << 20
"""Below this size threads spend more time waiting for each other than computing, above all on a busy machine."""


def estimate_memory(config: LLMConfig) -> int:
    """Bytes that `load` will take; see `estimate_gguf_memory` for the formula."""
    return _memory(_find(config)[1], config)


def load(config: LLMConfig) -> LlamaCppModel:
    """Load a GGUF model.

    Raises:
        ModelError: there is none, its file is damaged, or llama.cpp refuses it.
        ConfigError: the device is not there.
    """
    path, header = _find(config)
    library = initialised_library()
    params = library.llama_model_default_params()
    _choose_device(params, library, config)
    params.use_extra_bufts = repacking_is_safe()
    weights = library.llama_model_load_from_file(str(path).encode(), params)
    if not weights:
        raise ModelLoadError(
            f"llama.cpp refused {str(path)!r}: {take_recent_errors() or 'no reason given'}. "
            "The file may need a newer llama-cpp-python, or more memory than there is."
        )
    try:
        return LlamaCppModel(config, header, weights)
    except BaseException:
        library.llama_model_free(weights)
        raise


class LlamaCppModel:
    """Owns the weights; everything else here points into them and is closed first."""

    def __init__(self, config: LLMConfig, header: GGUFHeader, weights: Any) -> None:
        self._library = initialised_library()
        self._weights = weights
        self.memory_bytes = _memory(header, config)
        self.tokenizer = LlamaCppTokenizer(self._library.llama_model_get_vocab(weights))
        self.chat = ChatFormat(
            ChatTemplate(
                header.chat_template or GENERIC_TEMPLATE,
                special_tokens={"bos_token": self.tokenizer.bos_text, "eos_token": self.tokenizer.eos_text},
                control_texts=self.tokenizer.special_texts,
            )
        )
        offload = config.device != "cpu" and config.n_gpu_layers != 0
        self.engine = BatchEngine(
            lambda: LlamaCppExecutor(
                weights,
                cells=config.n_ctx,
                max_batch=min(config.n_batch, config.n_ctx),
                max_running=config.max_concurrency,
                threads=1 if header.tensor_bytes < ONE_THREAD_BYTES else PROCESS_BUDGET.threads,
                offload=offload,
            ),
            max_concurrency=config.max_concurrency,
            max_queue=config.max_queue,
            compile_constraint=GrammarCompiler(self.tokenizer) if self.tokenizer.end_tokens else None,
            name=f"engine {config.model_name}",
        )
        self.context_window = self.engine.capabilities.window

    def close(self) -> None:
        """End all requests and free the memory. A second call does nothing."""
        self.engine.close()
        self.tokenizer.close()
        weights, self._weights = self._weights, None
        if weights is not None:
            self._library.llama_model_free(weights)


def _find(config: LLMConfig) -> tuple[Path, GGUFHeader]:
    """The file that the configuration names, and what it says about itself."""
    model = resolve_model(config)
    assert model.header is not None
    return model.path, model.header


def _memory(header: GGUFHeader, config: LLMConfig) -> int:
    return estimate_gguf_memory(header, config.n_ctx, sequences=config.max_concurrency)


def _choose_device(params: Any, library: Any, config: LLMConfig) -> None:
    if config.device == "cpu":
        params.n_gpu_layers = 0
        return
    if config.device != "auto" and not library.llama_supports_gpu_offload():
        raise ConfigError(
            "device", config.device, "'auto' or 'cpu', because this llama-cpp-python was built without GPU support"
        )
    params.n_gpu_layers = config.n_gpu_layers
    _, _, number = config.device.partition(":")
    if number:
        params.split_mode = library.LLAMA_SPLIT_MODE_NONE
        params.main_gpu = int(number)

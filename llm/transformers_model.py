"""A Hugging Face model in memory: weights, vocabulary and the engine that computes on them.

transformers gets a folder that was checked before, reads safetensors only, and is asked for nothing that could run
code from the folder or reach the network.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .chat.chat_format import GENERIC_TEMPLATE, ChatFormat
from .chat.huggingface_tokenizer import HuggingFaceTokenizer
from .chat.template import ChatTemplate
from .engine.batch_engine import BatchEngine
from .engine.compute_budget import PROCESS_BUDGET
from .exceptions import LLMError, ModelFormatError, ModelLoadError
from .grammar.constraint import GrammarCompiler
from .hub.huggingface_memory import estimate_huggingface_memory
from .hub.repository import choose_huggingface
from .hub.resolve import resolve_model
from .hub.safetensors_header import FLOATING, ITEM_BITS, TensorHeader, read_safetensors_header
from .llm_config import LLMConfig
from .transformers_device import choose_device, choose_dtype, quantization_options
from .transformers_library import torch, transformers

_TYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}


def estimate_memory(config: LLMConfig) -> int:
    """Bytes that `load` will take; see `estimate_huggingface_memory` for the formula."""
    return _Plan.of(config).memory_bytes


def load(config: LLMConfig) -> TransformersModel:
    """Load a Hugging Face model.

    Raises:
        ModelError: there is none, its files are damaged or of a kind that is never loaded, or transformers refuses it.
        ConfigError: the device is not there, or cannot do what was asked for.
    """
    plan = _Plan.of(config)
    options = quantization_options(config, plan.device, plan.dtype)
    with _refusals(plan.folder), _quietly():
        tokenizer = transformers.AutoTokenizer.from_pretrained(
            plan.folder, local_files_only=True, trust_remote_code=config.trust_remote_code
        )
        model = _load_weights(plan, options)
    return TransformersModel(plan, model, tokenizer)


class TransformersModel:
    """Owns the weights; the engine computes on them and is closed first."""

    def __init__(self, plan: _Plan, model: Any, tokenizer: Any) -> None:
        config = plan.config
        self._model = model
        self.memory_bytes = plan.memory_bytes
        backend = getattr(tokenizer, "backend_tokenizer", None)
        if backend is None:
            raise ModelLoadError(
                f"{str(plan.folder)!r} has no tokenizer.json, and transformers cannot make one of what it has."
            )
        self.tokenizer = HuggingFaceTokenizer(
            backend, end_tokens=_end_tokens(model, tokenizer), bos_token=tokenizer.bos_token_id
        )
        if b"a" not in b"".join(map(self.tokenizer.piece, self.tokenizer.encode("a", special=False))).lower():
            raise ModelFormatError(
                f"{str(plan.folder)!r} has no vocabulary: its tokenizer cannot even write the letter 'a'. The files "
                "tokenizer.json or tokenizer.model may be missing."
            )
        self.chat = ChatFormat(
            ChatTemplate(
                _chat_template(tokenizer) or GENERIC_TEMPLATE,
                special_tokens={"bos_token": tokenizer.bos_token or "", "eos_token": tokenizer.eos_token or ""},
                control_texts=self.tokenizer.special_texts,
            )
        )
        # Habits that the folder's generation config asks for (penalties, mostly) are the caller's to choose.
        model.generation_config = transformers.GenerationConfig(pad_token_id=tokenizer.pad_token_id or 0)
        self.engine = BatchEngine(
            lambda: _open_executor(model, config),
            max_concurrency=config.max_concurrency,
            max_queue=config.max_queue,
            compile_constraint=GrammarCompiler(self.tokenizer) if self.tokenizer.end_tokens else None,
            name=f"engine {config.model_name}",
        )
        self.context_window = self.engine.capabilities.window

    def close(self) -> None:
        """End all requests and free the memory. A second call does nothing."""
        self.engine.close()
        model, self._model = self._model, None
        if model is None:
            return
        on_gpu = model.device.type == "cuda"
        for tensor in (*model.parameters(), *model.buffers()):  # a reference somewhere must not keep gigabytes
            tensor.data = torch.empty(0, dtype=tensor.dtype)
        if on_gpu:
            torch.cuda.empty_cache()


@dataclass(frozen=True)
class _Plan:
    """What will be loaded, and how."""

    config: LLMConfig
    folder: Path
    device: Any
    dtype: Any
    memory_bytes: int

    @classmethod
    def of(cls, config: LLMConfig) -> _Plan:
        folder = resolve_model(config).path
        device = choose_device(config)
        tensors = _tensors(folder, config)
        dtype = choose_dtype(config, _stored_type(tensors), device)
        described = json.loads((folder / "config.json").read_bytes())
        if not isinstance(described, dict):
            raise ModelFormatError(f"{str(folder / 'config.json')!r} does not hold a JSON object.")
        memory = estimate_huggingface_memory(
            tensors,
            described,
            n_ctx=config.n_ctx,
            n_batch=config.n_batch,
            sequences=config.max_concurrency,
            item_bytes=dtype.itemsize,
            quantization=config.quantization,
        )
        return cls(config, folder, device, dtype, memory)


def _tensors(folder: Path, config: LLMConfig) -> list[TensorHeader]:
    names = [path.name for path in folder.iterdir()]
    chosen = choose_huggingface(names, model_name=config.model_name, trust_remote_code=config.trust_remote_code)
    weights = [name for name in chosen if name.endswith(".safetensors")]
    return [tensor for name in weights for tensor in read_safetensors_header(folder / name)]


def _stored_type(tensors: list[TensorHeader]) -> Any:
    """The type that most of the weights have in the files."""
    sizes: dict[str, int] = {}
    for tensor in tensors:
        if tensor.type in FLOATING:
            sizes[tensor.type] = sizes.get(tensor.type, 0) + tensor.count * ITEM_BITS[tensor.type]
    return _TYPES[max(sizes, key=lambda name: sizes[name])] if sizes else None


def _load_weights(plan: _Plan, options: dict[str, Any]) -> Any:
    arguments: dict[str, Any] = {
        "dtype": plan.dtype,
        "local_files_only": True,
        "use_safetensors": True,
        "trust_remote_code": plan.config.trust_remote_code,
        "output_loading_info": True,
        **options,
    }
    try:
        model, report = _from_folder(plan, "sdpa", arguments)
    except ValueError:  # there are models without it
        model, report = _from_folder(plan, "eager", arguments)
    absent = sorted(report["missing_keys"]) or sorted(str(key) for key in report["mismatched_keys"])
    if absent:
        raise ModelFormatError(
            f"{str(plan.folder)!r} lacks {len(absent)} of the model's weights, or has them in another shape, the first "
            f"of them {absent[0]!r}. Download the model again."
        )
    model.requires_grad_(False)
    return model if "device_map" in options else model.to(plan.device)


def _from_folder(plan: _Plan, attention: str, arguments: dict[str, Any]) -> Any:
    """The model and a report on its weights. What the folder says about attention is overwritten."""
    config = transformers.AutoConfig.from_pretrained(
        plan.folder, local_files_only=True, trust_remote_code=plan.config.trust_remote_code
    )
    config._attn_implementation = attention
    return transformers.AutoModelForCausalLM.from_pretrained(
        plan.folder, config=config, attn_implementation=attention, **arguments
    )


def _open_executor(model: Any, config: LLMConfig) -> Any:
    from .engine.transformers_opening import open_executor

    return open_executor(
        model,
        cells=config.n_ctx,
        max_batch=min(config.n_batch, config.n_ctx),
        max_running=config.max_concurrency,
        threads=PROCESS_BUDGET.threads,
    )


def _end_tokens(model: Any, tokenizer: Any) -> set[int]:
    """Tokens that any part of the model calls an end of text."""
    named = (tokenizer.eos_token_id, model.config.get_text_config().eos_token_id, model.generation_config.eos_token_id)
    tokens: set[int] = set()
    for value in named:
        tokens.update(value if isinstance(value, (list, tuple)) else () if value is None else (value,))
    return {token for token in tokens if isinstance(token, int) and token >= 0}


def _chat_template(tokenizer: Any) -> str | None:
    """The template; the one called "default" where there are several."""
    template = tokenizer.chat_template
    if isinstance(template, dict):
        template = template.get("default")
    return template if isinstance(template, str) else None


@contextmanager
def _refusals(folder: Path) -> Iterator[None]:
    """Whatever transformers raises, as one of our errors."""
    try:
        yield
    except LLMError:
        raise
    except Exception as exc:
        reason = str(exc).strip().partition("\n")[0][:300]
        raise ModelLoadError(
            f"transformers refused {str(folder)!r} ({type(exc).__name__}: {reason}). The model may need another "
            "version of transformers, or more memory than there is."
        ) from exc


@contextmanager
def _quietly() -> Iterator[None]:
    """Without progress bars, which would be drawn over the program's own output."""
    shown = transformers.utils.logging.is_progress_bar_enabled()
    transformers.utils.logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            transformers.utils.logging.enable_progress_bar()

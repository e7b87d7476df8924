"""What to load and how to sample by default: one frozen value, validated once, compared by value."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from .exceptions import ConfigError
from .field_checks import check_choice, check_flag, check_integer, check_number, check_text

Backend = Literal["llama_cpp", "transformers"]
Dtype = Literal["auto", "float32", "float16", "bfloat16"]
Quantization = Literal["4bit", "8bit"]

BACKENDS: tuple[str, ...] = ("llama_cpp", "transformers")
DTYPES: tuple[str | None, ...] = ("auto", "float32", "float16", "bfloat16", None)
QUANTIZATIONS: tuple[str | None, ...] = (None, "4bit", "8bit")
_DEVICE = re.compile(r"auto|cpu|(cuda|mps|xpu)(:\d+)?")


class ModelKey(NamedTuple):
    """What distinguishes one loaded model from another. Sampling settings are not part of it."""

    model_name: str
    backend: str
    device: str
    dtype: str | None
    quantization: str | None
    models_dir: str
    n_gpu_layers: int
    n_ctx: int
    n_batch: int
    max_concurrency: int
    max_queue: int
    trust_remote_code: bool


@dataclass(frozen=True, kw_only=True)
class LLMConfig:
    """One model and its default sampling.

    Args:
        model_name: ``demo``, a path to a ``.gguf`` file or a Hugging Face folder, a name under
            ``models_dir``, or ``owner/repo`` / ``owner/repo/file.gguf`` in the hub.
        backend: ``llama_cpp`` for GGUF files, ``transformers`` for Hugging Face folders.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:0``, ``mps``.
        dtype: type of the weights with transformers; llama.cpp takes what the file holds.
        max_new_tokens: the most tokens that one reply may have.
        temperature: 0 takes the likeliest token each time; up to 2.
        top_p: nucleus sampling: the likeliest tokens that together reach this probability.
        quantization: ``4bit`` or ``8bit`` with transformers on CUDA.
        models_dir: where models are looked for and downloaded to.
        n_gpu_layers: llama.cpp layers on the GPU; -1 for all.
        n_ctx: key-value memory in tokens, shared by all requests on the model. One request may use all of
            it, up to the length the model was trained for.
        n_batch: the most tokens computed in one step.
        stop_tokens: texts that end a reply; they do not appear in it.
        max_search_results: passages that a knowledge search returns by default.
        max_concurrency: requests decoded together; further ones wait in turn.
        max_queue: requests that may wait; one more is refused with EngineBusyError.
        seed: default seed of sampling; None takes a fresh one for each request.
        trust_remote_code: run Python code that comes with a transformers model. Leave it off.

    Raises:
        ConfigError: names the field, its value and what is allowed.
    """

    model_name: str
    backend: Backend = "llama_cpp"
    device: str = "auto"
    dtype: Dtype | None = "auto"
    max_new_tokens: int = 2048
    temperature: float = 0.7
    top_p: float = 0.9
    quantization: Quantization | None = None
    models_dir: str = "./models"
    n_gpu_layers: int = -1
    n_ctx: int = 32768
    n_batch: int = 2048
    stop_tokens: tuple[str, ...] | None = None
    max_search_results: int = 5
    max_concurrency: int = 32
    max_queue: int = 1024
    seed: int | None = None
    trust_remote_code: bool = False

    def __post_init__(self) -> None:
        check_text("model_name", self.model_name)
        check_choice("backend", self.backend, BACKENDS)
        if not isinstance(self.device, str) or not _DEVICE.fullmatch(self.device):
            raise ConfigError("device", self.device, "'auto', 'cpu', 'cuda', 'cuda:N', 'mps' or 'xpu'")
        check_choice("dtype", self.dtype, DTYPES)
        check_choice("quantization", self.quantization, QUANTIZATIONS)
        check_text("models_dir", self.models_dir)
        check_number("temperature", self.temperature, 0.0, 2.0)
        check_number("top_p", self.top_p, 0.0, 1.0)
        if self.top_p == 0:
            raise ConfigError("top_p", self.top_p, "a number above 0, up to 1")
        check_integer("max_new_tokens", self.max_new_tokens, 1, 1 << 24)
        check_integer("n_gpu_layers", self.n_gpu_layers, -1, 4096)
        check_integer("n_ctx", self.n_ctx, 16, 1 << 24)
        check_integer("n_batch", self.n_batch, 1, 1 << 20)
        check_integer("max_search_results", self.max_search_results, 1, 1000)
        check_integer("max_concurrency", self.max_concurrency, 1, 256)
        check_integer("max_queue", self.max_queue, 1, 1 << 20)
        if self.seed is not None:
            check_integer("seed", self.seed, 0, (1 << 63) - 1)
        check_flag("trust_remote_code", self.trust_remote_code)
        if self.quantization is not None and self.backend != "transformers":
            raise ConfigError(
                "quantization", self.quantization, "None with backend='llama_cpp': a GGUF file is already quantized"
            )
        object.__setattr__(self, "stop_tokens", _stop_texts(self.stop_tokens))

    @property
    def model_key(self) -> ModelKey:
        """The part of the configuration that decides which loaded model serves it."""
        return ModelKey(*(getattr(self, name) for name in ModelKey._fields))

    def replace(self, **changes: object) -> LLMConfig:
        """A copy with some fields changed, validated again."""
        return dataclasses.replace(self, **changes)  # type: ignore[arg-type]


def _stop_texts(value: Iterable[str] | None) -> tuple[str, ...] | None:
    if value is None:
        return None
    allowed = "a sequence of non-empty strings, or None"
    if isinstance(value, str):
        raise ConfigError("stop_tokens", value, allowed)
    texts = tuple(value)
    if not all(isinstance(text, str) and text for text in texts):
        raise ConfigError("stop_tokens", texts, allowed)
    return texts or None

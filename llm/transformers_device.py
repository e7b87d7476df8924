"""Where a transformers model computes, and in which type of number."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from .exceptions import ConfigError, ModelLoadError
from .llm_config import LLMConfig
from .transformers_library import torch, transformers

_QUANTIZATION_PACKAGES = ("bitsandbytes", "accelerate")


def choose_device(config: LLMConfig) -> Any:
    """The `torch.device` that the configuration means on this machine.

    Raises:
        ConfigError: this machine has no such device.
    """
    name = config.device
    if name == "auto":
        name = next((kind for kind in ("cuda", "mps", "xpu") if _count(kind)), "cpu")
    device = torch.device(name)
    if (device.index or 0) >= _count(device.type):
        present = [kind for kind in ("cuda", "mps", "xpu") if _count(kind)]
        raise ConfigError(
            "device", config.device, f"one that PyTorch finds here: {', '.join(map(repr, ['auto', *present, 'cpu']))}"
        )
    return device


def choose_dtype(config: LLMConfig, stored: Any, device: Any) -> Any:
    """The `torch.dtype` of the weights.

    "auto" takes what the files hold, except that a CPU computes in single precision where it has no instructions for
    the type: it would be many times slower.

    Args:
        config: `dtype` "auto" or None leaves it to this function.
        stored: type of the weights in the files; None when they do not say.
        device: from `choose_device`.
    """
    if config.dtype not in (None, "auto"):
        return getattr(torch, str(config.dtype))
    if stored is None:
        return torch.float32
    if device.type == "cpu" and not (stored == torch.bfloat16 and _has_bfloat16_instructions()):
        return torch.float32
    return stored


def quantization_options(config: LLMConfig, device: Any, dtype: Any) -> dict[str, Any]:
    """What `from_pretrained` needs for the quantization that the configuration asks for.

    Raises:
        ConfigError: this device cannot.
        ModelLoadError: packages are missing.
    """
    if config.quantization is None:
        return {}
    if device.type != "cuda":
        raise ConfigError(
            "quantization",
            config.quantization,
            f"None on this device ({str(device)!r}): bitsandbytes needs an NVIDIA GPU with CUDA. For a CPU take a "
            "quantized GGUF file with backend='llama_cpp'",
        )
    missing = [package for package in _QUANTIZATION_PACKAGES if find_spec(package) is None]
    if missing:
        raise ModelLoadError(
            f"quantization={config.quantization!r} needs {' and '.join(missing)}. Install what it takes: "
            "pip install 'practorflow[quantization]'"
        )
    if config.quantization == "8bit":
        how = transformers.BitsAndBytesConfig(load_in_8bit=True)
    else:
        how = transformers.BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=dtype, bnb_4bit_use_double_quant=True
        )
    return {"quantization_config": how, "device_map": {"": device}}


def _has_bfloat16_instructions() -> bool:
    """Whether PyTorch can tell that this CPU multiplies bfloat16 numbers by itself."""
    return bool(getattr(torch.cpu, "_is_avx512_bf16_supported", bool)())


def _count(kind: str) -> int:
    """Devices of a kind on this machine."""
    if kind == "cpu":
        return 1
    if kind == "cuda":
        return int(torch.cuda.device_count()) if torch.cuda.is_available() else 0
    if kind == "mps":
        return int(torch.backends.mps.is_available())
    return int(torch.xpu.device_count()) if torch.xpu.is_available() else 0

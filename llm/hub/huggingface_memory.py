"""How much memory a Hugging Face model will take, told from its files: the pool decides with it before it loads.

    weights    each tensor in the type it is loaded as; with 4-bit or 8-bit quantization the matrices between the
               embeddings take 0.56 or 1 byte per weight
    key-value  n_ctx x sum over layers of key-value heads x 2 head widths x bytes of that type
    compute    n_batch x (8 x hidden + 2 x intermediate) x 4 bytes, and logits for every request that decodes

What a layer stores is taken from the configuration; layers with a sliding window or a recurrent state take less.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..llm_config import Quantization
from .safetensors_header import FLOATING, ITEM_BITS, TensorHeader

SINGLE = 4
_QUANTIZED_BYTES = {"4bit": 0.5625, "8bit": 1.0}
_KEPT = ("embed", "lm_head", "wte", "norm")


def weight_bytes(tensors: Iterable[TensorHeader], *, item_bytes: int | None, quantization: Quantization | None) -> int:
    """Bytes of the weights when they are loaded.

    Args:
        tensors: of all files.
        item_bytes: of the type that floating-point weights are loaded as; None leaves them as they are.
        quantization: applied to matrices that are not embeddings.
    """
    total = 0.0
    for tensor in tensors:
        each = ITEM_BITS.get(tensor.type, 8) / 8
        if tensor.type in FLOATING:
            if item_bytes is not None:
                each = item_bytes
            if quantization is not None and len(tensor.shape) == 2 and not any(w in tensor.name for w in _KEPT):
                each = _QUANTIZED_BYTES[quantization]
        total += tensor.count * each
    return int(total)


def key_value_bytes_per_token(config: Mapping[str, Any], *, item_bytes: int) -> int:
    """Bytes of the key-value memory that one token takes in all layers.

    Args:
        config: the content of ``config.json``.
        item_bytes: of the type that the model computes in.
    """
    text = _text_config(config)
    heads = _size(text, "num_attention_heads", "n_head")
    key_heads = _size(text, "num_key_value_heads", "num_kv_heads") or heads
    width = _size(text, "head_dim") or (_size(text, "hidden_size", "n_embd", "d_model") // heads if heads else 0)
    return _size(text, "num_hidden_layers", "n_layer") * key_heads * 2 * width * item_bytes


def estimate_huggingface_memory(
    tensors: Iterable[TensorHeader],
    config: Mapping[str, Any],
    *,
    n_ctx: int,
    n_batch: int,
    sequences: int,
    item_bytes: int | None,
    quantization: Quantization | None = None,
) -> int:
    """Bytes that the model takes when it is loaded.

    Args:
        tensors: of all its files.
        config: the content of ``config.json``.
        n_ctx: tokens of key-value memory, for all sequences together.
        n_batch: the most tokens that are computed at once.
        sequences: requests that are decoded together.
        item_bytes: of the type that weights are loaded as; None leaves them as they are in the files.
        quantization: of the weights.
    """
    tensors = list(tensors)
    floating = [ITEM_BITS[tensor.type] // 8 for tensor in tensors if tensor.type in FLOATING]
    computed_in = item_bytes or max(floating, default=SINGLE)
    text = _text_config(config)
    hidden = _size(text, "hidden_size", "n_embd", "d_model")
    compute = n_batch * (8 * hidden + 2 * _size(text, "intermediate_size", "n_inner")) * SINGLE
    logits = 2 * SINGLE * _size(text, "vocab_size") * sequences
    cells = n_ctx * key_value_bytes_per_token(config, item_bytes=computed_in)
    return weight_bytes(tensors, item_bytes=item_bytes, quantization=quantization) + cells + compute + logits


def _text_config(config: Mapping[str, Any]) -> Mapping[str, Any]:
    nested = config.get("text_config")
    return nested if isinstance(nested, dict) else config


def _size(config: Mapping[str, Any], *names: str) -> int:
    for name in names:
        value = config.get(name)
        if type(value) is int and value > 0:
            return value
    return 0

"""How much memory a GGUF model will take, told from its header: the pool decides with it before it loads.

    weights    the tensors, byte for byte
    key-value  n_ctx x sum over layers of key-value heads x (key width + value width) x 2 bytes (half precision)
    compute    n_ubatch x (4 bytes x (vocabulary + 8 x embedding + 2 x feed-forward) + 2 bytes x n_ctx)
    output     4 bytes x vocabulary x sequences

The compute term adds up what llama.cpp holds at its two peaks, the logits and one layer with its attention mask, which
do not coincide: it is an upper bound with flash attention, which is llama.cpp's choice wherever the backend has it.
Layers with a sliding window or a recurrent state take less than the formula says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

HALF = 2
SINGLE = 4


class Shape(Protocol):
    """What the formula needs to know of a model; a GGUFHeader has it."""

    @property
    def tensor_bytes(self) -> int: ...
    @property
    def head_counts_kv(self) -> tuple[int, ...]: ...
    @property
    def key_length(self) -> int: ...
    @property
    def value_length(self) -> int: ...
    @property
    def vocabulary_size(self) -> int: ...
    @property
    def embedding_length(self) -> int: ...
    @property
    def feed_forward_length(self) -> int: ...


@dataclass(frozen=True, slots=True)
class MemoryEstimate:
    """Bytes, term by term as in the formula above."""

    weights: int
    key_value: int
    compute: int
    output: int

    @property
    def total(self) -> int:
        return self.weights + self.key_value + self.compute + self.output


def key_value_bytes_per_token(shape: Shape) -> int:
    """Bytes of the key-value memory that one token takes in all layers."""
    return sum(shape.head_counts_kv) * (shape.key_length + shape.value_length) * HALF


def gguf_memory(shape: Shape, n_ctx: int, *, n_ubatch: int = 512, sequences: int = 1) -> MemoryEstimate:
    """What the model takes when it is loaded, term by term.

    Args:
        shape: what `check_gguf` returned.
        n_ctx: tokens of key-value memory, for all sequences together.
        n_ubatch: the most tokens that are computed at once.
        sequences: requests that are decoded together.
    """
    activations = shape.vocabulary_size + 8 * shape.embedding_length + 2 * shape.feed_forward_length
    return MemoryEstimate(
        weights=shape.tensor_bytes,
        key_value=n_ctx * key_value_bytes_per_token(shape),
        compute=n_ubatch * (SINGLE * activations + HALF * n_ctx),
        output=SINGLE * shape.vocabulary_size * sequences,
    )


def estimate_gguf_memory(shape: Shape, n_ctx: int, *, n_ubatch: int = 512, sequences: int = 1) -> int:
    """Bytes that the model takes in all; arguments as for `gguf_memory`."""
    return gguf_memory(shape, n_ctx, n_ubatch=n_ubatch, sequences=sequences).total

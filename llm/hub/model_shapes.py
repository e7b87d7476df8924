"""Measures of models that are not on this machine, so that memory can be estimated before anything is downloaded.

A model that is named by its size ("7B") has the measures of the Qwen2.5 model of that size: its dense transformer
with grouped key-value heads is what most open models of that size look like. Weights are parameters times bits.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..exceptions import ConfigError

BITS_PER_WEIGHT = {
    "F16": 16.0,
    "Q8_0": 8.5,
    "Q6_K": 6.6,
    "Q5_K_M": 5.7,
    "Q4_K_M": 4.9,
    "Q3_K_M": 3.9,
}
"""Average over a whole file. Some tensors of a mixed quantization have more bits than its name says."""

USUAL_QUANTIZATION = "Q4_K_M"


@dataclass(frozen=True, slots=True)
class ModelShape:
    """A dense transformer, as far as its memory goes.

    Attributes:
        layers, embedding_length, feed_forward_length: depth and widths.
        heads, heads_kv, head_width: of the attention in each layer.
        vocabulary_size: tokens.
        tied: whether input and output share one embedding.
        bits: of one weight, on average.
        context_length: tokens it was trained for.
    """

    layers: int
    embedding_length: int
    feed_forward_length: int
    heads: int
    heads_kv: int
    head_width: int
    vocabulary_size: int
    tied: bool
    bits: float = BITS_PER_WEIGHT[USUAL_QUANTIZATION]
    context_length: int = 32768

    @property
    def parameters(self) -> int:
        """Weights of all matrices; norms and biases are too few to count."""
        attention = 2 * self.embedding_length * self.head_width * (self.heads + self.heads_kv)
        feed_forward = 3 * self.embedding_length * self.feed_forward_length
        embeddings = (1 if self.tied else 2) * self.vocabulary_size * self.embedding_length
        return self.layers * (attention + feed_forward) + embeddings

    @property
    def tensor_bytes(self) -> int:
        return int(self.parameters * self.bits / 8)

    @property
    def head_counts_kv(self) -> tuple[int, ...]:
        return (self.heads_kv,) * self.layers

    @property
    def key_length(self) -> int:
        return self.head_width

    @property
    def value_length(self) -> int:
        return self.head_width


_SIZES = {
    "1.5B": (28, 1536, 8960, 12, 2, 128, 151936, True),
    "3B": (36, 2048, 11008, 16, 2, 128, 151936, True),
    "7B": (28, 3584, 18944, 28, 4, 128, 152064, False),
    "14B": (48, 5120, 13824, 40, 8, 128, 152064, False),
    "32B": (64, 5120, 27648, 40, 8, 128, 152064, False),
    "72B": (80, 8192, 29568, 64, 8, 128, 152064, False),
}
SIZES: tuple[str, ...] = tuple(_SIZES)


def shape_of_size(size: str, quantization: str = USUAL_QUANTIZATION) -> ModelShape:
    """The measures of a model of that many parameters.

    Args:
        size: such as "7B"; one of SIZES.
        quantization: one of BITS_PER_WEIGHT.

    Raises:
        ConfigError: names what there is.
    """
    if size.upper() not in _SIZES:
        raise ConfigError("model size", size, "one of " + ", ".join(SIZES))
    if quantization not in BITS_PER_WEIGHT:
        raise ConfigError("quantization", quantization, "one of " + ", ".join(BITS_PER_WEIGHT))
    return ModelShape(*_SIZES[size.upper()], bits=BITS_PER_WEIGHT[quantization])

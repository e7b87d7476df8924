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

from .gguf_header import GGUFHeader

HALF = 2
SINGLE = 4


def key_value_bytes_per_token(header: GGUFHeader) -> int:
    """Bytes of the key-value memory that one token takes in all layers."""
    return sum(header.head_counts_kv) * (header.key_length + header.value_length) * HALF


def estimate_gguf_memory(header: GGUFHeader, n_ctx: int, *, n_ubatch: int = 512, sequences: int = 1) -> int:
    """Bytes that the model takes when it is loaded.

    Args:
        header: what `check_gguf` returned.
        n_ctx: tokens of key-value memory, for all sequences together.
        n_ubatch: the most tokens that are computed at once.
        sequences: requests that are decoded together.
    """
    activations = header.vocabulary_size + 8 * header.embedding_length + 2 * header.feed_forward_length
    compute = n_ubatch * (SINGLE * activations + HALF * n_ctx)
    output = SINGLE * header.vocabulary_size * sequences
    return header.tensor_bytes + n_ctx * key_value_bytes_per_token(header) + compute + output

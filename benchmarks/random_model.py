"""Writes GGUF files with random weights: real shapes and real cost, no download, no meaning.

Figures that depend on what is computed, and not on what is said, are measured on these.

    python benchmarks/random_model.py half-billion.gguf
    python benchmarks/random_model.py --shape tryout llm/llama_cpp_tryout.gguf   # the file that the library ships
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy as np

CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
CONTROL_TOKENS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")


@dataclass(frozen=True)
class Shape:
    """A Qwen2 architecture. `width` must be a multiple of 32 (the block size of Q8_0)."""

    layers: int = 24
    width: int = 896
    heads: int = 14
    kv_heads: int = 2
    feed_forward: int = 4864
    vocabulary: int = 151_936
    context: int = 32_768


HALF_BILLION = Shape()
TINY = Shape(layers=2, width=64, heads=4, kv_heads=2, feed_forward=128, vocabulary=512, context=4096)
TRYOUT = Shape(layers=1, width=64, heads=2, kv_heads=1, feed_forward=64, vocabulary=320, context=256)
SHAPES = {"half-billion": HALF_BILLION, "tiny": TINY, "tryout": TRYOUT}


def vocabulary(size: int) -> list[str]:
    """Byte tokens, then distinct made-up words, then the control tokens, in GPT-2's byte alphabet."""
    tokens = [_byte_character(value) for value in range(256)]
    consonants, vowels = "bcdfghjklmnprstvwz", "aeiou"
    syllables = [c + v for c in consonants for v in vowels]
    index = 0
    while len(tokens) < size - len(CONTROL_TOKENS):
        number, word = index, "Ġ"
        while True:
            word += syllables[number % len(syllables)]
            number //= len(syllables)
            if not number:
                break
        tokens.append(word)
        index += 1
    return tokens + list(CONTROL_TOKENS)


def _byte_character(value: int) -> str:
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    if value in printable:
        return chr(value)
    return chr(256 + sum(1 for other in range(value) if other not in printable))


def write_random_model(
    path: Path, shape: Shape = HALF_BILLION, *, seed: int = 0, chat_template: str = CHAT_TEMPLATE
) -> Path:
    """Write a Q8_0 model of `shape` with random weights; the same seed gives the same file."""
    random = np.random.default_rng(seed)
    writer = gguf.GGUFWriter(path, "qwen2")
    writer.add_name("random weights")
    writer.add_block_count(shape.layers)
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.width)
    writer.add_feed_forward_length(shape.feed_forward)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_rope_freq_base(1_000_000.0)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    tokens = vocabulary(shape.vocabulary)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokens)
    types = [gguf.TokenType.NORMAL] * (len(tokens) - len(CONTROL_TOKENS)) + [gguf.TokenType.CONTROL] * len(
        CONTROL_TOKENS
    )
    writer.add_token_types(types)
    writer.add_token_merges(["Ġ b"])
    writer.add_eos_token_id(len(tokens) - 1)
    writer.add_pad_token_id(len(tokens) - 3)
    writer.add_add_bos_token(False)
    writer.add_chat_template(chat_template)

    def matrix(name: str, rows: int, columns: int) -> None:
        blocks = np.empty((rows, columns // 32), dtype=[("scale", "<f2"), ("values", "i1", 32)])
        blocks["scale"] = 0.02 / 64
        blocks["values"] = random.integers(-127, 128, size=(rows, columns // 32, 32), dtype=np.int8)
        raw = blocks.view(np.uint8).reshape(rows, columns // 32 * 34)
        writer.add_tensor(name, raw, raw_dtype=gguf.GGMLQuantizationType.Q8_0)

    def vector(name: str, size: int, value: float) -> None:
        writer.add_tensor(name, np.full(size, value, dtype=np.float32))

    kv_width = shape.width // shape.heads * shape.kv_heads
    matrix("token_embd.weight", shape.vocabulary, shape.width)
    vector("output_norm.weight", shape.width, 1.0)
    for layer in range(shape.layers):
        block = f"blk.{layer}"
        vector(f"{block}.attn_norm.weight", shape.width, 1.0)
        vector(f"{block}.ffn_norm.weight", shape.width, 1.0)
        for name, size in (("attn_q", shape.width), ("attn_k", kv_width), ("attn_v", kv_width)):
            matrix(f"{block}.{name}.weight", size, shape.width)
            vector(f"{block}.{name}.bias", size, 0.0)
        matrix(f"{block}.attn_output.weight", shape.width, shape.width)
        matrix(f"{block}.ffn_gate.weight", shape.feed_forward, shape.width)
        matrix(f"{block}.ffn_up.weight", shape.feed_forward, shape.width)
        matrix(f"{block}.ffn_down.weight", shape.width, shape.feed_forward)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path)
    parser.add_argument("--shape", choices=SHAPES, default="half-billion")
    arguments = parser.parse_args()
    print(write_random_model(arguments.path, SHAPES[arguments.shape]))

"""Small models and a hub on this machine for the tests of this folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import gguf
import numpy as np
import pytest

from llm.testing.hub_stand_in import HubStandIn, running_hub


@pytest.fixture
def hub() -> Iterator[HubStandIn]:
    with running_hub() as stand_in:
        yield stand_in


GGUFBuilder = Callable[..., Path]


@pytest.fixture(scope="session")
def write_gguf() -> GGUFBuilder:
    """Writes a small model of random weights that llama.cpp loads; `change` may add to its metadata."""
    return _write_gguf


def _write_gguf(
    path: Path,
    *,
    architecture: str = "qwen2",
    layers: int = 2,
    width: int = 32,
    heads: int = 4,
    heads_kv: int = 2,
    change: Callable[[gguf.GGUFWriter], object] | None = None,
    split_max_tensors: int = 0,
) -> Path:
    feed_forward, head = 64, width // heads
    writer = gguf.GGUFWriter(path, architecture, split_max_tensors=split_max_tensors)
    writer.add_type("model")
    writer.add_file_type(0)
    writer.add_context_length(512)
    writer.add_embedding_length(width)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(feed_forward)
    writer.add_head_count(heads)
    writer.add_head_count_kv(heads_kv)
    writer.add_layer_norm_rms_eps(1e-6)
    letters = [chr(code) for code in (*range(33, 127), *range(161, 173), *range(174, 256), *range(256, 324))]
    tokens = [*letters, "<|endoftext|>", "<|im_start|>", "<|im_end|>", "th", "he", "the"]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokens)
    writer.add_token_types([3 if token.startswith("<|") else 1 for token in tokens])
    writer.add_token_merges(["t h", "h e", "th e"])
    writer.add_bos_token_id(256)
    writer.add_eos_token_id(258)
    writer.add_add_bos_token(False)
    writer.add_chat_template("{% for message in messages %}{{ message.content }}{% endfor %}")
    if change is not None:
        change(writer)
    random = np.random.default_rng(7)

    def add(name: str, *shape: int) -> None:
        writer.add_tensor(name, (random.standard_normal(shape) * 0.05).astype(np.float32))

    add("token_embd.weight", len(tokens), width)
    add("output_norm.weight", width)
    for layer in range(layers):
        block = f"blk.{layer}."
        add(block + "attn_norm.weight", width)
        for name, rows in (("q", width), ("k", heads_kv * head), ("v", heads_kv * head)):
            add(f"{block}attn_{name}.weight", rows, width)
            add(f"{block}attn_{name}.bias", rows)
        add(block + "attn_output.weight", width, width)
        add(block + "ffn_norm.weight", width)
        add(block + "ffn_gate.weight", feed_forward, width)
        add(block + "ffn_up.weight", feed_forward, width)
        add(block + "ffn_down.weight", width, feed_forward)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path

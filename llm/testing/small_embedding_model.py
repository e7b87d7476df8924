"""Writes small embedding models of random weights: real folders that every engine loads, in milliseconds.

Their vectors mean nothing, but the same text has the same one, and texts that share words are nearer to each other.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save_file
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def write_embedding_model(
    folder: Path,
    *,
    pooling: str = "mean",
    normalize: bool = True,
    modules: bool = True,
    prompts: dict[str, str] | None = None,
    layers: int = 2,
    width: int = 64,
    max_tokens: int = 32,
    seed: int = 1,
) -> Path:
    """Write a sentence-transformers folder with a small BERT, and return it.

    Args:
        folder: where; it is made.
        pooling: "mean", "cls" or "max".
        normalize: whether the model itself makes its vectors have length 1.
        modules: whether the folder says that it is one of sentence-transformers.
        prompts: what is written before texts, by name.
        layers, width: size of the network.
        max_tokens: what is longer is cut off.
        seed: other seeds give other weights.
    """
    folder.mkdir(parents=True, exist_ok=True)
    letters = [chr(code) for code in range(33, 127)]
    vocabulary = [*SPECIAL, *letters, *(f"##{letter}" for letter in letters), "the", "##ing", "bank", "river", "money"]
    tokenizer = Tokenizer(WordPiece({token: index for index, token in enumerate(vocabulary)}, unk_token="[UNK]"))
    tokenizer.normalizer = BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    feed_forward = 2 * width
    config = {
        "architectures": ["BertModel"],
        "model_type": "bert",
        "hidden_act": "gelu",
        "hidden_size": width,
        "intermediate_size": feed_forward,
        "layer_norm_eps": 1e-12,
        "max_position_embeddings": 64,
        "num_attention_heads": 4,
        "num_hidden_layers": layers,
        "pad_token_id": 0,
        "type_vocab_size": 2,
        "vocab_size": len(vocabulary),
    }
    files: dict[str, object] = {
        "config.json": config,
        "tokenizer_config.json": {
            "tokenizer_class": "BertTokenizer",
            "model_max_length": 64,
            "do_lower_case": True,
            **{f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")},
        },
        "sentence_bert_config.json": {"max_seq_length": max_tokens, "do_lower_case": False},
        "config_sentence_transformers.json": {"prompts": prompts or {}, "default_prompt_name": None},
    }
    if modules:
        kinds = [("", "Transformer"), ("1_Pooling", "Pooling"), *([("2_Normalize", "Normalize")] if normalize else [])]
        files["modules.json"] = [
            {"idx": index, "name": str(index), "path": path, "type": f"sentence_transformers.models.{kind}"}
            for index, (path, kind) in enumerate(kinds)
        ]
        (folder / "1_Pooling").mkdir(exist_ok=True)
        files["1_Pooling/config.json"] = {
            "word_embedding_dimension": width,
            "pooling_mode_cls_token": pooling == "cls",
            "pooling_mode_mean_tokens": pooling == "mean",
            "pooling_mode_max_tokens": pooling == "max",
            "pooling_mode_mean_sqrt_len_tokens": False,
        }
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content))
    save_file(_weights(len(vocabulary), layers, width, feed_forward, seed), str(folder / "model.safetensors"))
    return folder


def _weights(
    vocabulary: int, layers: int, width: int, feed_forward: int, seed: int
) -> dict[str, npt.NDArray[np.float32]]:
    random = np.random.default_rng(seed)
    weights: dict[str, npt.NDArray[np.float32]] = {}

    def matrix(name: str, *shape: int) -> None:
        weights[name] = (random.standard_normal(shape) * 0.15).astype(np.float32)

    def norm(name: str) -> None:
        weights[f"{name}.weight"] = (1 + 0.1 * random.standard_normal(width)).astype(np.float32)
        weights[f"{name}.bias"] = (0.1 * random.standard_normal(width)).astype(np.float32)

    matrix("embeddings.word_embeddings.weight", vocabulary, width)
    matrix("embeddings.position_embeddings.weight", 64, width)
    matrix("embeddings.token_type_embeddings.weight", 2, width)
    norm("embeddings.LayerNorm")
    for layer in range(layers):
        block = f"encoder.layer.{layer}"
        for name in ("query", "key", "value"):
            matrix(f"{block}.attention.self.{name}.weight", width, width)
            matrix(f"{block}.attention.self.{name}.bias", width)
        matrix(f"{block}.attention.output.dense.weight", width, width)
        matrix(f"{block}.attention.output.dense.bias", width)
        norm(f"{block}.attention.output.LayerNorm")
        matrix(f"{block}.intermediate.dense.weight", feed_forward, width)
        matrix(f"{block}.intermediate.dense.bias", feed_forward)
        matrix(f"{block}.output.dense.weight", width, feed_forward)
        matrix(f"{block}.output.dense.bias", width)
        norm(f"{block}.output.LayerNorm")
    matrix("pooler.dense.weight", width, width)
    matrix("pooler.dense.bias", width)
    return weights

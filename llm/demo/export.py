"""The finished network as a GGUF file and as a Hugging Face folder, both with the tokenizer and the chat template."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gguf
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from torch import Tensor

from .chat_template import CHAT_TEMPLATE
from .network import Network, NetworkConfig
from .tokenizer import CONTROL_TOKENS, END_OF_TEXT, TURN_END, token_id

NAME = "PractorFlow demonstration model"
DESCRIPTION = "A demonstration, not an assistant: a very small model that shows that the PractorFlow library works."


def export(network: Network, tokenizer: Tokenizer, output: Path) -> None:
    """Write ``practorflow-demo.gguf`` and ``huggingface/`` into `output`.

    Both hold the same numbers in half precision, so that both forms answer alike.
    """
    output.mkdir(parents=True, exist_ok=True)
    weights = {name: tensor.detach().to("cpu", torch.float16) for name, tensor in network.state_dict().items()}
    _write_gguf(output / "practorflow-demo.gguf", weights, tokenizer, network.config)
    _write_huggingface(output / "huggingface", weights, tokenizer, network.config)


def _write_gguf(path: Path, weights: dict[str, Tensor], tokenizer: Tokenizer, config: NetworkConfig) -> None:
    writer = gguf.GGUFWriter(path, "qwen2")
    writer.add_name(NAME)
    writer.add_description(DESCRIPTION)
    writer.add_license("apache-2.0")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_rope_freq_base(config.rope_theta)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    _add_tokenizer(writer, tokenizer)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.QWEN2, config.num_hidden_layers)
    for name, weight in weights.items():
        target = names.get_name(name, try_suffixes=(".weight", ".bias"))
        assert target is not None, name
        # llama.cpp keeps norms and biases in single precision.
        writer.add_tensor(target, (weight if weight.ndim == 2 else weight.float()).numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add_tokenizer(writer: gguf.GGUFWriter, tokenizer: Tokenizer) -> None:
    described = json.loads(tokenizer.to_str())
    added = {token["content"]: token["special"] for token in described["added_tokens"]}
    texts = [token for token, _ in sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])]
    types = [
        gguf.TokenType.NORMAL
        if text not in added
        else gguf.TokenType.CONTROL
        if added[text]
        else gguf.TokenType.USER_DEFINED
        for text in texts
    ]
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in described["model"]["merges"]]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(texts)
    writer.add_token_types(types)
    writer.add_token_merges(merges)
    writer.add_eos_token_id(token_id(tokenizer, TURN_END))
    writer.add_pad_token_id(token_id(tokenizer, END_OF_TEXT))
    writer.add_add_bos_token(False)
    writer.add_chat_template(CHAT_TEMPLATE)


def _write_huggingface(folder: Path, weights: dict[str, Tensor], tokenizer: Tokenizer, config: NetworkConfig) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "model.safetensors").chmod(0o644)  # the writer makes it readable to its owner alone
    tokenizer.save(str(folder / "tokenizer.json"))
    end, padding = token_id(tokenizer, TURN_END), token_id(tokenizer, END_OF_TEXT)
    _write_json(
        folder / "config.json",
        {
            "architectures": ["Qwen2ForCausalLM"],
            "model_type": "qwen2",
            "vocab_size": config.vocab_size,
            "hidden_size": config.hidden_size,
            "intermediate_size": config.intermediate_size,
            "num_hidden_layers": config.num_hidden_layers,
            "num_attention_heads": config.num_attention_heads,
            "num_key_value_heads": config.num_key_value_heads,
            "max_position_embeddings": config.max_position_embeddings,
            "rope_theta": config.rope_theta,
            "rope_parameters": {"rope_type": "default", "rope_theta": config.rope_theta},
            "rms_norm_eps": config.rms_norm_eps,
            "hidden_act": "silu",
            "tie_word_embeddings": True,
            "use_sliding_window": False,
            "attention_dropout": 0.0,
            "initializer_range": 0.02,
            "dtype": "float16",
            "bos_token_id": None,
            "eos_token_id": end,
            "pad_token_id": padding,
        },
    )
    _write_json(
        folder / "generation_config.json", {"eos_token_id": [end, padding], "pad_token_id": padding, "do_sample": False}
    )
    _write_json(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "Qwen2Tokenizer",
            "model_max_length": config.max_position_embeddings,
            "bos_token": None,
            "eos_token": TURN_END,
            "pad_token": END_OF_TEXT,
            "additional_special_tokens": list(CONTROL_TOKENS[1:]),
            "clean_up_tokenization_spaces": False,
            "chat_template": CHAT_TEMPLATE,
        },
    )


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

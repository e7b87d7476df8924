"""The network: Qwen2's shape in plain PyTorch, with its published parameter names so that export only copies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class NetworkConfig:
    """The sizes of the network; names as in Qwen2's config.json where it has them."""

    vocab_size: int = 2048
    hidden_size: int = 256
    intermediate_size: int = 480
    num_hidden_layers: int = 6
    num_attention_heads: int = 8
    num_key_value_heads: int = 4
    max_position_embeddings: int = 4096
    rope_theta: float = 100_000.0
    rms_norm_eps: float = 1e-6

    @property
    def head_size(self) -> int:
        return self.hidden_size // self.num_attention_heads


# For a machine with CUDA: 13.8 million parameters, too many for the repository in both forms.
LARGE = NetworkConfig(
    hidden_size=384, intermediate_size=1024, num_hidden_layers=8, num_attention_heads=12, num_key_value_heads=6
)


class Network(nn.Module):
    """Token ids to logits, or with targets to the weighted loss."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.model = _Body(config)
        self.apply(_initialize)
        for layer in self.model.stack:
            for projection in (layer.self_attn.o_proj, layer.mlp.down_proj):
                nn.init.zeros_(projection.weight)

    def forward(self, tokens: Tensor) -> Tensor:
        return F.linear(self.model(tokens), self.model.embed_tokens.weight)

    def loss(self, tokens: Tensor, weights: Tensor) -> Tensor:
        """Mean loss of every next token, each counted by the weight of the token that is predicted."""
        counted = weights[:, 1:].flatten()
        places = counted.nonzero().squeeze(1)  # logits are a quarter of the work: only where they are learned from
        hidden = self.model(tokens[:, :-1]).flatten(0, 1)[places]
        logits = F.linear(hidden, self.model.embed_tokens.weight)
        each = F.cross_entropy(logits.float(), tokens[:, 1:].flatten()[places], reduction="none")
        return (each * counted[places]).sum() / counted.sum()


class _Body(nn.Module):
    """All but the projection to logits, which uses the embedding again."""

    cosine: Tensor
    sine: Tensor

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.num_hidden_layers))
        self.norm = nn.RMSNorm(config.hidden_size, config.rms_norm_eps)
        rotation = _rotation(config)
        self.register_buffer("cosine", rotation.cos(), persistent=False)
        self.register_buffer("sine", rotation.sin(), persistent=False)

    @property
    def stack(self) -> list[Layer]:
        return cast(list[Layer], list(self.layers))

    def forward(self, tokens: Tensor) -> Tensor:
        hidden: Tensor = self.embed_tokens(tokens)
        length = tokens.shape[1]
        cosine, sine = self.cosine[:length].to(hidden.dtype), self.sine[:length].to(hidden.dtype)
        for layer in self.layers:
            hidden = layer(hidden, cosine, sine)
        normed: Tensor = self.norm(hidden)
        return normed


class Layer(nn.Module):
    """Attention and a gated feed-forward, each added to what it reads."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.input_layernorm = nn.RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.self_attn = Attention(config)
        self.post_attention_layernorm = nn.RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.mlp = _FeedForward(config)

    def forward(self, hidden: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
        hidden = hidden + self.self_attn(self.input_layernorm(hidden), cosine, sine)
        added: Tensor = hidden + self.mlp(self.post_attention_layernorm(hidden))
        return added


class Attention(nn.Module):
    """Grouped-query attention with rotary positions and biases on query, key and value."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.head_size = config.head_size
        inner = config.num_key_value_heads * config.head_size
        self.repeat = config.num_attention_heads // config.num_key_value_heads
        self.q_proj = nn.Linear(config.hidden_size, config.hidden_size)
        self.k_proj = nn.Linear(config.hidden_size, inner)
        self.v_proj = nn.Linear(config.hidden_size, inner)
        self.o_proj = nn.Linear(config.hidden_size, config.hidden_size, bias=False)

    def forward(self, hidden: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
        query, key, value = (
            projection(hidden).unflatten(-1, (-1, self.head_size)).transpose(1, 2)
            for projection in (self.q_proj, self.k_proj, self.v_proj)
        )
        query, key = _rotate(query, cosine, sine), _rotate(key, cosine, sine)
        key, value = key.repeat_interleave(self.repeat, 1), value.repeat_interleave(self.repeat, 1)
        mixed = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        joined: Tensor = self.o_proj(mixed.transpose(1, 2).flatten(2))
        return joined


class _FeedForward(nn.Module):
    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.up_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.down_proj = nn.Linear(config.intermediate_size, config.hidden_size, bias=False)

    def forward(self, hidden: Tensor) -> Tensor:
        narrowed: Tensor = self.down_proj(F.silu(self.gate_proj(hidden)) * self.up_proj(hidden))
        return narrowed


def _rotation(config: NetworkConfig) -> Tensor:
    half = torch.arange(0, config.head_size, 2, dtype=torch.float32) / config.head_size
    angles = torch.outer(torch.arange(config.max_position_embeddings, dtype=torch.float32), config.rope_theta**-half)
    return torch.cat((angles, angles), dim=-1)


def _rotate(heads: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    first, second = heads.chunk(2, dim=-1)
    return heads * cosine + torch.cat((-second, first), dim=-1) * sine


def _initialize(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=module.in_features**-0.5)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.Embedding):
        nn.init.normal_(module.weight, std=0.04)

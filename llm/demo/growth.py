"""A trained network made deeper: a layer that changes nothing at first, and narrower feed-forwards that pay for it."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from .network import Network, NetworkConfig

_LAYER = re.compile(r"model\.layers\.(\d+)\.(.+)")


def grown(weights: Mapping[str, Tensor], config: NetworkConfig) -> Mapping[str, Tensor]:
    """Weights of a network of `config`: those given, where they are, or one layer more in the middle.

    The projections back of the new layer are zero, so that it adds nothing yet.

    Args:
        weights: those of a network with the sizes of `config`, or with one layer less and feed-forwards no narrower.
        config: the sizes to have.
    """
    depth = 1 + max(int(match[1]) for match in map(_LAYER.fullmatch, weights) if match)
    if depth == config.num_hidden_layers:
        return weights
    larger = dict(Network(config).state_dict())
    for name, tensor in weights.items():
        if (match := _LAYER.fullmatch(name)) is None:
            larger[name] = tensor
            continue
        place, rest = int(match[1]), match[2]
        if rest.startswith("mlp."):
            kept = _strongest(weights, place, config.intermediate_size)
            tensor = tensor[:, kept] if rest == "mlp.down_proj.weight" else tensor[kept]
        larger[f"model.layers.{place + (place >= config.num_hidden_layers // 2)}.{rest}"] = tensor
    return larger


def _strongest(weights: Mapping[str, Tensor], layer: int, count: int) -> Tensor:
    """The units of a feed-forward that can add most, by the product of the norms of their three vectors."""
    gate, up, down = (weights[f"model.layers.{layer}.mlp.{part}_proj.weight"] for part in ("gate", "up", "down"))
    strength = gate.norm(dim=1) * up.norm(dim=1) * down.norm(dim=0)
    return torch.topk(strength, count).indices.sort().values

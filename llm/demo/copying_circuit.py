"""The start of training: the first two layers find an earlier occurrence of a token and repeat what followed it.

Copying is what takes a small model longest to find, and every skill of the demo model uses it. Heads of the first layer
look one, two and three tokens back; the first of them writes the token before into directions of its own. Heads of the
second layer compare the present token with those directions, and hand on the token that they find there. All of it is a
starting point that training changes like any other weight.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .network import Attention, Network, NetworkConfig

# Found by trial: untrained, the network already repeats two tokens in five of a list said a second time.
_LOOK_BACK_STRENGTH, _WRITE_STRENGTH, _MATCH_STRENGTH, _COPY_STRENGTH = 7.0, 0.05, 2.0, 0.2


@torch.no_grad()
def wire_for_copying(network: Network) -> None:
    """Set the attention of the first two layers; the rest of the network must be as it was initialized."""
    config = network.config
    looking, matching = (layer.self_attn for layer in network.model.stack[:2])
    size, slow = (
        config.head_size,
        config.head_size // 4,
    )  # the slower half of the frequencies hardly depends on distance
    slow_rows = torch.cat((torch.arange(size // 2 - slow, size // 2), torch.arange(size - slow, size)))
    token, before = _directions(len(slow_rows), config), _directions(len(slow_rows), config)
    for head, offset in enumerate((1, 2, 3)):
        _look_back(looking, head, offset, config)
    looking.v_proj.weight[: len(slow_rows)] = token
    looking.o_proj.weight[:, : len(slow_rows)] = before.T * _WRITE_STRENGTH
    for head in range(4):
        query, key = _rows(head, size), _rows(head // matching.repeat, size)
        matching.q_proj.weight[query] *= 0.1
        matching.q_proj.weight[query][slow_rows] = token * _MATCH_STRENGTH
        matching.k_proj.weight[key] *= 0.1
        matching.k_proj.weight[key][slow_rows] = before * _MATCH_STRENGTH
        if head % matching.repeat == 0:
            found = _directions(size, config)
            matching.v_proj.weight[key] = found
        matching.o_proj.weight[:, query] = found.T * _COPY_STRENGTH


def _look_back(attention: Attention, head: int, offset: int, config: NetworkConfig) -> None:
    """Make one head see the token `offset` back.

    With rotary positions a head sees an offset when its biases alone decide: the key's points one way, and the query's
    is turned back by that offset, so that their product is largest where the rotation makes up for it.
    """
    size, turning = config.head_size, 6  # the fastest frequencies tell neighbours apart
    frequencies = (config.rope_theta ** (-torch.arange(0, size, 2, dtype=torch.float32) / size))[:turning]
    query, key = _rows(head, size), _rows(head // attention.repeat, size)
    attention.q_proj.weight[query] *= 0.1
    attention.q_proj.bias[query][:turning] = _LOOK_BACK_STRENGTH * torch.cos(offset * frequencies)
    attention.q_proj.bias[query][size // 2 :][:turning] = -_LOOK_BACK_STRENGTH * torch.sin(offset * frequencies)
    if head % attention.repeat == 0:
        attention.k_proj.weight[key] *= 0.1
        attention.k_proj.bias[key][:turning] = _LOOK_BACK_STRENGTH


def _rows(head: int, size: int) -> slice:
    return slice(head * size, (head + 1) * size)


def _directions(count: int, config: NetworkConfig) -> Tensor:
    """Orthonormal rows."""
    return nn.init.orthogonal_(torch.empty(count, config.hidden_size))

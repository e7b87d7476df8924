"""Muon: momentum whose every matrix is made orthogonal before it becomes a step.

PyTorch's own computes the orthogonal matrix in bfloat16, which a processor without bfloat16 arithmetic emulates: there
it took four fifths of each step. This one computes in the precision of the weights, all matrices of one shape at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

# The quintic whose five iterations bring every singular value near one, as published with the method.
_COEFFICIENTS, _ITERATIONS = (3.4445, -4.7750, 2.0315), 5


class Muon(torch.optim.Optimizer):
    """Muon with Nesterov momentum and decoupled weight decay; steps have the size that AdamW's would have."""

    def __init__(
        self, groups: Iterable[dict[str, Any]], *, lr: float, weight_decay: float = 0.05, momentum: float = 0.95
    ) -> None:
        super().__init__(groups, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]  # noqa: ARG002 - no closure is asked
        """Move every matrix that has a gradient."""
        for group in self.param_groups:
            by_shape: dict[torch.Size, list[Tensor]] = {}
            for matrix in group["params"]:
                if matrix.grad is not None:
                    by_shape.setdefault(matrix.shape, []).append(matrix)
            for shape, matrices in by_shape.items():
                directions = orthogonal(torch.stack([self._momentum(one, group["momentum"]) for one in matrices]))
                size = group["lr"] * 0.2 * max(shape) ** 0.5
                for matrix, direction in zip(matrices, directions, strict=True):
                    matrix.mul_(1 - group["lr"] * group["weight_decay"]).add_(direction, alpha=-size)

    def _momentum(self, matrix: Tensor, momentum: float) -> Tensor:
        gradient = matrix.grad
        assert gradient is not None
        average = self.state[matrix].setdefault("momentum_buffer", torch.zeros_like(matrix))
        average.lerp_(gradient, 1 - momentum)
        return gradient.lerp(average, momentum)


def orthogonal(matrices: Tensor) -> Tensor:
    """The nearest orthogonal matrix of each in a stack, roughly: its singular values end between 0.7 and 1.2."""
    wide = matrices.shape[-2] <= matrices.shape[-1]
    x: Tensor = matrices if wide else matrices.mT
    x = x / x.norm(dim=(-2, -1), keepdim=True).clamp_min(1e-7)
    a, b, c = _COEFFICIENTS
    for _ in range(_ITERATIONS):
        square = x @ x.mT
        x = a * x + (b * square + c * (square @ square)) @ x
    turned: Tensor = x if wide else x.mT
    return turned

"""Which texts are computed together: texts of about the same number of tokens, so that little is padding."""

from __future__ import annotations

from collections.abc import Sequence

BATCH_SIZE = 8
"""Texts computed at once on a CPU. More is not faster there, and others would wait longer for their turn."""


def token_batches(lengths: Sequence[int], *, size: int = BATCH_SIZE) -> list[list[int]]:
    """Positions of the texts, longest first, in groups of at most `size`.

    Args:
        lengths: tokens of each text.
        size: the most texts of one group.
    """
    order = sorted(range(len(lengths)), key=lambda position: -lengths[position])
    return [order[start : start + size] for start in range(0, len(order), size)]

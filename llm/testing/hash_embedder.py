"""An embedder without a model: words that two texts share bring their vectors together. For tests.

The same text has the same vector in every process, and a text is nearest to itself.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

_WORD = re.compile(r"\w+")


class HashEmbedder:
    """Adds up a random direction for each word.

    Args:
        dimension: numbers in a vector.
        before_embed: called with the texts before each batch, on the calling thread; a test may block here.
    """

    def __init__(self, dimension: int = 64, *, before_embed: Callable[[Sequence[str]], None] | None = None) -> None:
        self.dimension = dimension
        self.identity = f"hash/{dimension}"
        self._before_embed = before_embed
        self._directions: dict[str, npt.NDArray[np.float32]] = {}

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Vectors of length 1, one row for each text."""
        if self._before_embed is not None:
            self._before_embed(texts)
        return np.stack([self.embed_query(text) for text in texts])

    def embed_query(self, text: str) -> npt.NDArray[np.float32]:
        """The vector of length 1 of a question."""
        total = np.zeros(self.dimension, np.float32)
        for word in _WORD.findall(text.lower()) or [text]:
            total += self._direction(word)
        vector: npt.NDArray[np.float32] = total / max(float(np.linalg.norm(total)), 1e-6)
        return vector

    def close(self) -> None:
        """There is nothing to free."""

    def _direction(self, word: str) -> npt.NDArray[np.float32]:
        direction = self._directions.get(word)
        if direction is None:
            seed = zlib.crc32(word.encode("utf-8", "replace"))
            direction = np.random.default_rng(seed).normal(size=self.dimension).astype(np.float32)
            self._directions[word] = direction
        return direction

"""What an engine asks of a device: compute a batch, show logits, move key-value memory. No policy lives below here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

ComputeStatus = Literal["done", "full", "aborted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a device can do with one model.

    Args:
        vocabulary: number of token ids.
        window: the most positions one sequence may have.
        cells: tokens that the key-value memory holds, all sequences together.
        max_sequences: sequences that may exist at once.
        max_batch: rows of one batch.
        max_outputs: rows of one batch that may ask for logits.
        can_share: sequences may share a prefix of their memory.
        can_truncate: the end of a sequence can be removed. False for recurrent state.
    """

    vocabulary: int
    window: int
    cells: int
    max_sequences: int
    max_batch: int
    max_outputs: int
    can_share: bool = True
    can_truncate: bool = True


@dataclass(slots=True)
class TokenBatch:
    """Rows to compute, written into arrays that the device reads in place.

    A row is a token at a position of a sequence; `add` returns the index of the first row it wrote.
    """

    capacity: int
    size: int = 0
    tokens: npt.NDArray[np.int32] = field(init=False, repr=False)
    positions: npt.NDArray[np.int32] = field(init=False, repr=False)
    sequences: npt.NDArray[np.int32] = field(init=False, repr=False)
    outputs: npt.NDArray[np.int8] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.tokens = np.zeros(self.capacity, dtype=np.int32)
        self.positions = np.zeros(self.capacity, dtype=np.int32)
        self.sequences = np.zeros(self.capacity, dtype=np.int32)
        self.outputs = np.zeros(self.capacity, dtype=np.int8)

    def clear(self) -> None:
        self.size = 0

    def add(self, sequence: int, start: int, tokens: Sequence[int], *, outputs: int) -> int:
        """Append `tokens` at positions from `start`; the last `outputs` of them ask for logits."""
        first, end = self.size, self.size + len(tokens)
        assert end <= self.capacity
        self.tokens[first:end] = tokens
        self.positions[first:end] = np.arange(start, start + len(tokens), dtype=np.int32)
        self.sequences[first:end] = sequence
        self.outputs[first:end] = 0
        if outputs:
            self.outputs[end - outputs : end] = 1
        self.size = end
        return first


class Executor(Protocol):
    """A device with one model's memory. Only one thread may use it, except for `abort`."""

    @property
    def capabilities(self) -> Capabilities: ...

    @property
    def batch(self) -> TokenBatch:
        """The batch that the next `compute` reads."""

    def compute(self) -> ComputeStatus:
        """Compute the batch and extend its sequences.

        Returns:
            "done"; "full" when memory had no room, and nothing changed; "aborted" when `abort` was called, and
            the sequences of the batch may have grown by part of it.

        Raises:
            EngineFailedError: the device broke.
        """

    def logits(self, row: int) -> npt.NDArray[np.float32]:
        """Logits of a row that asked for them, shape (vocabulary,): a view that the next `compute` overwrites."""

    def share(self, source: int, target: int, length: int) -> None:
        """Let the empty sequence `target` begin with the first `length` tokens of `source`."""

    def truncate(self, sequence: int, length: int) -> None:
        """Remove positions from `length` on. Length 0 always works, others where `can_truncate`."""

    def length(self, sequence: int) -> int:
        """Positions that the device holds for a sequence."""

    def abort(self) -> None:
        """Make the `compute` that is under way, or the next one, return early. Safe from any thread."""

    def clear_abort(self) -> None:
        """Forget an `abort` that came too late for the step it was meant for."""

    def close(self) -> None:
        """Free the device's memory."""

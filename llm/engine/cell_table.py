"""Which cells of a key-value memory hold which positions of which sequence.

A cell has room for the keys and values of one token in every layer. Sequences that share a prefix name the same cells:

    sequence 3   0 1 2 3 | 4 5
    sequence 7   0 1 2 3 | 6 7 8      shares the first four

Invariant: a cell is either free or counted once for each sequence that names it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Cells = npt.NDArray[np.int64]


class CellTable:
    """The cells of a memory, handed out to sequences.

    Args:
        cells: how many there are.
        max_sequences: sequences have ids below this.
    """

    def __init__(self, cells: int, max_sequences: int) -> None:
        self._free = np.arange(cells - 1, -1, -1, dtype=np.int64)  # a stack; low cells are handed out first
        self._free_count = cells
        self._holders = np.zeros(cells, dtype=np.int32)
        self._tables = [np.zeros(0, dtype=np.int64)] * max_sequences
        self._lengths = [0] * max_sequences

    @property
    def free(self) -> int:
        """Cells that nobody names."""
        return self._free_count

    def length(self, sequence: int) -> int:
        """Positions that the sequence holds."""
        return self._lengths[sequence]

    def cells(self, sequence: int) -> Cells:
        """The cells of a sequence in the order of its positions: a view that the next change invalidates."""
        return self._tables[sequence][: self._lengths[sequence]]

    def extend(self, sequence: int, count: int) -> Cells:
        """Append `count` cells to a sequence; there must be as many free ones. Returns them."""
        assert count <= self._free_count
        taken = self._free[self._free_count - count : self._free_count][::-1]
        self._free_count -= count
        self._holders[taken] = 1
        self._append(sequence, taken)
        return self.cells(sequence)[-count:]

    def share(self, source: int, target: int, length: int) -> None:
        """Let the empty sequence `target` name the first `length` cells of `source`."""
        assert self._lengths[target] == 0
        shared = self.cells(source)[:length]
        assert len(shared) == length
        self._holders[shared] += 1
        self._append(target, shared)

    def truncate(self, sequence: int, length: int) -> None:
        """Give up the positions from `length` on."""
        given_up = self.cells(sequence)[length:]
        self._holders[given_up] -= 1
        unused = given_up[self._holders[given_up] == 0][::-1]
        self._free[self._free_count : self._free_count + len(unused)] = unused
        self._free_count += len(unused)
        self._lengths[sequence] = min(length, self._lengths[sequence])
        if length == 0:
            self._tables[sequence] = np.zeros(0, dtype=np.int64)

    def _append(self, sequence: int, cells: Cells) -> None:
        length = self._lengths[sequence]
        end = length + len(cells)
        table = self._tables[sequence]
        if end > len(table):
            grown = np.zeros(max(64, 2 * end), dtype=np.int64)
            grown[:length] = table[:length]
            self._tables[sequence] = table = grown
        table[length:end] = cells
        self._lengths[sequence] = end

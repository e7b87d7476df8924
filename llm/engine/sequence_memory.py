"""The device's key-value memory together with its accounts.

Ledger, prefix index and device are changed here and nowhere else, always in one step.

Invariant, checked by `check_integrity`: the three agree on which sequences there are and how many tokens each holds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .executor import Executor
from .key_value_ledger import KeyValueLedger
from .prefix_index import BLOCK, PrefixIndex


class SequenceMemory:
    """Sequences in memory: live ones belong to a request, retired ones are kept for others to share.

    Not thread-safe: the engine's thread owns it.
    """

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._capabilities = executor.capabilities
        self._ledger = KeyValueLedger(self._capabilities.cells, self._capabilities.max_sequences)
        self._index = PrefixIndex()

    @property
    def cells(self) -> int:
        return self._ledger.cells

    @property
    def used(self) -> int:
        return self._ledger.used

    @property
    def free(self) -> int:
        return self._ledger.free

    @property
    def retired(self) -> int:
        """How many sequences are kept for others to share."""
        return len(self._ledger.retired)

    @property
    def can_open(self) -> bool:
        """Whether there is a sequence for one more request, perhaps one that is retired now."""
        return self._ledger.can_open or bool(self._ledger.retired)

    def computed(self, sequence: int) -> int:
        """Tokens of the sequence that are in memory."""
        return self._ledger.length(sequence)

    def longest_prefix(self, tokens: Sequence[int]) -> tuple[int, int] | None:
        """The best sequence to share with, and how many tokens both have in common, computed or not yet."""
        if not self._capabilities.can_share:
            return None
        return self._index.longest(tokens, computed=self.computed)

    def has_room(self, count: int, *, source: int | None, shared: int, promised: int) -> bool:
        """Whether `count` tokens fit beside everything that is live.

        Args:
            source: sequence whose first `shared` tokens would not be computed again.
            promised: tokens that live requests are going to add.
        """
        retired = source is not None and source in self._ledger.retired
        needed = count - (0 if retired else shared)
        return needed <= self._ledger.cells - self._ledger.used_live - promised

    def open(self, tokens: Sequence[int], *, source: int | None, shared: int) -> tuple[int, int]:
        """Start a sequence that is going to hold `tokens`, the first `shared` of them taken over from `source`.

        Where no sequence is unused, the least recently used retired one makes room; `can_open` must hold.

        Returns:
            The sequence, and how many tokens it holds already.
        """
        if not self._ledger.can_open:
            others = [sequence for sequence in self._ledger.retired if sequence != source]
            if not others:  # the one prefix that could be shared has to make room for its reader
                source, shared = None, 0
            self._drop(others[0] if others else self._ledger.retired[0])
        sequence = self._ledger.open()
        if source is not None and shared:
            self._ledger.share(source, sequence, shared)
            self._executor.share(source, sequence, shared)
        self._index.add(sequence, tokens)
        return sequence, shared

    def extend(self, sequence: int, count: int) -> None:
        """Account for `count` tokens that the device has computed."""
        self._ledger.extend(sequence, count)

    def learn(self, sequence: int, tokens: Sequence[int]) -> None:
        """Let others know of tokens that the sequence is going to hold."""
        self._index.extend(sequence, tokens)

    def undo(self, sequence: int) -> None:
        """Take off the device what it has computed beyond the accounts: a draft that was wrong."""
        self._executor.truncate(sequence, self.computed(sequence))

    def repair(self, sequence: int) -> int:
        """After a step that was cut short: back to what was computed before it; returns how much that is.

        A device that cannot shorten a sequence starts it again.
        """
        if not self._capabilities.can_truncate:
            self._ledger.truncate(sequence, 0)
        self.undo(sequence)
        return self.computed(sequence)

    def retire(self, sequence: int) -> None:
        """Keep what a request computed for others to share, until its room is needed."""
        computed = self.computed(sequence)
        self._ledger.retire(sequence)
        self._index.truncate(sequence, computed)
        if not self._capabilities.can_share or computed < BLOCK:
            self._drop(sequence)

    def drop_oldest(self) -> bool:
        """Drop the retired sequence that was not used for longest; False when there is none."""
        if not self._ledger.retired:
            return False
        self._drop(self._ledger.retired[0])
        return True

    def drop_retired(self) -> None:
        while self.drop_oldest():
            pass

    def forget_everything(self) -> None:
        """Drop live sequences too, for instance because nobody knows any more what the device holds."""
        for sequence in self._ledger.sequences:
            self._drop(sequence)

    def check_integrity(self, live: Mapping[int, int]) -> None:
        """Compare the accounts with each other, with the device, and with what requests believe.

        Args:
            live: tokens that each live sequence holds according to its request.

        Raises:
            AssertionError: something does not add up.
        """
        self._ledger.check_integrity()
        self._index.check_integrity()
        assert set(live) == set(self._ledger.sequences) - set(self._ledger.retired)
        for sequence in range(self._capabilities.max_sequences):
            held = self._ledger.length(sequence) if sequence in self._ledger.sequences else 0
            assert self._executor.length(sequence) == held, f"sequence {sequence}: device differs from ledger"
            assert live.get(sequence, held) == held

    def _drop(self, sequence: int) -> None:
        self._ledger.drop(sequence)
        self._index.remove(sequence)
        self._executor.truncate(sequence, 0)

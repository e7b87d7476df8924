"""Which cells of the key-value memory hold what: exact accounts, without the device.

A sequence is a run of tokens at positions 0, 1, 2, ... Sequences may share a prefix; the shared cells are counted once.
Cells are kept in segments, each with the number of sequences that hold it:

    sequence 3   [ segment a ][ segment b ]
    sequence 7   [ segment a ][ segment c ]      shares the first segment with 3

Invariant: `used` is the number of cells in segments that somebody holds, `used_live` of those that a live
(not retired) sequence holds, and neither exceeds `cells`.
"""

from __future__ import annotations

from collections import OrderedDict


class _Segment:
    __slots__ = ("holders", "length", "live")

    def __init__(self, length: int) -> None:
        self.length = length
        self.holders = 0
        self.live = 0


class KeyValueLedger:
    """Accounts of a memory of `cells` tokens and at most `max_sequences` sequences."""

    def __init__(self, cells: int, max_sequences: int) -> None:
        self.cells = cells
        self.used = 0
        self.used_live = 0
        self._unused_ids = list(range(max_sequences - 1, -1, -1))
        self._segments: dict[int, list[_Segment]] = {}
        self._retired: OrderedDict[int, None] = OrderedDict()

    @property
    def free(self) -> int:
        return self.cells - self.used

    @property
    def can_open(self) -> bool:
        """Whether a sequence id is unused."""
        return bool(self._unused_ids)

    @property
    def sequences(self) -> list[int]:
        return list(self._segments)

    @property
    def retired(self) -> list[int]:
        """Retired sequences, least recently used first."""
        return list(self._retired)

    def length(self, sequence: int) -> int:
        """Tokens that the sequence holds."""
        return sum(segment.length for segment in self._segments[sequence])

    def open(self) -> int:
        """Start an empty live sequence; there must be an unused id."""
        sequence = self._unused_ids.pop()
        self._segments[sequence] = []
        return sequence

    def share(self, source: int, target: int, length: int) -> None:
        """Let the empty live sequence `target` hold the first `length` tokens of `source`."""
        assert not self._segments[target]
        assert length <= self.length(source)
        self._split(source, length)
        held = self._segments[target]
        for segment in self._segments[source]:
            if length <= 0:
                break
            held.append(segment)
            self._hold(segment)
            length -= segment.length
        if source in self._retired:
            self._retired.move_to_end(source)

    def extend(self, sequence: int, count: int) -> None:
        """Append `count` tokens to a live sequence."""
        if count == 0:
            return
        assert sequence not in self._retired
        assert count <= self.free
        held = self._segments[sequence]
        if held and held[-1].holders == 1:
            held[-1].length += count
        else:
            segment = _Segment(count)
            segment.holders = segment.live = 1
            held.append(segment)
        self.used += count
        self.used_live += count

    def truncate(self, sequence: int, length: int) -> None:
        """Give up all tokens of a live sequence from position `length` on."""
        self._split(sequence, length)
        held = self._segments[sequence]
        kept = self.length(sequence)
        while kept > length:
            segment = held.pop()
            kept -= segment.length
            self._release(segment, live=True)

    def retire(self, sequence: int) -> None:
        """Keep a live sequence for others to share until its room is needed."""
        for segment in self._segments[sequence]:
            segment.live -= 1
            if segment.live == 0:
                self.used_live -= segment.length
        self._retired[sequence] = None

    def drop(self, sequence: int) -> None:
        """Forget a sequence; its id may be used again."""
        live = sequence not in self._retired
        for segment in self._segments.pop(sequence):
            self._release(segment, live=live)
        self._retired.pop(sequence, None)
        self._unused_ids.append(sequence)

    def check_integrity(self) -> None:
        """Count everything again and compare.

        Raises:
            AssertionError: the accounts do not add up.
        """
        segments = {id(segment): segment for held in self._segments.values() for segment in held}
        for segment in segments.values():
            holders = [name for name, held in self._segments.items() if any(part is segment for part in held)]
            assert segment.holders == len(holders) > 0
            assert segment.live == sum(1 for name in holders if name not in self._retired)
        assert self.used == sum(segment.length for segment in segments.values()) <= self.cells
        assert self.used_live == sum(segment.length for segment in segments.values() if segment.live)
        assert not set(self._unused_ids) & set(self._segments)
        assert set(self._retired) <= set(self._segments)

    def _split(self, sequence: int, length: int) -> None:
        """Make position `length` of a sequence a border between segments, for every holder of the segment."""
        start = 0
        for segment in self._segments[sequence]:
            if start < length < start + segment.length:
                tail = _Segment(start + segment.length - length)
                tail.holders, tail.live = segment.holders, segment.live
                segment.length = length - start
                for held in self._segments.values():
                    for index, part in enumerate(held):
                        if part is segment:
                            held.insert(index + 1, tail)
                            break
                return
            start += segment.length

    def _hold(self, segment: _Segment) -> None:
        segment.holders += 1
        if segment.live == 0:
            self.used_live += segment.length
        segment.live += 1

    def _release(self, segment: _Segment, *, live: bool) -> None:
        segment.holders -= 1
        if live:
            segment.live -= 1
            if segment.live == 0:
                self.used_live -= segment.length
        if segment.holders == 0:
            self.used -= segment.length

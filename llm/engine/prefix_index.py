"""Finds the sequence that shares the longest prefix with a new prompt.

Tokens are hashed in blocks, each block's key containing the key of the block before it, so that one dictionary
look-up per block of the prompt finds the longest match, however many sequences there are. The tail below one block
is compared directly. A sequence is indexed with all tokens it is going to hold, computed or not yet: this is how
two requests that arrive together find each other.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence

BLOCK = 16


class PrefixIndex:
    """Token prefixes of live and retired sequences, by sequence id."""

    def __init__(self) -> None:
        self._tokens: dict[int, list[int]] = {}
        self._keys: dict[int, list[int]] = {}
        self._holders: dict[int, set[int]] = {}
        self._seed = secrets.randbits(62)  # no prompt can be made to collide with another

    def add(self, sequence: int, tokens: Sequence[int]) -> None:
        """Index a new sequence with the tokens that it will hold."""
        assert sequence not in self._tokens
        self._tokens[sequence] = []
        self._keys[sequence] = []
        self.extend(sequence, tokens)

    def extend(self, sequence: int, tokens: Sequence[int]) -> None:
        """Append tokens to an indexed sequence."""
        held, keys = self._tokens[sequence], self._keys[sequence]
        held.extend(tokens)
        while (len(keys) + 1) * BLOCK <= len(held):
            start = len(keys) * BLOCK
            key = _key(keys[-1] if keys else self._seed, held[start : start + BLOCK])
            keys.append(key)
            self._holders.setdefault(key, set()).add(sequence)

    def truncate(self, sequence: int, length: int) -> None:
        """Forget the tokens of a sequence from position `length` on."""
        keys = self._keys[sequence]
        while len(keys) * BLOCK > length:
            self._forget(keys.pop(), sequence)
        del self._tokens[sequence][length:]

    def remove(self, sequence: int) -> None:
        for key in self._keys.pop(sequence):
            self._forget(key, sequence)
        del self._tokens[sequence]

    def longest(self, tokens: Sequence[int], *, computed: Callable[[int], int]) -> tuple[int, int] | None:
        """The best sequence to share with and the length of the common prefix; None when none is worth it.

        Args:
            tokens: the prompt.
            computed: how many tokens of a sequence are in memory; of equal matches the one with more of the
                match computed wins.
        """
        key, blocks = self._seed, 0
        holders: set[int] = set()
        while (blocks + 1) * BLOCK <= len(tokens):
            key = _key(key, tokens[blocks * BLOCK : (blocks + 1) * BLOCK])
            found = self._holders.get(key)
            if not found:
                break
            holders = found
            blocks += 1
        best: tuple[int, int] | None = None
        for sequence in holders:
            length = self._common(sequence, tokens, blocks)
            if length and (
                best is None or (length, min(length, computed(sequence))) > (best[1], min(best[1], computed(best[0])))
            ):
                best = sequence, length
        return best

    def check_integrity(self) -> None:
        """Raises AssertionError when keys and holders do not agree."""
        assert set(self._tokens) == set(self._keys)
        for sequence, keys in self._keys.items():
            assert len(keys) == len(self._tokens[sequence]) // BLOCK
            assert all(sequence in self._holders[key] for key in keys)
        assert sum(map(len, self._holders.values())) == sum(len(set(keys)) for keys in self._keys.values())

    def _common(self, sequence: int, tokens: Sequence[int], blocks: int) -> int:
        held, length = self._tokens[sequence], blocks * BLOCK
        if held[:length] != list(tokens[:length]):  # two blocks with one hash
            return 0
        limit = min(len(held), len(tokens))
        while length < limit and held[length] == tokens[length]:
            length += 1
        return length

    def _forget(self, key: int, sequence: int) -> None:
        holders = self._holders[key]
        holders.discard(sequence)
        if not holders:
            del self._holders[key]


def _key(previous: int, block: Sequence[int]) -> int:
    return hash((previous, *block))

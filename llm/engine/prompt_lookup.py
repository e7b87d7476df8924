"""Speculation without a second model: where the text repeats itself, propose that it goes on repeating.

The last `NGRAM` tokens are looked up in the prompt and in what was generated; the tokens that followed them the last
time are proposed and verified in the same batch, so the output is exactly what it would have been. A proposal costs
rows of the batch, so its length follows success: it doubles when all of it was taken and starts over when none was,
and after repeated failures proposals pause. Method: Saxena, "Prompt Lookup Decoding", 2023.
"""

from __future__ import annotations

NGRAM = 3
SHORTEST = 3
LONGEST = 15
LONGEST_PAUSE = 64


class PromptLookup:
    """Proposals for one generation.

    Args:
        tokens: the prompt.
    """

    def __init__(self, tokens: list[int]) -> None:
        self._tokens: list[int] = []
        self._after: dict[tuple[int, ...], int] = {}
        self._latest: tuple[tuple[int, ...], int] | None = None
        self._length = SHORTEST
        self._pause = 0
        self._failures = 0
        self.extend(tokens)

    def extend(self, tokens: list[int]) -> None:
        """Append tokens that became part of the text."""
        for token in tokens:
            self._tokens.append(token)
            if self._latest is not None:  # a position counts as an earlier one only when something follows it
                self._after[self._latest[0]] = self._latest[1]
            if len(self._tokens) >= NGRAM:
                self._latest = tuple(self._tokens[-NGRAM:]), len(self._tokens)
            if self._pause:
                self._pause -= 1

    def propose(self, limit: int) -> list[int]:
        """At most `limit` tokens that may follow; usually none."""
        if self._pause or self._latest is None or limit < 1:
            return []
        start = self._after.get(self._latest[0])
        if start is None:
            return []
        return self._tokens[start : start + min(self._length, limit)]

    def learn(self, proposed: int, accepted: int) -> None:
        """Take note of how many tokens of the latest proposal were right."""
        if accepted == proposed:
            self._length = min(2 * self._length + 1, LONGEST)
            self._failures = 0
        elif accepted:
            self._length = max(SHORTEST, accepted)
            self._failures = 0
        else:
            self._length = SHORTEST
            self._failures += 1
            self._pause = min(1 << self._failures, LONGEST_PAUSE)

"""A device made of dictionaries, for tests of engines.

Its "model" is a fixed function of all tokens that a sequence holds in memory, so that a lost, doubled or misplaced cell
changes what is generated: an engine that gives the same tokens as `reference` has kept its memory right.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from ..engine.executor import Capabilities, ComputeStatus, TokenBatch

NextToken = Callable[[Sequence[int]], int]


def scrambled(vocabulary: int, *, end_token: int | None = None, end_every: int = 0) -> NextToken:
    """A model whose next token depends on every token before it.

    Args:
        vocabulary: number of token ids.
        end_token: comes about every `end_every` tokens.
        end_every: 0 never ends.
    """

    def next_token(tokens: Sequence[int]) -> int:
        state = 17
        for token in tokens:
            state = (state * 31 + token + 7) % 1_000_003
        if end_token is not None and end_every and state % end_every == 0:
            return end_token
        return state % vocabulary

    return next_token


def reference(next_token: NextToken, prompt: Sequence[int], count: int) -> list[int]:
    """What a greedy generation from `prompt` must give."""
    tokens = list(prompt)
    for _ in range(count):
        tokens.append(next_token(tokens))
    return tokens[len(prompt) :]


class ScriptedExecutor:
    """An Executor without a device.

    Args:
        next_token: the model.
        capabilities: what the device claims to be able to do. It refuses what it cannot.
        before_compute: called before each batch is computed, on the engine's thread; a test may block here.
        abort_after: sequences that an aborted batch still extends (the others stay as they were).
    """

    def __init__(
        self,
        next_token: NextToken,
        capabilities: Capabilities,
        *,
        before_compute: Callable[[TokenBatch], None] | None = None,
        abort_after: int = 1,
    ) -> None:
        self._next_token = next_token
        self._capabilities = capabilities
        self._batch = TokenBatch(capabilities.max_batch)
        self._before_compute = before_compute
        self._abort_after = abort_after
        self._abort = threading.Event()
        self._held: dict[int, list[tuple[object, int]]] = {}
        self._rows: dict[int, tuple[int, ...]] = {}
        self.batches: list[int] = []
        self.computed_tokens = 0
        self.closed = False

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    @property
    def batch(self) -> TokenBatch:
        return self._batch

    def compute(self) -> ComputeStatus:
        assert not self.closed, "computed after close"
        if self._before_compute is not None:
            self._before_compute(self._batch)
        batch, limits = self._batch, self._capabilities
        assert 0 < batch.size <= limits.max_batch
        assert int(batch.outputs[: batch.size].sum()) <= limits.max_outputs
        aborted = self._abort.is_set()
        self._abort.clear()
        if self._cells_used() + batch.size > limits.cells:
            return "full"
        self._rows.clear()
        touched: list[int] = []
        for row in range(batch.size):
            sequence, position = int(batch.sequences[row]), int(batch.positions[row])
            assert 0 <= sequence < limits.max_sequences
            if sequence not in touched:
                touched.append(sequence)
            if aborted and len(touched) > self._abort_after:
                return "aborted"
            held = self._held.setdefault(sequence, [])
            assert position == len(held), f"sequence {sequence} has a gap at position {position}"
            assert position < limits.window
            held.append((object(), int(batch.tokens[row])))
            self.computed_tokens += 1
            if batch.outputs[row]:
                self._rows[row] = tuple(token for _, token in held)
        if aborted:
            return "aborted"
        self.batches.append(batch.size)
        return "done"

    def logits(self, row: int) -> npt.NDArray[np.float32]:
        tokens = self._rows[row]
        values = np.zeros(self._capabilities.vocabulary, dtype=np.float32)
        best = self._next_token(tokens)
        noise = random.Random(hash(tokens))
        for _ in range(8):
            values[noise.randrange(values.size)] += noise.random()
        values[best] = 9.0
        return values

    def share(self, source: int, target: int, length: int) -> None:
        assert self._capabilities.can_share
        assert not self._held.get(target)
        self._held[target] = self._held[source][:length]

    def truncate(self, sequence: int, length: int) -> None:
        assert length == 0 or self._capabilities.can_truncate
        del self._held.get(sequence, [])[length:]

    def length(self, sequence: int) -> int:
        return len(self._held.get(sequence, ()))

    def abort(self) -> None:
        self._abort.set()

    def clear_abort(self) -> None:
        self._abort.clear()

    def close(self) -> None:
        assert not self.closed
        self.closed = True

    def _cells_used(self) -> int:
        return len({id(cell) for held in self._held.values() for cell, _ in held})

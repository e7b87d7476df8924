"""One request while an engine works on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from .prompt_lookup import PromptLookup
from .request import EngineFinish, EngineRequest, TokenConstraint
from .sampling import Sampler
from .token_stream import TokenStream


@dataclass(eq=False, slots=True, repr=False)
class Generation:
    """Tokens known so far and how many of them the device has computed.

        tokens    [ prompt ................. ][ generated ... ]
        computed  [ in key-value memory ........... ]^ the rest is pending

    A generation that decodes has exactly one pending token, the one sampled last. A prompt, a preempted generation
    that comes back, and tokens that a grammar forces are all the same thing: more than one pending token.

    Args:
        most_tokens: the length that `tokens` may reach.
    """

    request: EngineRequest
    stream: TokenStream
    sampler: Sampler
    most_tokens: int
    constraint: TokenConstraint | None = None
    lookup: PromptLookup | None = None
    tokens: list[int] = field(default_factory=list)
    computed: int = 0
    sequence: int | None = None
    cached_tokens: int = 0
    state: Literal["sent", "waiting", "running", "ended"] = "sent"
    started: bool = False
    leader: tuple[Generation, int] | None = None
    finish: EngineFinish | None = None

    @property
    def pending(self) -> int:
        return len(self.tokens) - self.computed

    def take(self, draft: tuple[int, ...], logits: Callable[[int], npt.NDArray[np.float32]]) -> tuple[list[int], int]:
        """Sample after the pending tokens were computed, checking the draft on the way.

        Args:
            draft: tokens that were computed behind the pending ones on the guess that they come next.
            logits: logits after the pending tokens (0) and after each token of the draft (1, 2, ...).

        Returns:
            The new tokens, and how many of the draft were right.
        """
        new: list[int] = []
        right = 0
        for index in range(len(draft) + 1):
            if not self._append(self.sampler.sample(logits(index)), new):
                break
            if index == len(draft) or draft[index] != new[-1]:
                break
            right += 1
        if self.finish is None and self.constraint is not None:
            for token in self.constraint.forced_tokens():
                if not self._append(token, new):
                    break
        if self.lookup is not None:
            if draft:
                self.lookup.learn(len(draft), right)
            self.lookup.extend(new)
        return new, right

    def _append(self, token: int, new: list[int]) -> bool:
        """Take a token into the text; False when the generation ends here."""
        if token in self.request.stop_tokens:
            self.finish = "stop"
            return False
        self.sampler.accept(token)
        self.tokens.append(token)
        new.append(token)
        if self.constraint is not None and self.constraint.finished:
            self.finish = "stop"
        elif len(self.tokens) >= self.most_tokens:
            self.finish = "length"
        return self.finish is None

"""Any model that transformers can generate with, one request at a time, as an executor.

`generate` runs in a thread of its own and is stopped at every token: a logits processor hands the logits over, waits
for the token that the engine chose, and makes it the only one possible. So models whose memory is of their own kind
(recurrent, hybrid) have the same sampling, constraints and way to stop as all others. Their prompts are computed in
one piece, and a stop is seen when that piece is done.

Invariant: at most one session runs, and it is always waiting when the engine is not in `compute`.
"""

from __future__ import annotations

import queue
import threading
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from transformers import LogitsProcessor, LogitsProcessorList, StoppingCriteria, StoppingCriteriaList

from ..exceptions import EngineFailedError
from .executor import Capabilities, ComputeStatus, TokenBatch

SEQUENCE = 0


class GenerateExecutor:
    """A loaded model that generates for one sequence.

    Args:
        model: the `PreTrainedModel`; its generation config must be neutral.
        vocabulary: number of token ids that have logits.
        window: the most positions of the sequence.
        max_batch: rows of one batch.
    """

    def __init__(self, model: Any, *, vocabulary: int, window: int, max_batch: int) -> None:
        self._model = model
        self._capabilities = Capabilities(
            vocabulary=vocabulary,
            window=window,
            cells=window,
            max_sequences=1,
            max_batch=max_batch,
            max_outputs=1,
            can_share=False,
            can_truncate=False,
        )
        self._batch = TokenBatch(max_batch)
        self._tokens: list[int] = []
        self._session: _Session | None = None
        self._fed = 0
        self._logits: npt.NDArray[np.float32] = np.zeros(vocabulary, dtype=np.float32)

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    @property
    def batch(self) -> TokenBatch:
        return self._batch

    def compute(self) -> ComputeStatus:
        batch = self._batch
        assert not batch.sequences[: batch.size].any()
        self._tokens += batch.tokens[: batch.size].tolist()
        if batch.outputs[batch.size - 1]:
            try:
                self._catch_up()
            except Exception as error:
                raise EngineFailedError(
                    f"transformers failed after {len(self._tokens)} tokens ({type(error).__name__}: "
                    f"{str(error).partition(chr(10))[0][:200]}). The request under way is lost; new ones may work."
                ) from error
        return "done"

    def _catch_up(self) -> None:
        """Have everything computed that came since logits were last asked for."""
        if self._session is None:
            room = self._capabilities.window - len(self._tokens)
            self._session = _Session(self._model, self._tokens, room + 1)
            self._logits = self._session.next_logits()
        else:
            for token in self._tokens[self._fed :]:
                self._session.choose(token)
                self._logits = self._session.next_logits()
        self._fed = len(self._tokens)

    def logits(self, row: int) -> npt.NDArray[np.float32]:
        assert row == self._batch.size - 1
        return self._logits

    def share(self, source: int, target: int, length: int) -> None:  # noqa: ARG002 - of the protocol
        raise AssertionError("there is one sequence")

    def truncate(self, sequence: int, length: int) -> None:
        assert sequence == SEQUENCE
        if length == len(self._tokens):
            return
        assert length == 0
        self._tokens = []
        self._fed = 0
        if self._session is not None:
            self._session.close()
            self._session = None

    def length(self, sequence: int) -> int:  # noqa: ARG002 - of the protocol
        return len(self._tokens)

    def abort(self) -> None:
        """A forward pass of a foreign memory cannot be left half done; the engine sees the stop after it."""

    def clear_abort(self) -> None:
        """Nothing was set."""

    def close(self) -> None:
        self.truncate(SEQUENCE, 0)
        self._model = None


class _Session(LogitsProcessor, StoppingCriteria):
    """One call of `generate`, which moves on a token at a time."""

    def __init__(self, model: Any, prompt: list[int], max_new_tokens: int) -> None:
        self._logits: queue.SimpleQueue[npt.NDArray[np.float32] | BaseException] = queue.SimpleQueue()
        self._choices: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        self._ended = False
        arguments = (model, torch.tensor([prompt], device=model.device), max_new_tokens)
        self._thread = threading.Thread(target=self._generate, args=arguments, name="generate", daemon=True)
        self._thread.start()

    def next_logits(self) -> npt.NDArray[np.float32]:
        """Wait for the logits after the tokens so far."""
        logits = self._logits.get()
        if isinstance(logits, BaseException):
            raise logits
        return logits

    def choose(self, token: int) -> None:
        """Go on with this token."""
        self._choices.put(token)

    def close(self) -> None:
        """End `generate` and wait for it."""
        self._choices.put(None)
        self._thread.join()

    def _generate(self, model: Any, prompt: torch.Tensor, max_new_tokens: int) -> None:
        try:
            model.generate(
                input_ids=prompt,
                attention_mask=torch.ones_like(prompt),
                max_new_tokens=max_new_tokens,
                do_sample=False,
                logits_processor=LogitsProcessorList([self._hand_over]),
                stopping_criteria=StoppingCriteriaList([self._must_stop]),
            )
        except BaseException as error:
            self._logits.put(error)

    def _hand_over(self, _input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        self._logits.put(scores[-1].float().cpu().numpy())
        choice = self._choices.get()
        self._ended = choice is None
        only = torch.full_like(scores, -torch.inf)
        only[:, choice or 0] = 0.0
        return only

    def _must_stop(self, input_ids: torch.Tensor, _scores: torch.Tensor) -> torch.Tensor:
        return torch.full((input_ids.shape[0],), self._ended, device=input_ids.device, dtype=torch.bool)

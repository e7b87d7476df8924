"""Grammar text in, the set of tokens that may come next out.

`GrammarCompiler` is the engine's ConstraintCompiler and `GrammarConstraint` its TokenConstraint; both know the
engine's protocols by shape alone. Invariant: nothing here ends the process or raises anything but SchemaError (the
grammar cannot be compiled) and GenerationError (a compiled grammar failed while it ran), and no message holds
generated text.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Protocol

import numpy as np
import numpy.typing as npt
from llguidance import LLMatcher, LLTokenizer, TokenizerWrapper

from ..exceptions import GenerationError, SchemaError
from .lark import special_token
from .native_limits import LIMITS, panics_caught


class Vocabulary(Protocol):
    """A model's tokens. `llm.chat` has the tokenizers of models; `ByteVocabulary` is the one for tests."""

    @property
    def size(self) -> int:
        """Number of token ids."""

    @property
    def end_tokens(self) -> frozenset[int]:
        """Tokens that end a generation."""

    @property
    def special_texts(self) -> Mapping[str, int]:
        """Texts of control tokens with their ids."""

    def piece(self, token: int) -> bytes:
        """The bytes that a token stands for."""

    def encode(self, text: str, *, special: bool) -> list[int]:
        """Token ids of `text`; without `special`, no control tokens."""


class GrammarConstraint:
    """One generation's place in a grammar. One thread at a time."""

    def __init__(self, matcher: LLMatcher, *, vocabulary_size: int, end_tokens: Iterable[int]) -> None:
        self._matcher = matcher
        self._tokens = range(vocabulary_size)
        self._words = (vocabulary_size + 31) // 32
        self._end_tokens = frozenset(end_tokens)
        self._ends = 0  # end tokens taken after the grammar's last token; the matcher does not count them

    def allows(self, token: int) -> bool:
        """Whether `token` may come next. An end token is allowed only where the grammar may end."""
        if token in self._end_tokens:
            # A grammar may also name an end token, as the mark that closes a call; only the mask tells.
            allowed = self._matcher.is_accepting() or self._in_mask(token)
        else:
            # Models have more logits than tokens, for the sake of round numbers.
            known = token in self._tokens and not self._matcher.is_stopped()
            allowed = known and self._matcher.validate_tokens([token]) == 1
        self._check()
        return allowed

    def fill_mask(self, mask: npt.NDArray[np.int32]) -> None:
        """Write the allowed tokens as a bit mask (bit t % 32 of word t // 32) into `mask`; words beyond are cleared."""
        if mask.size < self._words or mask.dtype != np.int32 or not mask.flags.c_contiguous:
            raise GenerationError(f"A token mask needs {self._words} contiguous 32-bit words, not {mask.size}.")
        words = mask.reshape(-1)
        words[self._words :] = 0
        self._matcher.unsafe_compute_mask_ptr(words.ctypes.data, self._words * 4)
        self._check()

    def forced_tokens(self) -> list[int]:
        """Tokens that must come next whatever the model says; usually none."""
        tokens = self._matcher.compute_ff_tokens()
        self._check()
        return tokens

    def advance(self, token: int) -> None:
        """Take a token that is allowed.

        Raises:
            GenerationError: it is not allowed; the constraint cannot be used any more.
        """
        if token in self._end_tokens and self._matcher.is_stopped():
            self._ends += 1
        elif token not in self._tokens or not self._matcher.consume_token(token):
            raise GenerationError(f"Token {token} is not allowed by the grammar at this place.")

    def rollback(self, count: int) -> None:
        """Take back the last `count` advanced tokens."""
        ends = min(count, self._ends)
        self._ends -= ends
        if count > ends and not self._matcher.rollback(count - ends):
            raise GenerationError(f"The grammar cannot be taken back by {count} tokens.")

    @property
    def finished(self) -> bool:
        """True when nothing but an end token may follow."""
        return self._matcher.is_stopped()

    def _in_mask(self, token: int) -> bool:
        return bool(self._matcher.compute_bitmask()[token // 8] >> token % 8 & 1)

    def _check(self) -> None:
        if self._matcher.is_error():
            raise GenerationError(
                f"The grammar cannot be followed any further ({self._matcher.stop_reason()}): it is too complex, or "
                "its engine broke. Simplify the schema's patterns and alternatives."
            )


class GrammarCompiler:
    """Compiles grammars for one vocabulary and remembers the latest ones. Safe from any thread.

    The vocabulary is made ready by the first grammar, which takes a second for a hundred thousand tokens.

    Args:
        vocabulary: the model's tokens.
        capacity: how many compiled grammars are kept.
    """

    def __init__(self, vocabulary: Vocabulary, *, capacity: int = 64) -> None:
        self._vocabulary = vocabulary
        self._capacity = capacity
        self._tokenizer: LLTokenizer | None = None
        self._compiled: OrderedDict[str, LLMatcher] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, grammar: str) -> GrammarConstraint:
        """A constraint at the start of `grammar`.

        Raises:
            SchemaError: the grammar engine refuses it.
        """
        with self._lock:
            compiled = self._compiled.get(grammar)
            if compiled is not None:
                self._compiled.move_to_end(grammar)
        if compiled is None:
            compiled = self._compile(grammar)
            with self._lock:
                self._compiled[grammar] = compiled
                while len(self._compiled) > self._capacity:
                    self._compiled.popitem(last=False)
        return GrammarConstraint(
            compiled.deep_copy(), vocabulary_size=self._vocabulary.size, end_tokens=self._vocabulary.end_tokens
        )

    def _compile(self, grammar: str) -> LLMatcher:
        with self._lock:
            if self._tokenizer is None:
                self._tokenizer = _tokenizer_of(self._vocabulary)
        with panics_caught():
            matcher = LLMatcher(self._tokenizer, grammar, log_level=0, limits=LIMITS)
        if matcher.is_error():
            reason = matcher.get_error().partition("\n")[0][:200]
            raise SchemaError(f"The tools or the response format cannot be made into a grammar: {reason}")
        return matcher

    def __repr__(self) -> str:
        return f"<GrammarCompiler {self._vocabulary.size} tokens, {len(self._compiled)} grammars compiled>"


class _TokenSource:
    """A vocabulary under the names that llguidance looks for."""

    bos_token_id = None

    def __init__(self, vocabulary: Vocabulary) -> None:
        special = {token: text for text, token in vocabulary.special_texts.items()}
        special |= {token: f"<end-{token}>" for token in vocabulary.end_tokens - special.keys()}
        self.eos_token_id = min(vocabulary.end_tokens)
        self.special_token_ids = sorted(special)
        self.tokens = [
            special_token(special[token]).encode() if token in special else vocabulary.piece(token)
            for token in range(vocabulary.size)
        ]
        self._encode = vocabulary.encode

    def __call__(self, text: bytes | str) -> list[int]:
        return self._encode(text if isinstance(text, str) else text.decode("utf-8", "replace"), special=False)


def _tokenizer_of(vocabulary: Vocabulary) -> LLTokenizer:
    if not vocabulary.end_tokens:
        raise SchemaError("The model's vocabulary has no token that ends a text, so a constrained reply could not end.")
    return LLTokenizer(TokenizerWrapper(_TokenSource(vocabulary)), eos_token=sorted(vocabulary.end_tokens))

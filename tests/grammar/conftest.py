"""What the tests of this folder share: a byte vocabulary, and a model without sense that writes under a constraint."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from llm.grammar.byte_vocabulary import END_TOKEN, ByteVocabulary
from llm.grammar.constraint import GrammarCompiler

# Tokens of several bytes that cross the borders between the parts of a call, as those of a real vocabulary do.
WORDS = [b'{"', b'":', b'": "', b'", "', b'"}', b'"}}', b"}\n", b"the", b"name", b'{"name', b"12", b", ", b"\n<"]
CLOSERS = frozenset(bytes([byte]) for byte in b"\"}]>)'<|/") | {b'"}', b'"}}'}


@dataclass(frozen=True)
class Bench:
    """A vocabulary with its compiler, and what can be done with a grammar on it."""

    vocabulary: ByteVocabulary
    compiler: GrammarCompiler
    closers: frozenset[bytes]

    def accepts(self, grammar: str, text: str, *, whole: bool = True) -> bool:
        """Whether `grammar` takes the whole of `text`, or without `whole` whether some text can follow it."""
        constraint = self.compiler(grammar)
        for token in self.vocabulary.encode(text, special=True):
            if not constraint.allows(token):
                return False
            constraint.advance(token)
        return not whole or constraint.allows(END_TOKEN)

    def walk(self, grammar: str, *, seed: int, patience: int = 40, longest: int = 20_000) -> str:
        """What a model with random weights writes under `grammar`, until it ends.

        Every allowed token has the same chance, except that what closes something grows likelier the longer the text
        is, that an end token is taken in one of three cases, and always past `patience`, and that a text which
        branches for ever is brought to its end by taking the lowest token.
        """
        choose = random.Random(seed)
        constraint = self.compiler(grammar)
        mask = np.zeros((self.vocabulary.size + 31) // 32, dtype=np.int32)
        data = bytearray()
        for step in range(longest):
            constraint.fill_mask(mask)
            allowed = np.flatnonzero(np.unpackbits(mask.view(np.uint8), bitorder="little")).tolist()
            assert allowed, f"no token is allowed after {bytes(data)!r}"
            if END_TOKEN in allowed:
                if len(allowed) == 1 or step > patience or choose.random() < 0.3:
                    constraint.advance(END_TOKEN)
                    assert constraint.finished
                    return data.decode()
                allowed.remove(END_TOKEN)
            closing = [token for token in allowed if self.vocabulary.piece(token) in self.closers]
            hurry = 0.15 if step < patience else 0.9
            token = choose.choice(closing if closing and choose.random() < hurry else allowed)
            if step > 20 * patience and choose.random() < 0.5:
                token = min(closing or [other for other in allowed if other > 32] or allowed)
            assert constraint.allows(token)
            constraint.advance(token)
            data += self.vocabulary.piece(token)
        raise AssertionError("the text does not end")


def bench_with(*, special_texts: Sequence[str] = (), closers: Sequence[str] = ()) -> Bench:
    words = [closer.encode() for closer in closers if closer not in special_texts]
    vocabulary = ByteVocabulary(special_texts, WORDS + words)
    return Bench(vocabulary, GrammarCompiler(vocabulary), CLOSERS | {closer.encode() for closer in closers})


@pytest.fixture(scope="session")
def bench() -> Bench:
    """A vocabulary in which every marker is plain text."""
    return bench_with()


@pytest.fixture(scope="session")
def make_bench() -> Callable[..., Bench]:
    """Makes one with control tokens, and with tokens that are whole closing markers, which chance would never spell."""
    return bench_with

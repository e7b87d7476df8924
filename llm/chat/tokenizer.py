"""Text to tokens and back, whatever library holds the vocabulary."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol


class Tokenizer(Protocol):
    """A model's vocabulary. Safe from any thread."""

    @property
    def size(self) -> int:
        """Number of token ids."""

    @property
    def end_tokens(self) -> frozenset[int]:
        """Tokens that end a generation."""

    @property
    def special_texts(self) -> dict[str, int]:
        """Texts of control tokens, such as ``<|im_start|>``, with their ids."""

    @property
    def bos_token(self) -> int | None:
        """The token that every prompt must begin with; None when there is none."""

    def encode(self, text: str, *, special: bool) -> list[int]:
        """Token ids of `text`. Only with `special` may the text of a control token become that token."""

    def piece(self, token: int) -> bytes:
        """The bytes that a token stands for; for a control token its text."""


def encode_prompt(tokenizer: Tokenizer, pieces: Iterable[tuple[str, bool]]) -> list[int]:
    """Token ids of a rendered prompt.

    Args:
        pieces: text, and whether it may hold control tokens. What users, tools and documents wrote may not.
    """
    tokens: list[int] = []
    for text, trusted in pieces:
        tokens += tokenizer.encode(text, special=trusted)
    bos = tokenizer.bos_token
    if bos is not None and tokens[:1] != [bos]:
        tokens.insert(0, bos)
    return tokens

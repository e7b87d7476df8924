"""The vocabulary of a Hugging Face model, over the `tokenizers` library.

Two copies of the tokenizer are kept: one turns the texts of control tokens into those tokens, the other reads them as
ordinary text. Which bytes a token stands for follows from the decoder: byte-level vocabularies write each byte as a
letter, SentencePiece ones write a blank as a block and single bytes as ``<0x0A>``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from tokenizers import Tokenizer as Backend

_BLANK = "\u2581"
_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")
_LEAD = "\n"


class HuggingFaceTokenizer:
    """Tokenizer over a `tokenizers.Tokenizer`.

    Args:
        backend: the tokenizer; it is not changed.
        end_tokens: tokens that end a generation.
        bos_token: the token that begins a text, if the vocabulary names one.
    """

    def __init__(self, backend: Backend, *, end_tokens: Iterable[int], bos_token: int | None = None) -> None:
        self._special = _copy(backend, split_control_texts=False)
        self._plain = _copy(backend, split_control_texts=True)
        added = backend.get_added_tokens_decoder()
        self.special_texts: dict[str, int] = {
            token.content: number for number, token in added.items() if token.special and token.content
        }
        self._added = {number: token.content for number, token in added.items()}
        self.size: int = max(backend.get_vocab(with_added_tokens=True).values(), default=-1) + 1
        self.end_tokens = frozenset(end_tokens)
        begins = backend.encode("a").ids
        self.bos_token: int | None = bos_token if bos_token is not None and begins[:1] == [bos_token] else None
        self._byte_of = _byte_letters() if _is_byte_level(backend) else None
        self._pieces: dict[int, bytes] = {}
        self._lead = self._find_lead()

    def encode(self, text: str, *, special: bool) -> list[int]:
        """Token ids of `text`; lone surrogates become U+FFFD."""
        if not text.isascii():
            text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        if not text:
            return []
        return self._encode(_LEAD + text if self._lead else text, special=special)[self._lead :]

    def piece(self, token: int) -> bytes:
        piece = self._pieces.get(token)
        if piece is None:
            piece = self._pieces[token] = self._read_piece(token)
        return piece

    def _encode(self, text: str, *, special: bool) -> list[int]:
        ids: list[int] = (self._special if special else self._plain).encode(text, add_special_tokens=False).ids
        return ids

    def _find_lead(self) -> int:
        """SentencePiece vocabularies put a blank before every text, which would appear in the middle of a prompt that
        is encoded in pieces. There, encode after a line break, and take the tokens of that off again."""
        letter = self._encode("a", special=False)
        if not letter or not self.piece(letter[0]).startswith(b" "):
            return 0
        return len(self._encode(_LEAD, special=False))

    def _read_piece(self, token: int) -> bytes:
        if token in self._added:
            return self._added[token].encode()
        text = self._special.id_to_token(token)
        if text is None:
            return b""
        if self._byte_of is not None:
            return b"".join(self._byte_of.get(letter) or letter.encode() for letter in text)
        byte = _BYTE.fullmatch(text)
        return bytes([int(byte.group(1), 16)]) if byte else text.replace(_BLANK, " ").encode()


def _copy(backend: Backend, *, split_control_texts: bool) -> Backend:
    copy = Backend.from_str(backend.to_str())
    copy.no_padding()
    copy.no_truncation()
    copy.encode_special_tokens = split_control_texts
    return copy


def _is_byte_level(backend: Backend) -> bool:
    described = json.loads(backend.to_str())
    return any("ByteLevel" in _types(described.get(part)) for part in ("decoder", "pre_tokenizer"))


def _types(part: Any) -> set[str]:
    """The types named in a part of a tokenizer's description, nested ones included."""
    if isinstance(part, dict):
        own = {part["type"]} if isinstance(part.get("type"), str) else set()
        return own.union(*map(_types, part.values()))
    return set().union(*map(_types, part)) if isinstance(part, list) else set()


def _byte_letters() -> dict[str, bytes]:
    """The letter that byte-level vocabularies write for each byte: itself where that can be printed, else one from
    U+0100 on, in order."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    further = iter(range(0x100, 0x200))
    return {chr(byte) if byte in printable else chr(next(further)): bytes([byte]) for byte in range(256)}

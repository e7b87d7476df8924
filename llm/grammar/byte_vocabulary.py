"""A vocabulary of single bytes: what tests and evaluations constrain where no model is at hand.

Invariant: token t below 256 is the byte t, token 256 ends the text, then come the special tokens and the words in the
order given.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

END_TOKEN = 256


class ByteVocabulary:
    """256 bytes, an end token, and what else is wanted.

    Args:
        special_texts: texts of further control tokens.
        words: tokens of several bytes each; a text is encoded with the longest that fits.
    """

    def __init__(self, special_texts: Sequence[str] = (), words: Sequence[bytes] = ()) -> None:
        control = ["<|endoftext|>", *special_texts]
        self.special_texts = {text: END_TOKEN + index for index, text in enumerate(control)}
        self.end_tokens = frozenset({END_TOKEN})
        self._pieces = [bytes([byte]) for byte in range(256)] + [text.encode() for text in control] + list(words)
        self.size = len(self._pieces)
        self._words = {word: len(self._pieces) - len(words) + index for index, word in enumerate(words)}
        self._longest = max(map(len, words), default=1)
        self._control = re.compile("|".join(sorted(map(re.escape, control), key=len, reverse=True)))

    def piece(self, token: int) -> bytes:
        return self._pieces[token]

    def encode(self, text: str, *, special: bool) -> list[int]:
        if not special:
            return self._encode_plain(text.encode())
        tokens, start = [], 0
        for found in self._control.finditer(text):
            tokens += self._encode_plain(text[start : found.start()].encode())
            tokens.append(self.special_texts[found.group()])
            start = found.end()
        return tokens + self._encode_plain(text[start:].encode())

    def _encode_plain(self, data: bytes) -> list[int]:
        tokens, start = [], 0
        while start < len(data):
            size = min(self._longest, len(data) - start)
            while size > 1 and data[start : start + size] not in self._words:
                size -= 1
            piece = data[start : start + size]
            tokens.append(self._words[piece] if piece in self._words else data[start])
            start += size
        return tokens

"""Tokens to text while they come: a character is handed out when its last byte has arrived."""

from __future__ import annotations

import codecs
from collections.abc import Iterable

from .tokenizer import Tokenizer


class Detokenizer:
    """Incremental decoding of one generation. Bytes that are no UTF-8 become U+FFFD, one for each maximal part."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def feed(self, tokens: Iterable[int]) -> str:
        """Text that is certain after these tokens."""
        return self._decoder.decode(b"".join(self._tokenizer.piece(token) for token in tokens))

    def finish(self) -> str:
        """What was held back, now that nothing follows."""
        return self._decoder.decode(b"", final=True)

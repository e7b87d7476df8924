"""The vocabulary of a GGUF model."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..exceptions import EngineClosedError
from ..llama_cpp_library import initialised_library

_CONTROL_OR_UNKNOWN = 1 << 3 | 1 << 0  # of enum llama_token_attr: what `parse_special` turns on


class LlamaCppTokenizer:
    """Tokenizer over a `llama_vocab` pointer."""

    def __init__(self, vocabulary: Any) -> None:
        self._users = 0
        self._closed = False
        self._idle = threading.Condition()
        self._library = library = initialised_library()
        self._vocabulary = vocabulary
        self.size: int = library.llama_vocab_n_tokens(vocabulary)
        everything = range(self.size)
        self.end_tokens = frozenset(token for token in everything if library.llama_vocab_is_eog(vocabulary, token))
        control = [
            token for token in everything if library.llama_vocab_get_attr(vocabulary, token) & _CONTROL_OR_UNKNOWN
        ]
        texts = {library.llama_vocab_get_text(vocabulary, token).decode("utf-8", "replace"): token for token in control}
        self.special_texts: dict[str, int] = {text: token for text, token in texts.items() if text}
        bos = library.llama_vocab_bos(vocabulary)
        self.bos_token: int | None = bos if bos >= 0 and library.llama_vocab_get_add_bos(vocabulary) else None
        self.bos_text = self._text_of(bos)
        self.eos_text = self._text_of(library.llama_vocab_eos(vocabulary))
        self._pieces: dict[int, bytes] = {}
        self._lead = self._find_lead()

    def encode(self, text: str, *, special: bool) -> list[int]:
        """Token ids of `text`; lone surrogates become U+FFFD."""
        tokens = self._encode(self._lead_text + text if self._lead else text, special=special)
        return tokens[self._lead :]

    def piece(self, token: int) -> bytes:
        piece = self._pieces.get(token)
        if piece is None:
            piece = self._pieces[token] = self._read_piece(token)
        return piece

    def close(self) -> None:
        """Wait for calls under way on other threads; later ones raise EngineClosedError. Then free the model."""
        with self._idle:
            self._closed = True
            self._idle.wait_for(lambda: self._users == 0)

    @contextmanager
    def _use(self) -> Iterator[None]:
        with self._idle:
            if self._closed:
                raise EngineClosedError("The model was closed while its vocabulary was in use; acquire it again.")
            self._users += 1
        try:
            yield
        finally:
            with self._idle:
                self._users -= 1
                self._idle.notify_all()

    _lead_text = "\n"

    def _find_lead(self) -> int:
        """SentencePiece vocabularies put a space before every text, which would appear in the middle of a prompt that
        is encoded in pieces. There, encode after a line break, and take the tokens of that off again."""
        letter = self._encode("a", special=False)
        if not letter or not self.piece(letter[0]).startswith(b" "):
            return 0
        return len(self._encode(self._lead_text, special=False))

    def _encode(self, text: str, *, special: bool) -> list[int]:
        data = text.encode("utf-8", "replace")
        if not data:
            return []
        count = len(data) + 8
        while True:
            buffer = (ctypes.c_int32 * count)()
            with self._use():
                written = self._library.llama_tokenize(self._vocabulary, data, len(data), buffer, count, False, special)
            if written >= 0:
                return list(buffer[:written])
            count = -written

    def _read_piece(self, token: int) -> bytes:
        size = 64
        while True:
            buffer = ctypes.create_string_buffer(size)
            with self._use():
                written = self._library.llama_token_to_piece(self._vocabulary, token, buffer, size, 0, True)
            if written >= 0:
                return buffer.raw[:written]
            size = -written

    def _text_of(self, token: int) -> str:
        if token < 0:
            return ""
        return str(self._library.llama_vocab_get_text(self._vocabulary, token).decode("utf-8", "replace"))

"""A model's own tokenizer, by the `tokenizers` library alone: for counting tokens, and for engines without torch.

It is never told to pad or to truncate after it was opened, and encodes one text at a time, so any number of threads may
share it, and a process that forks later is not warned about threads.
"""

from __future__ import annotations

from pathlib import Path

from tokenizers import Tokenizer

from ..exceptions import ModelFormatError
from .embedding_folder import EmbeddingFolder


def open_tokenizer(folder: EmbeddingFolder) -> Tokenizer | None:
    """The tokenizer, which cuts off what the model does not take; None where the folder has none of this kind.

    Raises:
        ModelFormatError: the file is not a tokenizer.
    """
    file: Path = folder.path / "tokenizer.json"
    if not file.is_file():
        return None
    try:
        tokenizer = Tokenizer.from_file(str(file))
        tokenizer.no_padding()
        tokenizer.enable_truncation(folder.max_tokens)
    except Exception as exc:  # the library raises plain Exception
        raise ModelFormatError(f"{str(file)!r} is not a tokenizer. Download the model again.") from exc
    return tokenizer


def token_ids(tokenizer: Tokenizer, text: str) -> list[int]:
    """The tokens of a text, with those that the model wants at its ends."""
    ids: list[int] = tokenizer.encode(whole_characters(text)).ids
    return ids


def whole_characters(text: str) -> str:
    """The text without halves of surrogate pairs, which no tokenizer takes and some documents hold."""
    return text.encode("utf-8", "replace").decode("utf-8")

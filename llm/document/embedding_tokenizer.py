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

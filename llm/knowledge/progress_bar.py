"""The bar that an ingest shows on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm  # type: ignore[import-untyped]

from ..terminal_width import bar_columns
from .ingest import IngestProgress, ProgressCallback


@contextmanager
def shown_progress(progress: ProgressCallback | bool | None, total: int) -> Iterator[Callable[[IngestProgress], None]]:
    """Whatever the caller wants to be told or shown, as one callback.

    Args:
        progress: a callback, whether to show a bar, or None to show one where standard error is a terminal.
        total: files that there are.
    """
    if callable(progress):
        yield progress
        return
    hidden = not (sys.stderr.isatty() if progress is None else progress)
    with tqdm(total=total, unit="file", desc="Adding", disable=hidden, ncols=bar_columns()) as bar:

        def show(state: IngestProgress) -> None:
            bar.set_postfix_str(f"{state.chunks} chunks", refresh=False)
            bar.update(state.done - bar.n)

        yield show

"""What a download tells while it runs, and the bar that shows it on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from ..terminal_width import bar_columns


@dataclass(frozen=True, slots=True)
class DownloadProgress:
    """How far one file has come.

    Attributes:
        file: its name in the repository.
        received: bytes that are on disk, those of earlier attempts included.
        total: length of the file, if the hub said it.
    """

    file: str
    received: int
    total: int | None


ProgressCallback = Callable[[DownloadProgress], None]


@contextmanager
def progress_reporter(callback: ProgressCallback | None) -> Iterator[ProgressCallback]:
    """The caller's callback, or a bar where a person looks at a terminal, or nothing."""
    if callback is not None:
        yield callback
    elif sys.stderr.isatty():
        with _bars() as show:
            yield show
    else:
        yield _silent


def _silent(progress: DownloadProgress) -> None:
    """Nobody watches."""


@contextmanager
def _bars() -> Iterator[ProgressCallback]:
    from tqdm import tqdm  # type: ignore[import-untyped]

    bars: dict[str, tqdm] = {}

    def show(progress: DownloadProgress) -> None:
        bar = bars.get(progress.file)
        if bar is None:
            name = progress.file.rpartition("/")[2]
            # `initial`: what earlier attempts brought counts as done, not towards the speed.
            bar = tqdm(
                desc=name,
                total=progress.total,
                initial=progress.received,
                unit="B",
                unit_scale=True,
                ncols=bar_columns(),
            )
            bars[progress.file] = bar
        bar.update(progress.received - bar.n)

    try:
        yield show
    finally:
        for bar in bars.values():
            bar.close()

"""A bar on a terminal that does not know its size is as wide as terminals usually are."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest

from llm.terminal_width import bar_columns


@pytest.mark.parametrize(("columns", "given"), [(0, 80), (20, None), (200, None)])
def test_only_a_width_of_nothing_is_replaced(monkeypatch: pytest.MonkeyPatch, columns: int, given: int | None) -> None:
    """Every other width is asked for again while the bar is drawn."""
    monkeypatch.setattr("sys.stderr", SimpleNamespace(fileno=lambda: 7))
    monkeypatch.setattr(os, "get_terminal_size", {7: os.terminal_size((columns, 24))}.__getitem__)
    assert bar_columns() == given


def test_what_is_no_terminal_has_no_width(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file, a pipe, or a stream that is in memory only."""

    def none(_: int) -> os.terminal_size:
        raise OSError(25, "Inappropriate ioctl for device")

    monkeypatch.setattr(os, "get_terminal_size", none)
    assert bar_columns() is None

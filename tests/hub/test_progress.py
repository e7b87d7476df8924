"""A download shows a bar to a person at a terminal, tells a callback, and is silent otherwise."""

from __future__ import annotations

import io
import sys

import pytest

from llm.hub.progress import DownloadProgress, progress_reporter


class Terminal(io.StringIO):
    """Standard error of a program that a person started."""

    def isatty(self) -> bool:
        return True


def report_a_download(reporter_of: list[DownloadProgress] | None = None) -> None:
    callback = None if reporter_of is None else reporter_of.append
    with progress_reporter(callback) as report:
        for received in (500_000, 750_000, 250_000, 1_000_000):
            report(DownloadProgress("big/model.gguf", received, 1_000_000))


def test_a_terminal_shows_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    """The file's name, where an earlier attempt ended, and the end; a restart takes the bar back."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    report_a_download()
    shown = terminal.getvalue()
    assert "model.gguf:  50%" in shown
    assert "model.gguf: 100%" in shown
    assert "1.00M/1.00M" in shown


def test_nothing_is_shown_where_nobody_looks(capsys: pytest.CaptureFixture[str]) -> None:
    """A service's standard error is not filled with bars."""
    report_a_download()
    assert capsys.readouterr() == ("", "")


def test_a_callback_is_told_instead(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks for the numbers gets them, and no bar even on a terminal."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    seen: list[DownloadProgress] = []
    report_a_download(seen)
    assert [progress.received for progress in seen] == [500_000, 750_000, 250_000, 1_000_000]
    assert terminal.getvalue() == ""

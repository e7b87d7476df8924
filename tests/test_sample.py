"""sample.py as the README calls it, with a document."""

from __future__ import annotations

import asyncio
import runpy
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def test_it_answers_from_a_document_and_cites_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`python sample.py docs/harbour-report.pdf`: every example runs, and the last answer stands in the document."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["sample.py", str(ROOT / "docs" / "harbour-report.pdf")])
    monkeypatch.setattr("llm.logs.LogLevels.apply", lambda _: None)
    sample = runpy.run_path(str(ROOT / "sample.py"))
    asyncio.run(sample["main"](Path(sys.argv[1])))
    said = capsys.readouterr().out
    assert "Basic usage" in said
    assert "harbour-report.pdf, pages 1-2" in said
    assert "recommend to repair the old crane" in said.rpartition("Summarize the recommendations")[2]
    assert (tmp_path / "chroma_db" / "documents.sqlite3").exists()

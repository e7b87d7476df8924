"""sample.py as the README calls it, with a document."""

from __future__ import annotations

import asyncio
import os
import runpy
import subprocess
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


@pytest.mark.parametrize("program", ["sample.py", "pyai-examples.py"])
def test_a_wrong_setting_is_one_line(tmp_path: Path, program: str) -> None:
    """The first mistake of a new user shows no traceback in the examples either."""
    done = subprocess.run(
        [sys.executable, str(ROOT / program)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "LLM_TEMPERATURE": "9"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines() == [
        "ConfigError: LLM_TEMPERATURE='9' is not allowed: a number from 0 to 2 (set in the environment)."
    ]

"""`evals/run.py` prints every figure of every evaluation, and says what it left out."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

EVALS = Path(__file__).parents[1] / "evals"


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """And forget it again: the benchmarks have a `run` too."""
    monkeypatch.syspath_prepend(str(EVALS))
    monkeypatch.delitem(sys.modules, "run", raising=False)


@pytest.mark.soak
def test_one_command_prints_the_tables_with_the_versions() -> None:
    """Without data of other people: the demo model's tool calls, and which tables are missing."""
    done = subprocess.run([sys.executable, str(EVALS / "run.py"), "--count", "1"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout.splitlines()[-1])
    assert list(summary["results"]) == ["demo model, unconstrained", "demo model, constrained"]
    assert len(summary["left_out"]) == 2
    assert "llama-cpp-python" in summary["versions"]
    assert "demo model, constrained\n" in done.stdout


def test_every_number_has_its_row() -> None:
    """Nested tables get the names of both; how it was run is no figure."""
    import run

    figures = {"seed": 1, "dense": {"recall": {"1": 0.5, "5": 0.875}}, "questions": 12, "constrained": True}
    assert run.rows(figures) == [("dense recall 1", 0.5), ("dense recall 5", 0.875), ("questions", 12)]


def test_data_decides_what_is_evaluated(tmp_path: Path) -> None:
    """A corpus with questions is one evaluation, each file of XQuAD another, each file of cases a third kind."""
    import run

    (tmp_path / "chunking-evaluation" / "corpora").mkdir(parents=True)
    (tmp_path / "chunking-evaluation" / "questions.csv").touch()
    (tmp_path / "chunking-evaluation" / "corpora" / "wiki.md").touch()
    (tmp_path / "xquad").mkdir()
    (tmp_path / "xquad" / "xquad.de.json").touch()
    (tmp_path / "cases.jsonl").touch()
    assert [one.title for one in run.retrieval(tmp_path)] == ["retrieval, chunking-evaluation", "retrieval, xquad.de"]
    assert [one.script for one in run.recorded_replies(tmp_path)] == ["chat_cases.py"]

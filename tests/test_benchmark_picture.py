"""The picture of the benchmarks shows each comparison that the figures hold, and nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
RESULTS = [
    {
        "script": "decode",
        "question": "one stream",
        "ratio": 0.99,
        "tokens_per_second": {
            "practorflow": {"median": 10.0, "least": 9.0, "most": 12.0},
            "a bare loop": {"median": 10.1, "least": 9.5, "most": 10.4},
        },
        "machine": {"cpu": "a processor", "threads": 2},
    },
    {
        "script": "lookup",
        "question": "prompt lookup",
        "tokens_per_second": {
            "quoting": {"with lookup": {"median": 30.0}, "without": {"median": 10.0}},
            "free": {"with lookup": {"median": 10.0}, "without": {"median": 10.0}},
        },
    },
    {"script": "alone", "question": "one side alone", "seconds": {"list": {"median": 1.0}}},
]


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Benchmarks import each other as scripts do."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    monkeypatch.delitem(sys.modules, "run", raising=False)


def test_every_comparison_is_a_panel() -> None:
    """Nested tables are panels of their own; a single side is no comparison."""
    from picture import panels

    shown = panels(RESULTS)
    assert [panel.title for panel in shown] == ["one stream", "prompt lookup: quoting", "prompt lookup: free"]
    assert [bar.name for bar in shown[0].bars] == ["practorflow", "a bare loop"]
    assert (shown[0].bars[0].least, shown[0].bars[0].most) == (9.0, 12.0)
    assert {panel.unit for panel in shown} == {"tokens/s"}


def test_the_unit_is_what_the_name_ends_in() -> None:
    """What stands before it belongs to the title."""
    from picture import panels

    sides = {"one": {"median": 1.0}, "two": {"median": 2.0}}
    (panel,) = panels([{"question": "asked", "eight_requests_milliseconds": sides}])
    assert (panel.title, panel.unit) == ("asked: eight requests", "ms")


def test_the_picture_is_drawn_twice(tmp_path: Path) -> None:
    """As PNG for everybody and as SVG with the names in it."""
    pytest.importorskip("matplotlib")
    (tmp_path / "results.json").write_text(
        json.dumps({"date": "2026-01-31", "versions": {}, "results": RESULTS, "failed": {}})
    )
    command = [sys.executable, str(BENCHMARKS / "run.py"), "--draw", "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1])["failed"] == {}
    assert (tmp_path / "benchmarks.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "benchmarks.svg").read_text().count("prompt lookup") == 2


def test_a_script_that_fails_is_named(tmp_path: Path) -> None:
    """Its figures are missing, and the reason is told."""
    import run

    broken = tmp_path / "broken.py"
    broken.write_text("print('no figures')")
    with pytest.raises(RuntimeError, match="not a JSON object"):
        run.measure(broken, rounds=None)
    broken.write_text("raise SystemExit(3)")
    with pytest.raises(RuntimeError, match="code 3"):
        run.measure(broken, rounds=None)


def test_every_benchmark_is_found() -> None:
    """Helpers are none."""
    import run

    names = {path.stem for path in run.scripts()}
    assert {"decode", "concurrency", "sessions"} <= names
    assert not names & {"run", "figures", "peers", "random_model", "picture"}

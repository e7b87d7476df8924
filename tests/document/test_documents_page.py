"""docs/documents.md says what is true: its examples run, and its tables are complete."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from llm import exceptions
from llm.document import DocumentLimits

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "documents.md").read_text("utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
SHOWN = re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)


def test_the_first_example_prints_what_the_page_says(capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(BLOCKS[0], "docs/documents.md", "exec"), {"__name__": "__main__"})
    assert capsys.readouterr().out == SHOWN[0]


def test_the_second_example_runs() -> None:
    exec(compile(BLOCKS[1], "docs/documents.md", "exec"), {"__name__": "__main__"})


def test_every_limit_stands_on_the_page() -> None:
    """With its default, as far as that is a plain number."""
    for field in fields(DocumentLimits):
        assert f"`{field.name}`" in PAGE
    limits = DocumentLimits()
    assert (limits.max_pages, limits.max_archive_members, limits.timeout) == (2000, 2000, 120)
    assert (limits.max_file_size, limits.max_unpacked_size, limits.max_memory) == (50_000_000, 200_000_000, 2 * 10**9)


def test_every_error_stands_on_the_page() -> None:
    """Those that are raised; the two that only have others below them aside."""
    kinds = [kind for kind in vars(exceptions).values() if isinstance(kind, type)]
    raised = {
        kind.__name__ for kind in kinds if issubclass(kind, exceptions.DocumentError) and not kind.__subclasses__()
    }
    assert set(re.findall(r"\| `(\w+Error)` \|", PAGE)) == raised


def test_the_table_of_a_folder(tmp_path: Path) -> None:
    """evals/documents.py reads what it can and names what it cannot; its last line is JSON."""
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "empty.csv").write_bytes(b"")
    result = subprocess.run(
        [sys.executable, ROOT / "evals" / "documents.py", tmp_path],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
    )
    lines = result.stdout.splitlines()
    assert "DocumentEmptyError" in lines[1]
    assert '"loaded": 1' in lines[-1]
    assert "hello" not in result.stdout

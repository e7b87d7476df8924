"""docs/pool.md says what is true: its example runs, and every method that it shows exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from llm.pool import ModelPool

PAGE = (Path(__file__).parents[2] / "docs" / "pool.md").read_text("utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def test_the_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    """The page opens with a program that answers from the demo model and prints the pool as a sentence."""
    pytest.importorskip("llama_cpp")
    exec(compile(BLOCKS[0], "docs/pool.md", "exec"), {"__name__": "__main__"})
    assert capsys.readouterr().out.endswith("<ModelPool holds 1 of 1 model: 'demo' idle>\n")


def test_every_method_that_the_page_shows_exists() -> None:
    """No call in it has been renamed meanwhile."""
    names = set(re.findall(r"pool\.(\w+)\(", PAGE))
    assert names >= {"acquire_context", "preload", "pin", "unpin", "unload", "unload_all", "close", "release"}
    assert [name for name in names if not hasattr(ModelPool, name)] == []

"""The page about Hugging Face models runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[1] / "docs" / "transformers.md").read_text()


def test_the_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    """Two replies at once from the demo model's other form."""
    (source,) = re.findall(r"```python\n(.*?)```", PAGE, re.S)
    exec(compile(source, "transformers.md", "exec"), {})
    assert "Python" in capsys.readouterr().out

"""The page of figures names tests that there are."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")


def test_every_command_leads_to_a_test() -> None:
    """Each path in the tables exists."""
    paths = re.findall(r"`((?:tests|llm)/[\w./]+)", PAGE)
    assert len(paths) > 30
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_every_id_stands_once() -> None:
    """E1 to E10, M1 to M8, and each R that is not about worker processes."""
    rows = re.findall(r"^\| ([EMR]\d+(?:, R\d+–R\d+)?) \|", PAGE, re.M)
    listed = [row for row in rows if "," not in row]
    assert len(listed) == len(set(listed))
    assert {f"E{number}" for number in range(1, 11)} | {f"M{number}" for number in range(1, 9)} <= set(listed)
    assert {f"R{number}" for number in (*range(1, 11), 12, 14, 17, *range(22, 29))} <= set(listed)

"""docs/sessions.md says what is true: its example runs, and what it names exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from llm.base.session_store import SessionStore

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "sessions.md").read_text("utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def test_the_example_runs(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two turns with the demo model, of which the second takes what the first computed from the cache."""
    monkeypatch.chdir(tmp_path)
    exec(compile(BLOCKS[0], "docs/sessions.md", "exec"), {"__name__": "__main__"})
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[-4:]] == ["user", "assistant", "user", "assistant"]
    assert int(re.findall(r"'cached_tokens': (\d+)", "\n".join(lines))[0]) > 0
    assert (tmp_path / "sessions.db").exists()


def test_what_the_page_names_exists() -> None:
    """Calls of a store, and files of tests."""
    (listed,) = re.findall(r"^- (`create`.*)\.$", PAGE, re.MULTILINE)
    calls = {*re.findall(r"store\.(\w+)\b", PAGE), *re.findall(r"`(\w+)`", listed)}
    assert calls >= {"create", "get", "rename", "truncate", "delete", "list_sessions"}
    assert [name for name in calls if not hasattr(SessionStore, name)] == []
    for name in re.findall(r"`(test_\w+\.py)`", PAGE):
        assert (ROOT / "tests" / "session" / name).is_file()

"""The pages about the command and its use run: every line of a bash block, every Python block."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from llm.cli import exit_codes

from .conftest import Practorflow

ROOT = Path(__file__).parents[2]
PAGES = (
    "index.md",
    "chat-formats.md",
    "demo-model.md",
    "getting-started.md",
    "command.md",
    "deployment.md",
    "errors.md",
)
OTHERS_COMMANDS = ("make demo",)  # the installation itself


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", (ROOT / "docs" / page).read_text(), re.M | re.S)


def run_line(line: str, practorflow: Practorflow) -> tuple[int, str]:
    """One line as a shell would run it: `printf TEXT |` and `< /dev/null` are what comes through standard input."""
    stdin = ""
    if line.startswith("printf "):
        printed, line = (part.strip() for part in line.split("|", 1))
        stdin = shlex.split(printed)[1].replace("\\n", "\n")
        if line.startswith("tee "):
            Path(line.split()[1]).write_text(stdin)
            return 0, ""
    words = shlex.split(line.replace("< /dev/null", ""), comments=True)
    assert words[0] == "practorflow", line
    result = practorflow(*words[1:], stdin=stdin)
    return result.code, result.out


@pytest.mark.parametrize("page", PAGES)
def test_every_command_that_a_page_shows_runs(page: str, practorflow: Practorflow) -> None:
    """One after the other in one folder, as a reader would try them."""
    lines = [line for block in blocks(page, "bash") for line in block.splitlines() if line.strip()]
    for line in lines:
        if line not in OTHERS_COMMANDS:
            code, out = run_line(line, practorflow)
            assert code == exit_codes.OK, line
            if "--json" in line:
                assert all(json.loads(row) is not None for row in out.splitlines())


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")])
def test_every_program_that_a_page_shows_runs(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whole, as it stands there."""
    monkeypatch.chdir(tmp_path)
    for block in blocks(page, "python"):
        exec(compile(block, page, "exec"), {"__name__": "__main__"})
        assert re.search("Python is|demo model|<tool_call>", capsys.readouterr().out)


def test_the_table_of_commands_is_complete() -> None:
    """docs/command.md has one line for each command."""
    from llm.cli.main import COMMANDS

    page = (ROOT / "docs" / "command.md").read_text()
    table = re.findall(r"^\| `([\w-]+)` \|", page, re.M)
    assert sorted(table) == sorted(command.name for command in COMMANDS)
    codes = {value for name, value in vars(exit_codes).items() if name.isupper() and isinstance(value, int)}
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", page, re.M)} == codes

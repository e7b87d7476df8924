"""docs/constraint.md says what is true: its examples run and print what they say, and its tables are the code's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from llm.grammar import json_schema, normal_form, schema_leaves, schema_words, sequences, string_formats
from llm.grammar.constraint import GrammarCompiler

PAGE = (Path(__file__).parents[2] / "docs" / "constraint.md").read_text("utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, flags=re.DOTALL | re.MULTILINE)


def test_the_first_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    """On the demo model: a ticket, where the model comes to an end."""
    exec(compile(BLOCKS[0], "docs/constraint.md", "exec", dont_inherit=True), {"__name__": "__main__"})
    printed = capsys.readouterr().out
    assert not printed or printed.startswith("Ticket(title=")


@pytest.mark.parametrize("block", BLOCKS[1:])
def test_what_examples_print_is_what_they_say(block: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each line printed is the one in the comment behind it."""
    exec(compile(block, "docs/constraint.md", "exec", dont_inherit=True), {"__name__": "__main__"})
    said = re.findall(r"^\s*print\(.*\)\s+# (.*)$", block, flags=re.MULTILINE)
    assert capsys.readouterr().out.splitlines() == said
    assert said


def test_the_tables_are_complete() -> None:
    """Every keyword that is honoured, every annotation and every format is named on the page."""
    named = set(re.findall(r"`([^`]+)`", re.sub(r"^```.*?^```", "", PAGE, flags=re.DOTALL | re.MULTILINE)))
    assert named >= schema_words.HONOURED
    assert named >= schema_words.ANNOTATIONS
    assert named >= string_formats.FORMAT_PATTERNS.keys() | string_formats.FORMATS_WITHOUT_SYNTAX
    assert named >= string_formats.INTEGER_FORMATS.keys() | string_formats.NUMBER_FORMATS


def test_the_limits_are_the_codes() -> None:
    """The figures on the page are those in the code."""
    page = " ".join(PAGE.split())
    assert f"below {normal_form._DEEPEST} levels, {json_schema._DEEPEST} through references" in page
    assert f"{normal_form._LARGEST:,} parts, texts of {schema_leaves._LONGEST_TEXT:,} characters" in page
    assert json_schema._MOST_AT_ONCE["pattern"] == 8
    assert f"at most {sequences.MOST_PROPERTIES} properties" in page
    assert "the latest 64 for each model" in page
    assert GrammarCompiler.__init__.__kwdefaults__ == {"capacity": 64}

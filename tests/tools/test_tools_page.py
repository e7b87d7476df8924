"""docs/tools.md says what is true: its examples run and print what they say, and its tables name what exists."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import get_args

import pytest

from llm.base.llm_runner import LLMRunner
from llm.base.tool_loop import DEFAULT_MAX_RESULT_CHARACTERS, DEFAULT_MAX_STEPS
from llm.tools import DuckDuckGoSearchTool, SerpAPISearchTool, WebSearchTool, tool_registry, tool_thread, web_search

PAGE = (Path(__file__).parents[2] / "docs" / "tools.md").read_text("utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, flags=re.DOTALL | re.MULTILINE)


def test_the_first_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    """On the demo model: steps are shown, and there is an answer."""
    exec(compile(BLOCKS[0], "docs/tools.md", "exec"), {"__name__": "__main__"})
    assert "ToolStep(number=1" in capsys.readouterr().out


@pytest.mark.parametrize("block", BLOCKS[1:])
def test_what_examples_print_is_what_they_say(block: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each line printed is the one in the comment behind it, which may end in dots."""
    exec(compile(block, "docs/tools.md", "exec"), {"__name__": "__main__"})
    printed = capsys.readouterr().out.splitlines()
    said = re.findall(r"^print\(.*\)\s+# (.*)$", block, flags=re.MULTILINE)
    assert len(printed) == len(said) > 0
    for line, comment in zip(printed, said, strict=True):
        assert line.startswith(comment.removesuffix(" ...")) if comment.endswith("...") else line == comment


def test_what_the_page_names_exists() -> None:
    """Keywords of a run and of the tools, kinds of errors, and the figures."""
    keywords = inspect.signature(LLMRunner.run).parameters
    assert {"max_steps", "on_step", "max_result_characters", "documents_in_scope"} <= set(keywords)
    assert f"| `max_steps` | {DEFAULT_MAX_STEPS} |" in PAGE
    assert f"| `max_result_characters` | {DEFAULT_MAX_RESULT_CHARACTERS} |" in PAGE
    assert f"At most {tool_thread.MOST_THREADS} such" in " ".join(PAGE.split())
    assert f"A call has {tool_registry.DEFAULT_TIMEOUT:g} seconds" in PAGE
    assert f"(1 to {web_search.MOST_RESULTS})" in PAGE
    for kind in (*get_args(web_search.ErrorType), *get_args(tool_registry.ErrorType)):
        assert f"`{kind}`" in PAGE
    for keyword in ("region", "safesearch", "proxy", "verify", "allowed_with_documents"):
        assert keyword in inspect.signature(DuckDuckGoSearchTool).parameters
    for keyword in ("api_key", "country", "language"):
        assert keyword in inspect.signature(SerpAPISearchTool).parameters
    for keyword in ("query", "max_results", "topic", "recent"):
        assert keyword in inspect.signature(WebSearchTool.execute).parameters

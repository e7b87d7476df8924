"""What web search tools share: the decision about the web, the records and their text."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

import pytest

from llm.exceptions import ConfigError, RequestError
from llm.tools import (
    BaseTool,
    ToolRegistry,
    ToolResult,
    WebAccess,
    WebResult,
    WebSearchTool,
    set_web_access,
    web_access,
)
from llm.tools.web_search import Search, Trouble, clean_results, formatted


class Library(WebSearchTool):
    """A service in the next room, which remembers what it was asked."""

    service = "Library"

    def __init__(self, *answers: Sequence[WebResult] | Trouble, **options: object) -> None:
        super().__init__(**options)  # type: ignore[arg-type]
        self.answers = list(answers)
        self.asked: list[Search] = []

    def _ask(self, search: Search) -> Sequence[WebResult] | Trouble:
        self.asked.append(search)
        return self.answers.pop(0)


class Papers(BaseTool):
    name = "papers"
    description = "Reads documents."
    reads_documents = True

    def execute(self, *, query: str) -> ToolResult:
        return ToolResult(success=True, data=query)


def test_nothing_is_decided_until_somebody_decides() -> None:
    """A program that never loads its settings cannot search the web by oversight."""
    with pytest.raises(ConfigError, match=r"appConfiguration.*LLM_PRIVATE=1.*set_web_access"):
        web_access()
    with pytest.raises(ConfigError, match="web access"):
        Library()
    set_web_access(WebAccess(private=True))
    assert web_access() == WebAccess(private=True)


def test_a_private_process_stays_private() -> None:
    """Whoever decides first or last: the settings cannot undo what the program forbade, nor the other way round."""
    set_web_access(WebAccess())
    tool = Library([])
    assert tool.execute(query="x").success
    for decision in (WebAccess(private=True), WebAccess(serpapi_api_key="key")):
        set_web_access(decision)
        assert tool.execute(query="x").metadata["error_type"] == "private"
    assert web_access() == WebAccess(private=True, serpapi_api_key="key")


def test_a_wrong_decision_is_named_and_the_key_is_not_shown() -> None:
    """`WebAccess(private="yes")` is no decision."""
    with pytest.raises(ConfigError, match="private='yes'"):
        WebAccess(private="yes")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="hidden"):
        WebAccess(serpapi_api_key=" ")
    assert "secret" not in repr(WebAccess(serpapi_api_key="secret"))


def test_results_are_cut_to_size_and_stripped() -> None:
    """What strangers wrote is bounded, has no control characters and no addresses other than of the web."""
    hits = [
        WebResult(title="A\x1b[31m\n title\u202e", url=" https://example.org/a ", snippet="s" * 5000),
        WebResult(title="t" * 300, url="http://example.org/b", snippet=""),
        WebResult(title="", url="https://example.org/c", snippet="no title"),
        WebResult(title="No page", url="ftp://example.org/d", snippet=""),
        WebResult(title="Broken", url="https://example.org/e f", snippet=""),
        WebResult(title="Hidden", url="https://example.org/\x00", snippet=""),
    ]
    first, second = clean_results(hits)
    assert first["title"] == "A [31m title"
    assert first["url"] == "https://example.org/a"
    assert len(first["snippet"]) == 603
    assert len(second["title"]) == 203
    assert formatted([second]) == f"1. {second['title']}\n   http://example.org/b"


def test_a_search_says_nothing_of_its_query() -> None:
    """Neither as a value nor as a result that somebody prints."""
    set_web_access(WebAccess())
    tool = Library([WebResult(title="canary", url="https://example.org/", snippet="")])
    result = tool.execute(query="canary")
    assert "canary" not in repr(tool.asked) + repr(result)


def test_a_model_is_told_what_it_may_ask() -> None:
    """The definition names the four arguments, their bounds and their meaning."""
    set_web_access(WebAccess())
    definition = Library().to_openai()["function"]
    parameters = definition["parameters"]
    assert definition["name"] == "web_search"
    assert parameters["required"] == ["query"]
    assert list(parameters["properties"]) == ["query", "max_results", "topic", "recent"]
    assert parameters["properties"]["max_results"] == {
        "type": "integer", "minimum": 1, "maximum": 20, "default": 5, "description": "How many results at most.",
    }  # fmt: skip
    assert parameters["properties"]["topic"]["enum"] == ["web", "news"]


def test_beside_documents_a_web_tool_is_allowed_by_name_or_not_at_all() -> None:
    """In one registry with a tool that reads documents, in either order, and before a run with documents in scope."""
    set_web_access(WebAccess())
    for tools in ([Papers(), Library()], [Library(), Papers()]):
        with pytest.raises(ConfigError, match="allowed_with_documents=True"):
            ToolRegistry(tools)
    registry = ToolRegistry([Papers(), Library(allowed_with_documents=True)])
    registry.check_with_documents()
    with pytest.raises(RequestError, match=r"'web_search'.*allowed_with_documents=True"):
        ToolRegistry([Library()]).check_with_documents()


def test_importing_the_tools_loads_no_client() -> None:
    """A fresh interpreter that imports `llm.tools` has none of the packages that could ask somebody."""
    code = (
        "import sys, llm.tools; llm.tools.ToolRegistry; llm.tools.WebSearchTool\n"
        "clients = ('ddgs', 'primp', 'serpapi', 'requests', 'lxml', 'torch', 'transformers')\n"
        "print([name for name in clients if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_every_public_name_is_there() -> None:
    """`llm.tools.__all__` is sorted and resolves."""
    import llm.tools

    assert llm.tools.__all__ == sorted(llm.tools.__all__)
    assert all(getattr(llm.tools, name) is not None for name in llm.tools.__all__)

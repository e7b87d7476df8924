"""DuckDuckGoSearchTool with the real ddgs, against a service on this machine: whatever comes is a ToolResult."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
from typing import Any

import pytest

from llm.exceptions import ConfigError
from llm.tools import DuckDuckGoSearchTool, ToolRegistry, WebAccess, set_web_access

QUERY = "zebra-canary & data governance?"

HIT = """
<div class="result results_links results_links_deep web-result ">
  <div class="links_main links_deep result__body">
    <h2 class="result__title"><a rel="nofollow" class="result__a" href="{url}">{title}</a></h2>
    <div class="result__extras"><a class="result__url" href="{url}">{url}</a></div>
    <a class="result__snippet" href="{url}">{snippet}</a>
  </div>
</div>"""
CHALLENGE = """<html><body><form id="challenge-form" action="//duckduckgo.com/anomaly.js?sv=html"><div
class="anomaly-modal__title">Unfortunately, bots use DuckDuckGo too.</div></form></body></html>"""
EMPTY = '<html><body><div id="links"><div class="no-results">No  results.</div></div></body></html>'


def page(*hits: tuple[str, str, str]) -> str:
    found = "".join(HIT.format(title=title, url=url, snippet=snippet) for title, url, snippet in hits)
    return f'<html><body><form id="search_form"></form><div id="links">{found}</div></body></html>'


def news(*hits: dict[str, Any]) -> dict[str, tuple[int, str]]:
    return {"/": (200, '<script>vqd="4-12345"</script>'), "/news.js": (200, json.dumps({"results": list(hits)}))}


@pytest.fixture
def tool(services: Any) -> DuckDuckGoSearchTool:
    """The tool, allowed to ask, which finds the service through its proxy."""
    set_web_access(WebAccess())
    return DuckDuckGoSearchTool(proxy=services.proxy, verify=services.authority, timeout=5)


def test_results_are_a_text_and_records(tool: DuckDuckGoSearchTool, services: Any) -> None:
    """`data` is text for the model; title, address and snippet of each hit are in the metadata."""
    services.page = page(
        ("Data &amp; Governance", "https://example.org/a", "What <b>good</b>\n  practice is."),
        ("Second", "https://example.org/b", "More."),
    )
    result = tool.execute(query=QUERY, max_results=5)
    assert result.success
    assert result.data == (
        "1. Data & Governance\n   https://example.org/a\n   What good practice is.\n\n"
        "2. Second\n   https://example.org/b\n   More."
    )
    assert result.metadata["results"] == [
        {"title": "Data & Governance", "url": "https://example.org/a", "snippet": "What good practice is."},
        {"title": "Second", "url": "https://example.org/b", "snippet": "More."},
    ]


def test_the_query_reaches_duckduckgo_and_nobody_else(tool: DuckDuckGoSearchTool, services: Any) -> None:
    """The only connection of a search goes to DuckDuckGo, also where it has nothing to say."""
    services.page = EMPTY
    tool.execute(query=QUERY, recent="week")
    services.pages = news()
    tool.execute(query=QUERY, topic="news")
    assert set(services.connections) == {"html.duckduckgo.com", "duckduckgo.com"}
    asked = services.asked[0]
    assert (asked.host, asked.path) == ("html.duckduckgo.com", "/html/")
    assert asked.parameters == {"q": QUERY, "b": "", "l": "wt-wt", "df": "w"}


def test_without_a_duckduckgo_engine_nobody_is_asked(
    tool: DuckDuckGoSearchTool, services: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where ddgs has switched its engine off, the tool refuses; it does not fall back to other services."""
    from ddgs.engines import ENGINES

    monkeypatch.delitem(ENGINES["text"], "duckduckgo")
    result = tool.execute(query=QUERY)
    assert (result.success, result.metadata["error_type"]) == (False, "engine")
    assert services.connections == []


def test_no_more_results_than_asked_for(tool: DuckDuckGoSearchTool, services: Any) -> None:
    """max_results is the most that comes back; advertisements do not count."""
    hits = [(f"Page {n}", f"https://example.org/{n}", "text") for n in range(9)]
    services.page = page(("Ad", "https://duckduckgo.com/y.js?ad_domain=x", "buy"), *hits)
    for most in (1, 2, 9, 20):
        result = tool.execute(query=QUERY, max_results=most)
        assert [hit["title"] for hit in result.metadata["results"]] == [f"Page {n}" for n in range(min(most, 9))]


def test_news_have_date_and_source(tool: DuckDuckGoSearchTool, services: Any) -> None:
    """A news search takes a token first, and its hits say when and where."""
    services.pages = news(
        {"date": 1700000000, "title": "Ruling", "excerpt": "A <b>court</b> said.", "url": "https://example.org/n",
         "image": None, "source": "The Paper"},
    )  # fmt: skip
    result = tool.execute(query=QUERY, topic="news")
    assert result.metadata["results"] == [
        {"title": "Ruling", "url": "https://example.org/n", "snippet": "A court said.",
         "date": "2023-11-14T22:13:20+00:00", "source": "The Paper"}
    ]  # fmt: skip
    assert result.data.startswith("1. Ruling (The Paper, 2023-11-14T22:13:20+00:00)\n")
    assert services.asked[-1].parameters["vqd"] == "4-12345"


@pytest.mark.parametrize("answer", ["web", "news"])
def test_an_empty_result_is_a_success(tool: DuckDuckGoSearchTool, services: Any, answer: str) -> None:
    """The search was done, and there is nothing: that is an answer, and a true one."""
    services.page, services.pages = EMPTY, (news() if answer == "news" else {})
    result = tool.execute(query=QUERY, topic=answer)  # type: ignore[arg-type]
    assert (result.success, result.data, result.metadata["results"]) == (True, "No results found.", [])


@pytest.mark.parametrize(
    ("topic", "status", "text", "kind"),
    [
        ("web", 202, CHALLENGE, "rate_limit"),
        ("web", 200, CHALLENGE, "rate_limit"),
        ("web", 429, "", "rate_limit"),
        ("web", 403, "<html>Forbidden</html>", "rate_limit"),
        ("web", 500, "<html>oops</html>", "service"),
        ("web", 503, "", "service"),
        ("web", 200, "", "unreadable"),
        ("web", 200, "\0\1\2", "unreadable"),
        ("web", 200, "<html><body>Welcome to the hotel network. Log in.</body></html>", "unreadable"),
        ("web", 200, '{"results": 3}', "unreadable"),
        ("news", 202, CHALLENGE, "rate_limit"),
        ("news", 200, "<html>no token here</html>", "unreadable"),
    ],
)
def test_what_is_no_result_is_told_apart(
    tool: DuckDuckGoSearchTool, services: Any, topic: Any, status: int, text: str, kind: str
) -> None:
    """Refused, broken and unreadable are three things, and none of them is 'nothing found'."""
    services.status, services.page = status, text
    result = tool.execute(query=QUERY, topic=topic)
    assert (result.success, result.metadata["error_type"]) == (False, kind)
    assert "DuckDuckGo" in (result.error or "")
    assert "canary" not in (result.error or "")


@pytest.mark.parametrize(
    "text", ["", "not json", "[]", "3", '{"results": null}', '{"results": [7]}', '{"results": [{"title": 5}]}', "{"]
)
def test_malformed_news_are_unreadable(tool: DuckDuckGoSearchTool, services: Any, text: str) -> None:
    """JSON that is cut off or of another shape is an error that names no part of it."""
    services.pages = news() | {"/news.js": (200, text)}
    result = tool.execute(query=QUERY, topic="news")
    assert (result.success, result.metadata["error_type"]) == (False, "unreadable")


def test_a_rate_limit_between_token_and_news_is_one(tool: DuckDuckGoSearchTool, services: Any) -> None:
    """The second answer of a news search counts, not the first."""
    services.pages = news() | {"/news.js": (429, "")}
    assert tool.execute(query=QUERY, topic="news").metadata["error_type"] == "rate_limit"


def test_a_silent_service_is_a_timeout(services: Any) -> None:
    """After the seconds that the tool was given."""
    set_web_access(WebAccess())
    services.silent = True
    tool = DuckDuckGoSearchTool(proxy=services.proxy, verify=services.authority, timeout=0.2)
    for topic in ("web", "news"):
        result = tool.execute(query=QUERY, topic=topic)  # type: ignore[arg-type]
        assert (result.success, result.metadata["error_type"]) == (False, "timeout")
        assert "0.2 seconds" in (result.error or "")


def test_no_network_is_said_so(tool: DuckDuckGoSearchTool, services: Any) -> None:
    """A proxy that opens no connection, a port where nobody is, a certificate that is not trusted."""
    services.refuses = True
    results = [tool.execute(query=QUERY)]
    services.refuses = False
    results.append(DuckDuckGoSearchTool(proxy="http://127.0.0.1:9", timeout=5).execute(query=QUERY))
    results.append(DuckDuckGoSearchTool(proxy=services.proxy, timeout=5).execute(query=QUERY, topic="news"))
    for result in results:
        assert (result.success, result.metadata["error_type"]) == (False, "no_network")
        assert "canary" not in (result.error or "")
    assert services.asked == []


def test_a_private_process_sends_nothing(services: Any) -> None:
    """In private mode every search is refused before a connection is opened, also by a tool made before."""
    set_web_access(WebAccess())
    tool = DuckDuckGoSearchTool(proxy=services.proxy, verify=services.authority)
    set_web_access(WebAccess(private=True))
    tools = [tool, DuckDuckGoSearchTool(proxy=services.proxy), DuckDuckGoSearchTool()]
    results = [tool.execute(query=QUERY, topic=topic) for tool in tools for topic in ("web", "news")]  # type: ignore[arg-type]
    results.append(ToolRegistry([tool]).execute("web_search", {"query": QUERY}))
    for result in results:
        assert (result.success, result.metadata["error_type"]) == (False, "private")
        assert "LLM_PRIVATE=1" in (result.error or "")
    assert services.connections == []


def test_wrong_arguments_are_refused_before_anything_is_sent(tool: DuckDuckGoSearchTool, services: Any) -> None:
    """Called directly, the tool checks what a registry would have checked."""
    for wrong in ({"query": ""}, {"query": "x" * 501}, {"query": 3}, {"query": "x", "max_results": 0}):
        result = tool.execute(**wrong)  # type: ignore[arg-type]
        assert (result.success, result.metadata["error_type"]) == (False, "arguments")
    assert services.connections == []


def test_the_event_loop_runs_while_the_service_is_silent(tool: DuckDuckGoSearchTool, services: Any, until: Any) -> None:
    """Through a registry, sixteen searches wait together, and other work goes on meanwhile."""
    services.page, services.silent = page(("One", "https://example.org/1", "text")), True

    async def work() -> None:
        registry = ToolRegistry([tool])
        searches = [asyncio.create_task(registry.aexecute("web_search", {"query": QUERY})) for _ in range(16)]
        await until(lambda: len(services.asked) == 16)
        services.released.set()
        assert [result.success for result in await asyncio.gather(*searches)] == [True] * 16

    asyncio.run(work())


def test_queries_stand_in_no_log(tool: DuckDuckGoSearchTool, services: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Not in ours at any level, whatever becomes of the search."""
    caplog.set_level(logging.DEBUG)
    services.pages = news()
    for attempt in range(2):
        ToolRegistry([tool]).execute("web_search", {"query": QUERY, "topic": "news"})
        services.pages = {"/": (200, "<html>zebra-canary</html>")} if attempt == 0 else {}
    services.refuses = True
    ToolRegistry([tool]).execute("web_search", {"query": QUERY, "topic": "news"})
    assert any("web_search" in record.getMessage() for record in caplog.records)
    assert not [record for record in caplog.records if "canary" in record.getMessage()]


@pytest.mark.parametrize("opted_in", [False, True])
def test_the_http_client_logs_no_queries_unless_it_is_told_to(services: Any, opted_in: bool) -> None:
    """It would write the address of each news search into the log of a program that shows INFO."""
    services.pages = news()
    code = (
        "import logging, sys; logging.basicConfig(level=logging.INFO)\n"
        "from llm.tools import DuckDuckGoSearchTool, WebAccess, set_web_access\n"
        "set_web_access(WebAccess())\n"
        f"if {opted_in}: logging.getLogger('primp').setLevel(logging.INFO)\n"
        "tool = DuckDuckGoSearchTool(proxy=sys.argv[1], verify=sys.argv[2])\n"
        "print(tool.execute(query='canary', topic='news').data)"
    )
    command = [sys.executable, "-c", code, services.proxy, services.authority]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "No results found."
    assert ("canary" in result.stderr) is opted_in


def test_a_wrong_setting_is_named() -> None:
    """Of the tool's own settings, and of the decision that has to come first."""
    with pytest.raises(ConfigError, match="set_web_access"):
        DuckDuckGoSearchTool()
    set_web_access(WebAccess())
    for wrong in ({"timeout": 0}, {"timeout": True}, {"safesearch": "never"}, {"allowed_with_documents": 1}):
        with pytest.raises(ConfigError, match=next(iter(wrong))):
            DuckDuckGoSearchTool(**wrong)  # type: ignore[arg-type]


def test_the_readme_block_runs_as_written(tool: DuckDuckGoSearchTool, services: Any) -> None:
    """The function that the README shows, word for word, on results, on nothing and on a refusal."""
    from dataclasses import dataclass
    from typing import Generic, TypeVar

    Deps = TypeVar("Deps")

    @dataclass
    class RunContext(Generic[Deps]):
        deps: Deps

    @dataclass
    class WebSearchDeps:
        web_search_tool: DuckDuckGoSearchTool

    async def search_web(ctx: RunContext[WebSearchDeps], query: str) -> str:
        """Search the web for current information."""
        result = ctx.deps.web_search_tool.execute(query=query, max_results=5)
        return result.data if result.success else "No results found"

    context = RunContext(WebSearchDeps(web_search_tool=tool))
    services.page = page(("One", "https://example.org/1", "text"))
    assert asyncio.run(search_web(context, QUERY)) == "1. One\n   https://example.org/1\n   text"
    services.page = EMPTY
    assert asyncio.run(search_web(context, QUERY)) == "No results found."
    services.status = 202
    assert asyncio.run(search_web(context, QUERY)) == "No results found"

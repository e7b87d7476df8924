"""SerpAPISearchTool with the real client, against a service on this machine: whatever comes is a ToolResult."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from llm.exceptions import ConfigError
from llm.tools import SerpAPISearchTool, ToolRegistry, WebAccess, set_web_access

QUERY = "zebra-canary & data governance?"
KEY = "key-canary-0123"
NOTHING = {"search_metadata": {"status": "Success"}, "error": "Google hasn't returned any results for this query."}


def organic(*hits: dict[str, Any]) -> str:
    return json.dumps({"search_metadata": {"status": "Success"}, "organic_results": list(hits)})


@pytest.fixture
def tool(services: Any) -> SerpAPISearchTool:  # noqa: ARG001 - it finds the service by the environment
    """The tool, allowed to ask."""
    set_web_access(WebAccess())
    return SerpAPISearchTool(KEY, timeout=5)


def test_results_are_a_text_and_records(tool: SerpAPISearchTool, services: Any) -> None:
    """`data` is text for the model; title, address and snippet of each hit are in the metadata."""
    services.page = organic(
        {"position": 1, "title": "A", "link": "https://example.org/a", "snippet": "What it says.", "date": "1 day ago"},
        {"position": 2, "title": "B", "link": "https://example.org/b"},
    )
    result = tool.execute(query=QUERY, max_results=5)
    assert result.data == (
        "1. A (1 day ago)\n   https://example.org/a\n   What it says.\n\n2. B\n   https://example.org/b"
    )
    assert result.metadata["results"] == [
        {"title": "A", "url": "https://example.org/a", "snippet": "What it says.", "date": "1 day ago"},
        {"title": "B", "url": "https://example.org/b", "snippet": ""},
    ]


def test_the_query_goes_to_serpapi_alone(services: Any) -> None:
    """One connection, with query, number, place and key, and asked for as JSON."""
    set_web_access(WebAccess())
    services.page = organic()
    SerpAPISearchTool(KEY, country="de", language="en").execute(
        query=QUERY, max_results=7, topic="news", recent="month"
    )
    assert services.connections == ["serpapi.com"]
    assert services.asked[0].parameters == {
        "q": QUERY, "num": "7", "api_key": KEY, "output": "json", "engine": "google", "source": "python",
        "gl": "de", "hl": "en", "tbm": "nws", "tbs": "qdr:m",
    }  # fmt: skip


def test_news_have_date_and_source(tool: SerpAPISearchTool, services: Any) -> None:
    """They come in a list of their own."""
    hit = {"title": "N", "link": "https://example.org/n", "snippet": "S", "date": "2 hours ago", "source": "Paper"}
    services.page = json.dumps({"search_metadata": {}, "news_results": [hit]})
    result = tool.execute(query=QUERY, topic="news")
    assert result.data == "1. N (Paper, 2 hours ago)\n   https://example.org/n\n   S"


@pytest.mark.parametrize("answer", [NOTHING, {"search_metadata": {}}, {"search_metadata": {}, "organic_results": []}])
def test_an_empty_result_is_a_success(tool: SerpAPISearchTool, services: Any, answer: dict[str, Any]) -> None:
    """Google found nothing, however SerpAPI says so."""
    services.page = json.dumps(answer)
    result = tool.execute(query=QUERY)
    assert (result.success, result.data, result.metadata["results"]) == (True, "No results found.", [])


@pytest.mark.parametrize(
    ("status", "text", "kind", "words"),
    [
        (429, '{"error": "Your account has run out of searches."}', "rate_limit", "run out of searches"),
        (429, "", "rate_limit", "too many"),
        (401, '{"error": "Invalid API key. key-canary-0123"}', "key", "status 401"),
        (403, "", "key", "status 403"),
        (400, '{"error": "Missing query `q` parameter for key-canary-0123."}', "service", "Missing query"),
        (500, "<html>oops</html>", "service", "status 500"),
        (503, "", "service", "status 503"),
        (200, '{"error": "Google is down."}', "service", "Google is down"),
        (200, "", "unreadable", "could not be read"),
        (200, "<html>Log in to the hotel network</html>", "unreadable", "could not be read"),
        (200, '{"organic_results": [', "unreadable", "could not be read"),
        (200, "[]", "unreadable", "could not be read"),
        (200, "{}", "unreadable", "no list"),
        (200, '{"organic_results": {"a": 1}}', "unreadable", "no list"),
        (200, '{"organic_results": [1, 2]}', "unreadable", "no list"),
    ],
)
def test_what_is_no_result_is_told_apart(
    tool: SerpAPISearchTool, services: Any, status: int, text: str, kind: str, words: str
) -> None:
    """Each with the words of the service where it has some, and never with the key."""
    services.status, services.page = status, text
    result = tool.execute(query=QUERY)
    assert (result.success, result.metadata["error_type"]) == (False, kind)
    assert words in (result.error or "")
    assert "canary" not in (result.error or "")


def test_hits_of_an_unusual_shape_are_left_out(tool: SerpAPISearchTool, services: Any) -> None:
    """What has no title or no web address is no hit; a field of another type counts as missing."""
    services.page = organic(
        {"title": "No address"}, {"link": "https://example.org/x"}, {"title": 5, "link": "https://example.org/y"},
        {"title": "File", "link": "file:///etc/passwd"}, {"title": "Script", "link": "javascript:alert(1)"},
        {"title": "Good", "link": "https://example.org/z", "snippet": {"a": 1}},
    )  # fmt: skip
    assert tool.execute(query=QUERY).metadata["results"] == [
        {"title": "Good", "url": "https://example.org/z", "snippet": ""}
    ]


def test_a_silent_service_is_a_timeout(services: Any) -> None:
    """After the seconds that the tool was given; the client's own limit is the better part of a day."""
    set_web_access(WebAccess())
    services.silent = True
    result = SerpAPISearchTool(KEY, timeout=0.2).execute(query=QUERY)
    assert (result.success, result.metadata["error_type"]) == (False, "timeout")


def test_no_network_is_said_so(tool: SerpAPISearchTool, services: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that opens no connection, and a port where nobody is."""
    services.refuses = True
    results = [tool.execute(query=QUERY)]
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    results.append(tool.execute(query=QUERY))
    for result in results:
        assert (result.success, result.metadata["error_type"]) == (False, "no_network")
        assert "canary" not in (result.error or "")


def test_a_private_process_sends_nothing(services: Any) -> None:
    """Refused before a connection is opened, also by a tool made before."""
    set_web_access(WebAccess())
    tool = SerpAPISearchTool(KEY)
    set_web_access(WebAccess(private=True))
    for result in (tool.execute(query=QUERY), ToolRegistry([tool]).execute("web_search", {"query": QUERY})):
        assert (result.success, result.metadata["error_type"]) == (False, "private")
        assert "LLM_PRIVATE=1" in (result.error or "")
    assert services.connections == []


def test_the_key_comes_from_the_argument_or_the_settings(services: Any) -> None:
    """The argument wins; without either the tool cannot be made, and says where a key is looked for."""
    services.page = organic()
    set_web_access(WebAccess(serpapi_api_key="from settings"))
    SerpAPISearchTool().execute(query=QUERY)
    SerpAPISearchTool(api_key="from argument").execute(query=QUERY)
    assert [asked.parameters["api_key"] for asked in services.asked] == ["from settings", "from argument"]
    set_web_access(WebAccess())
    for missing in (None, "", "  "):
        with pytest.raises(ConfigError, match="SERPAPI_API_KEY"):
            SerpAPISearchTool(missing)


def test_keys_and_queries_stand_in_no_log_and_no_repr(
    tool: SerpAPISearchTool, services: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Not in ours at any level, nor in the HTTP client's, which would write the whole address."""
    caplog.set_level(logging.DEBUG)
    services.page = organic()
    ToolRegistry([tool]).execute("web_search", {"query": QUERY})
    services.refuses = True
    ToolRegistry([tool]).execute("web_search", {"query": QUERY})
    assert any("web_search" in record.getMessage() for record in caplog.records)
    assert not [record for record in caplog.records if "canary" in record.getMessage()]
    assert "canary" not in repr(tool) + repr(WebAccess(serpapi_api_key=KEY)) + repr(ToolRegistry([tool]))

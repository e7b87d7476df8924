"""What every web search tool has in common: when it refuses, what it takes, and how results read.

Invariants: in private mode nothing is sent; an execution always ends in a ToolResult; queries and keys stand in no log,
and a key in no result. What the web says is data of strangers: it is cut to size, stripped of control characters, and
only http and https addresses are kept.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypedDict

from pydantic import Field

from ..exceptions import ConfigError, RequestError
from .base import BaseTool, ToolResult
from .web_policy import web_access

Topic = Literal["web", "news"]
Recent = Literal["day", "week", "month", "year"]
ErrorType = Literal[
    "private", "arguments", "rate_limit", "timeout", "unreadable", "no_network", "key", "service", "engine"
]

DEFAULT_TIMEOUT = 10.0
MOST_RESULTS = 20
NOTHING_FOUND = "No results found."
_LONGEST = {"title": 200, "snippet": 600, "date": 40, "source": 80}


class _Found(TypedDict):
    title: str
    url: str
    snippet: str


class WebResult(_Found, total=False):
    """One hit. News have a date and a source where the service gives them."""

    date: str
    source: str


@dataclass(frozen=True)
class Trouble:
    """Why a search has no answer: a kind for programs, a sentence for the model and its user."""

    kind: ErrorType
    message: str


@dataclass(frozen=True)
class Search:
    """One question to a service."""

    query: str
    max_results: int
    topic: Topic
    recent: Recent | None

    def __repr__(self) -> str:
        return f"<Search for {self.max_results} {self.topic} results>"


class WebSearchTool(BaseTool):
    """A tool that asks a search service. **The query leaves this machine.**

    Args:
        timeout: seconds that one answer of the service may take.
        allowed_with_documents: offer it to a model that also sees documents, which could then ask the web what they
            say.

    Raises:
        ConfigError: nobody has decided about web access, or a value is not allowed.
    """

    service: str

    def __init__(self, *, timeout: float = DEFAULT_TIMEOUT, allowed_with_documents: bool = False) -> None:
        if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or not 0 < timeout <= 600:
            raise ConfigError("timeout", timeout, "seconds above 0, up to 600")
        if not isinstance(allowed_with_documents, bool):
            raise ConfigError("allowed_with_documents", allowed_with_documents, "True or False")
        self._answer_timeout = float(timeout)
        self._allowed_with_documents = allowed_with_documents
        _ = web_access()

    @property
    def name(self) -> str:
        return "web_search"

    @property
    def description(self) -> str:
        return "Search the web for current information. Answers with titles, addresses and snippets of pages."

    @property
    def timeout(self) -> float | None:
        # A search may take two answers: a token first, then the results.
        return 2 * self._answer_timeout + 1

    @property
    def leaves_machine(self) -> bool:
        return True

    @property
    def allowed_with_documents(self) -> bool:
        return self._allowed_with_documents

    def execute(
        self,
        *,
        query: Annotated[str, Field(min_length=1, max_length=500)],
        max_results: Annotated[int, Field(ge=1, le=MOST_RESULTS)] = 5,
        topic: Topic = "web",
        recent: Recent | None = None,
    ) -> ToolResult:
        """Ask the service. The query leaves this machine, unless the process is private: then nothing is sent.

        Args:
            query: What to search for.
            max_results: How many results at most.
            topic: Pages of the web, or news.
            recent: Only what is not older than this.

        Returns:
            `data` is the results as text, ``metadata["results"]`` a list of WebResult. Where nothing was found that is
            a success with an empty list. Without success, `error` is for the model and ``metadata["error_type"]`` one
            of "private", "arguments", "rate_limit", "timeout", "unreadable", "no_network", "key", "service", "engine".
        """
        if web_access().private:
            return self._failed(
                Trouble(
                    "private",
                    f"Web search is off: this process is private (LLM_PRIVATE=1). {self.service} was not asked.",
                )
            )
        try:
            self.arguments.validate({"query": query, "max_results": max_results, "topic": topic, "recent": recent})
        except RequestError as exc:
            return self._failed(Trouble("arguments", str(exc)))
        answer = self._ask(Search(query.strip(), max_results, topic, recent))
        if isinstance(answer, Trouble):
            return self._failed(answer)
        results = list(clean_results(answer))[:max_results]
        return ToolResult(
            success=True,
            data=formatted(results),
            metadata={"service": self.service, "results": results},
        )

    @abstractmethod
    def _ask(self, search: Search) -> Sequence[WebResult] | Trouble:
        """Ask the service; whatever goes wrong is Trouble."""

    def _failed(self, trouble: Trouble) -> ToolResult:
        return ToolResult(
            success=False,
            error=trouble.message,
            metadata={"service": self.service, "error_type": trouble.kind},
        )


def clean_results(results: Iterable[WebResult]) -> Iterable[WebResult]:
    """The results that have a title and a web address, as plain text of bounded length."""
    for result in results:
        url = result["url"].strip()
        title = _plain(result["title"], _LONGEST["title"])
        if not title or not url.startswith(("http://", "https://")) or not url.isprintable() or " " in url:
            continue
        clean = WebResult(title=title, url=url, snippet=_plain(result["snippet"], _LONGEST["snippet"]))
        if date := _plain(result.get("date", ""), _LONGEST["date"]):
            clean["date"] = date
        if source := _plain(result.get("source", ""), _LONGEST["source"]):
            clean["source"] = source
        yield clean


def formatted(results: Sequence[WebResult]) -> str:
    """The results as a numbered text."""
    if not results:
        return NOTHING_FOUND
    return "\n\n".join(f"{number}. {_lines(result)}" for number, result in enumerate(results, start=1))


def _lines(result: WebResult) -> str:
    origin = ", ".join(filter(None, [result.get("source"), result.get("date")]))
    head = f"{result['title']} ({origin})" if origin else result["title"]
    return "\n   ".join(filter(None, [head, result["url"], result["snippet"]]))


def _plain(value: Any, longest: int) -> str:
    text = " ".join("".join(letter if letter.isprintable() else " " for letter in str(value or "")).split())
    return text if len(text) <= longest else f"{text[:longest].rstrip()}..."

"""Web search by DuckDuckGo, without an account.

The `ddgs` package knows many services, and its usual entry falls back to all of them where the one asked for is missing
or switched off. Here its DuckDuckGo engine is used directly, so there is no way for a query to reach anybody else.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from ..exceptions import ConfigError
from ..logs import TOOL, get_logger
from .web_search import DEFAULT_TIMEOUT, Search, Trouble, WebResult, WebSearchTool

try:
    import primp
    from ddgs.engines import ENGINES
    from ddgs.exceptions import DDGSException, TimeoutException
except ImportError as exc:
    raise ImportError("DuckDuckGoSearchTool needs the package ddgs: pip install 'practorflow[web]'") from exc

SafeSearch = Literal["on", "moderate", "off"]

_CATEGORIES = {"web": "text", "news": "news"}
_PERIODS = {"day": "d", "week": "w", "month": "m", "year": "y"}
_REFUSALS = frozenset({202, 403, 429})  # 202 comes with a page that asks whether one is human
_CHALLENGE = ("anomaly-modal", "anomaly.js", "challenge-form", "bots use duckduckgo")
_NOTHING = ("no  results.", "no-results", "result--no-result", '"results":[]', '"results": []')


class DuckDuckGoSearchTool(WebSearchTool):
    """Searches the web with DuckDuckGo: free, no key. **The query leaves this machine.**

    It is sent to duckduckgo.com and nobody else, from your address. Refused in private mode (LLM_PRIVATE=1).

        tool = DuckDuckGoSearchTool()
        result = tool.execute(query="data governance best practices", max_results=5)
        print(result.data if result.success else result.error)

    Args:
        region: country and language, such as ``us-en`` or ``de-de``; ``wt-wt`` is the whole world.
        safesearch: how much is kept out of news.
        proxy: address of an HTTP or SOCKS proxy; None takes the environment's.
        verify: a file with the certificates to trust, for networks that look into TLS; True for the usual ones.
        timeout, allowed_with_documents: see WebSearchTool.
    """

    service = "DuckDuckGo"

    def __init__(
        self,
        *,
        region: str = "wt-wt",
        safesearch: SafeSearch = "moderate",
        proxy: str | None = None,
        verify: bool | str = True,
        timeout: float = DEFAULT_TIMEOUT,
        allowed_with_documents: bool = False,
    ) -> None:
        if safesearch not in ("on", "moderate", "off"):
            raise ConfigError("safesearch", safesearch, "'on', 'moderate' or 'off'")
        super().__init__(timeout=timeout, allowed_with_documents=allowed_with_documents)
        self._region = region
        self._safesearch = safesearch
        self._connection = {"proxy": proxy, "timeout": self._answer_timeout, "verify": verify}
        _keep_queries_out_of_logs()

    def _ask(self, search: Search) -> Sequence[WebResult] | Trouble:
        engine_class: Any = ENGINES.get(_CATEGORIES[search.topic], {}).get("duckduckgo")
        if engine_class is None:
            return Trouble(
                "engine", f"The installed ddgs has no DuckDuckGo engine for {search.topic}; nothing was sent."
            )
        engine = engine_class(**self._connection)
        witness = engine.http_client = _Witness(engine.http_client)
        try:
            found = engine.search(
                search.query,
                region=self._region,
                safesearch=self._safesearch,
                timelimit=_PERIODS.get(search.recent or ""),
            )
        except TimeoutException:
            return Trouble("timeout", f"DuckDuckGo did not answer within {self._answer_timeout:g} seconds.")
        except Exception as exc:
            # Parsers meet a page that they do not know with whatever exception comes; it may quote the query.
            return _trouble(exc, witness.last)
        return judged(witness.last, [_result(hit) for hit in found or ()])


class Answer(NamedTuple):
    """What the service sent last."""

    status: int
    page: str


class _Witness:
    """Remembers what passes through an engine's HTTP client; the engine itself keeps neither status nor page."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.last: Answer | None = None

    def request(self, *arguments: Any, **options: Any) -> Any:
        self.last = None
        response = self._client.request(*arguments, **options)
        self.last = Answer(response.status_code, response.text)
        return response


def judged(answer: Answer | None, results: Sequence[WebResult]) -> Sequence[WebResult] | Trouble:
    """The results, unless the page says that there are none to be had."""
    page = answer.page.lower() if answer else ""
    if answer and (answer.status in _REFUSALS or (not results and any(mark in page for mark in _CHALLENGE))):
        return Trouble(
            "rate_limit", "DuckDuckGo refuses further searches from this address for a while. Try again later."
        )
    if answer and answer.status != 200:
        return Trouble("service", f"DuckDuckGo answered with status {answer.status}. Try again later.")
    if results or any(mark in page for mark in _NOTHING):
        return results
    return Trouble("unreadable", "DuckDuckGo's answer could not be read. Try again later, or with a newer ddgs.")


def _trouble(error: Exception, answer: Answer | None) -> Trouble:
    cause = error.__cause__ or error
    get_logger(TOOL).info("DuckDuckGo search failed: %s", type(cause).__name__)
    if isinstance(error, DDGSException) and isinstance(cause, primp.PrimpError):
        return Trouble("no_network", f"DuckDuckGo could not be reached ({type(cause).__name__}).")
    trouble = judged(answer, ())
    if isinstance(trouble, Trouble):
        return trouble
    return Trouble("unreadable", "DuckDuckGo's answer could not be read. Try again later, or with a newer ddgs.")


def _result(hit: Any) -> WebResult:
    """A hit of either engine; they name its address differently."""
    return WebResult(
        title=hit.title,
        url=getattr(hit, "href", "") or getattr(hit, "url", ""),
        snippet=hit.body,
        date=getattr(hit, "date", ""),
        source=getattr(hit, "source", ""),
    )


def _keep_queries_out_of_logs() -> None:
    """The HTTP client logs every address at INFO, and that of a news search holds the query."""
    logger = logging.getLogger("primp")
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.WARNING)

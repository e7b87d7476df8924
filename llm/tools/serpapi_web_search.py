"""Web search by Google through SerpAPI, with an account of your own."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from ..exceptions import ConfigError
from ..logs import TOOL, get_logger
from .web_policy import web_access
from .web_search import DEFAULT_TIMEOUT, Search, Trouble, WebResult, WebSearchTool

try:
    import requests
    from serpapi import GoogleSearch  # type: ignore[import-untyped]
except ImportError as exc:
    raise ImportError(
        "SerpAPISearchTool needs the package google-search-results: pip install 'practorflow[web]'"
    ) from exc

_PERIODS = {"day": "qdr:d", "week": "qdr:w", "month": "qdr:m", "year": "qdr:y"}
_LISTS = {"web": "organic_results", "news": "news_results"}
_NOTHING = "returned any results"
_LONGEST_REASON = 200


class SerpAPISearchTool(WebSearchTool):
    """Searches Google through SerpAPI. **The query leaves this machine**, together with your key.

    It is sent to serpapi.com, which asks Google. Refused in private mode (LLM_PRIVATE=1).

    Args:
        api_key: your key; None takes SERPAPI_API_KEY as the settings have read it.
        country, language: two letters each, such as ``us`` and ``en``; None leaves it to Google.
        timeout, allowed_with_documents: see WebSearchTool.

    Raises:
        ConfigError: there is no key, or as for WebSearchTool.
    """

    service = "SerpAPI"

    def __init__(
        self,
        api_key: str | None = None,
        *,
        country: str | None = None,
        language: str | None = None,
        timeout: float = DEFAULT_TIMEOUT,
        allowed_with_documents: bool = False,
    ) -> None:
        super().__init__(timeout=timeout, allowed_with_documents=allowed_with_documents)
        key = api_key if api_key is not None else web_access().serpapi_api_key
        if not isinstance(key, str) or not key.strip():
            raise ConfigError(
                "api_key", None, "a SerpAPI key, as api_key=... or in SERPAPI_API_KEY where settings are used"
            )
        self._api_key = key.strip()
        self._place = {name: value for name, value in (("gl", country), ("hl", language)) if value}
        _keep_keys_out_of_logs()

    def _ask(self, search: Search) -> Sequence[WebResult] | Trouble:
        parameters = {
            "q": search.query,
            "num": search.max_results,
            "api_key": self._api_key,
            "output": "json",
            **self._place,
        }
        if search.topic == "news":
            parameters["tbm"] = "nws"
        if search.recent:
            parameters["tbs"] = _PERIODS[search.recent]
        request = GoogleSearch(parameters)
        request.timeout = self._answer_timeout  # its own default is the better part of a day
        try:
            response = request.get_response()
        except requests.Timeout:
            return Trouble("timeout", f"SerpAPI did not answer within {self._answer_timeout:g} seconds.")
        except requests.RequestException as exc:
            # Its text holds the address, and with it query and key.
            get_logger(TOOL).info("SerpAPI search failed: %s", type(exc).__name__)
            return Trouble("no_network", f"SerpAPI could not be reached ({type(exc).__name__}).")
        return judged(response.status_code, response.text, topic_list=_LISTS[search.topic], secret=self._api_key)


def judged(status: int, text: str, *, topic_list: str, secret: str) -> Sequence[WebResult] | Trouble:
    """What an answer says: results, none, or why not."""
    body = _object(text)
    reason = _reason(body, secret)
    if status in (401, 403):
        return Trouble("key", f"SerpAPI does not accept the key (status {status}).")
    if status == 429:
        return Trouble("rate_limit", f"SerpAPI refuses further searches: {reason or 'too many for this account'}.")
    if status != 200:
        return Trouble("service", f"SerpAPI answered with status {status}{reason and f': {reason}'}.")
    if body is None:
        return Trouble("unreadable", "SerpAPI's answer could not be read. Try again later.")
    if _NOTHING in reason:
        return []
    if reason:
        return Trouble("service", f"SerpAPI could not search: {reason}.")
    hits = body.get(topic_list, [] if "search_metadata" in body or "search_information" in body else None)
    if not isinstance(hits, list) or not all(isinstance(hit, dict) for hit in hits):
        return Trouble("unreadable", "SerpAPI's answer has no list of results. Try again later.")
    return [_result(hit) for hit in hits]


def _object(text: str) -> Mapping[str, Any] | None:
    try:
        body = json.loads(text)
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def _reason(body: Mapping[str, Any] | None, secret: str) -> str:
    """The service's own words, short and without the key."""
    words = str((body or {}).get("error") or "").replace(secret, "***")
    return words[:_LONGEST_REASON].rstrip(". ")


def _result(hit: Mapping[str, Any]) -> WebResult:
    def text(name: str) -> str:
        value = hit.get(name)
        return value if isinstance(value, str) else ""

    return WebResult(
        title=text("title"), url=text("link"), snippet=text("snippet"), date=text("date"), source=text("source")
    )


def _keep_keys_out_of_logs() -> None:
    """The HTTP client logs every address at DEBUG, and the address holds query and key."""
    logger = logging.getLogger("urllib3.connectionpool")
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.INFO)

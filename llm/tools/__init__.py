"""What a model can do besides talking: tools, their registry, and search on the web for who wants it.

Names are loaded when they are first used, and a tool's own dependency with the tool.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .web_policy import WebAccess, set_web_access, web_access

if TYPE_CHECKING:
    from .base import BaseTool, ToolParameter, ToolResult
    from .base_web_search import DuckDuckGoSearchTool
    from .function_tool import FunctionTool
    from .serpapi_web_search import SerpAPISearchTool
    from .tool_registry import ToolRegistry
    from .web_search import WebResult, WebSearchTool

__all__ = [
    "BaseTool",
    "DuckDuckGoSearchTool",
    "FunctionTool",
    "SerpAPISearchTool",
    "ToolParameter",
    "ToolRegistry",
    "ToolResult",
    "WebAccess",
    "WebResult",
    "WebSearchTool",
    "set_web_access",
    "web_access",
]

_ON_DEMAND = {
    "BaseTool": ".base",
    "DuckDuckGoSearchTool": ".base_web_search",
    "FunctionTool": ".function_tool",
    "SerpAPISearchTool": ".serpapi_web_search",
    "ToolParameter": ".base",
    "ToolRegistry": ".tool_registry",
    "ToolResult": ".base",
    "WebResult": ".web_search",
    "WebSearchTool": ".web_search",
}


def __getattr__(name: str) -> Any:
    if name not in _ON_DEMAND:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_ON_DEMAND[name], __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

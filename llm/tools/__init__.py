"""What a model can do besides talking: tools, their registry, and search on the web for who wants it.

Names are loaded when they are first used, and a tool's own dependency with the tool.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..names_on_demand import names_on_demand
from .web_policy import WebAccess, set_web_access, web_access

if TYPE_CHECKING:
    from .base import BaseTool, ToolParameter, ToolResult
    from .base_web_search import DuckDuckGoSearchTool
    from .function_tool import FunctionTool
    from .knowledge_search import KnowledgeSearchTool
    from .serpapi_web_search import SerpAPISearchTool
    from .tool_registry import ToolRegistry
    from .web_search import Search, WebResult, WebSearchTool

__all__ = [
    "BaseTool",
    "DuckDuckGoSearchTool",
    "FunctionTool",
    "KnowledgeSearchTool",
    "Search",
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
    "KnowledgeSearchTool": ".knowledge_search",
    "Search": ".web_search",
    "SerpAPISearchTool": ".serpapi_web_search",
    "ToolParameter": ".base",
    "ToolRegistry": ".tool_registry",
    "ToolResult": ".base",
    "WebResult": ".web_search",
    "WebSearchTool": ".web_search",
}

__getattr__, __dir__ = names_on_demand(globals(), _ON_DEMAND)

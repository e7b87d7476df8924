"""Agents of Pydantic AI on local models.

    from llm.pyai import LocalLLMModel, KnowledgeDeps, search_knowledge

Names are loaded when they are first used. This needs the `pyai` extra.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..names_on_demand import names_on_demand

if TYPE_CHECKING:
    from .model import LocalLLMModel
    from .settings import LocalLLMModelSettings
    from .tools import KnowledgeDeps, format_citation, format_passages, register_knowledge_tools, search_knowledge

__all__ = [
    "KnowledgeDeps",
    "LocalLLMModel",
    "LocalLLMModelSettings",
    "format_citation",
    "format_passages",
    "register_knowledge_tools",
    "search_knowledge",
]

_ON_DEMAND = {
    "KnowledgeDeps": ".tools",
    "LocalLLMModel": ".model",
    "LocalLLMModelSettings": ".settings",
    "format_citation": ".tools",
    "format_passages": ".tools",
    "register_knowledge_tools": ".tools",
    "search_knowledge": ".tools",
}

__getattr__, __dir__ = names_on_demand(globals(), _ON_DEMAND)

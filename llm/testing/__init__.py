"""Fakes and contract suites for those who build on this library; light, and used by its own tests.

    from llm.testing import ScriptedRunner

Names are loaded when they are first used. The contract suites need pytest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..names_on_demand import names_on_demand

if TYPE_CHECKING:
    from .fake_loader import FakeLoader
    from .hash_embedder import HashEmbedder
    from .knowledge_store_contract import KnowledgeStoreContract
    from .runner_contract import RunnerContract
    from .scripted_executor import ScriptedExecutor
    from .scripted_model import ScriptedLoader
    from .scripted_runner import ScriptedReply, ScriptedRunner
    from .session_store_contract import SessionStoreContract
    from .text_loader import TextLoader

__all__ = [
    "FakeLoader",
    "HashEmbedder",
    "KnowledgeStoreContract",
    "RunnerContract",
    "ScriptedExecutor",
    "ScriptedLoader",
    "ScriptedReply",
    "ScriptedRunner",
    "SessionStoreContract",
    "TextLoader",
]

_ON_DEMAND = {
    "FakeLoader": ".fake_loader",
    "HashEmbedder": ".hash_embedder",
    "KnowledgeStoreContract": ".knowledge_store_contract",
    "RunnerContract": ".runner_contract",
    "ScriptedExecutor": ".scripted_executor",
    "ScriptedLoader": ".scripted_model",
    "ScriptedReply": ".scripted_runner",
    "ScriptedRunner": ".scripted_runner",
    "SessionStoreContract": ".session_store_contract",
    "TextLoader": ".text_loader",
}

__getattr__, __dir__ = names_on_demand(globals(), _ON_DEMAND)

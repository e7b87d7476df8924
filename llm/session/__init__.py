"""Conversations that last: stores, the history that fits a window, and a session as a runner uses it.

    from llm.session import Conversation, SqlSessionStore

The database's driver is loaded with the store that needs it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .conversation import Conversation
    from .memory_session_store import MemorySessionStore
    from .session_config import SessionConfig, open_session_store
    from .sql_session_store import SqlSessionStore

__all__ = ["Conversation", "MemorySessionStore", "SessionConfig", "SqlSessionStore", "open_session_store"]

_ON_DEMAND = {
    "Conversation": ".conversation",
    "MemorySessionStore": ".memory_session_store",
    "SessionConfig": ".session_config",
    "SqlSessionStore": ".sql_session_store",
    "open_session_store": ".session_config",
}


def __getattr__(name: str) -> Any:
    if name not in _ON_DEMAND:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_ON_DEMAND[name], __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

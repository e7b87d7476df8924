"""Conversations that last: stores, the history that fits a window, and a session as a runner uses it.

    from llm.session import Conversation, SqlSessionStore

The database's driver is loaded with the store that needs it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..names_on_demand import names_on_demand

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

__getattr__ = names_on_demand(globals(), _ON_DEMAND)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

"""Conversations that last: stores, the history that fits a window, and a session as a runner uses it.

    from llm.session import Conversation, SqlSessionStore

The database's driver is loaded with the store that needs it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..names_on_demand import names_on_demand

if TYPE_CHECKING:
    from ..base.session import Session, SessionInfo, SessionMessage
    from ..base.session_store import SessionStore
    from .conversation import Conversation
    from .memory_session_store import MemorySessionStore
    from .session_config import SessionConfig, open_session_store
    from .sql_session_store import SqlSessionStore

__all__ = [
    "Conversation",
    "MemorySessionStore",
    "Session",
    "SessionConfig",
    "SessionInfo",
    "SessionMessage",
    "SessionStore",
    "SqlSessionStore",
    "open_session_store",
]

_ON_DEMAND = {
    "Conversation": ".conversation",
    "MemorySessionStore": ".memory_session_store",
    "Session": "..base.session",
    "SessionConfig": ".session_config",
    "SessionInfo": "..base.session",
    "SessionMessage": "..base.session",
    "SessionStore": "..base.session_store",
    "SqlSessionStore": ".sql_session_store",
    "open_session_store": ".session_config",
}

__getattr__, __dir__ = names_on_demand(globals(), _ON_DEMAND)

"""Where sessions are kept, and how they are gone on with: one frozen value, validated once."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..exceptions import ConfigError
from ..field_checks import check_flag

if TYPE_CHECKING:
    from ..base.session_store import SessionStore

MEMORY = "memory"
_URLS = ("sqlite:///", "postgresql://", "postgresql+psycopg://")


@dataclass(frozen=True, kw_only=True)
class SessionConfig:
    """A store of sessions.

    Args:
        database_url: ``sqlite:///sessions.db``, ``postgresql://user:password@host/database``, or ``memory``, which
            keeps nothing beyond the process.
        busy_timeout: seconds that a write waits for another process to finish writing to the same SQLite file.
        wait_timeout: seconds that a turn of a session waits for the turn before.
        summarize: whether the model summarizes what does not fit its window any more.

    Raises:
        ConfigError: names the field, its value (never a password) and what is allowed.
    """

    database_url: str = field(default="sqlite:///sessions.db", repr=False)
    busy_timeout: float = 10.0
    wait_timeout: float = 120.0
    summarize: bool = False

    def __post_init__(self) -> None:
        url = self.database_url
        if not isinstance(url, str) or (url != MEMORY and not url.startswith(_URLS)):
            allowed = f"{MEMORY!r}, or an address that begins with " + ", ".join(map(repr, _URLS))
            raise ConfigError("database_url", "(not shown)", allowed)
        for name in ("busy_timeout", "wait_timeout"):
            value = getattr(self, name)
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not number or not math.isfinite(value) or value <= 0:
                raise ConfigError(name, value, "seconds above 0")
        check_flag("summarize", self.summarize)


def open_session_store(config: SessionConfig) -> SessionStore:
    """The store that a configuration names. Blocks while the database is opened.

    Raises:
        ConfigError: the address is incomplete, or the database's driver is not installed.
        SessionStoreError: the database cannot be opened, or a later version of this library wrote it.
    """
    if config.database_url == MEMORY:
        from .memory_session_store import MemorySessionStore

        return MemorySessionStore()
    from .sql_session_store import SqlSessionStore  # brings the database's driver

    return SqlSessionStore(config.database_url, busy_timeout=config.busy_timeout)

"""Which stored conversation is meant, and whose."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ..exceptions import SessionNotFoundError

if TYPE_CHECKING:
    from ..base.session import SessionInfo
    from ..base.session_store import SessionStore
    from ..session.session_config import SessionConfig

LAST = "last"
LEAST_CHARACTERS = 4  # of an id: a variable that a script left empty must not mean the only session there is


def open_store(config: SessionConfig, *, in_memory: bool = False) -> SessionStore:
    """The configured store, or one that forgets."""
    if in_memory:
        from ..session.memory_session_store import MemorySessionStore

        return MemorySessionStore()
    from ..session.session_config import open_session_store

    return open_session_store(config)


def current_owner() -> str:
    """The user of the operating system that runs this process: no variable can claim to be somebody else."""
    try:
        import pwd
    except ImportError:  # Windows
        return os.getlogin()
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container that runs with a number nobody gave a name
        return f"uid-{os.getuid()}"


def find_session(store: SessionStore, name: str, *, owner: str) -> SessionInfo:
    """The session of that id, of the only id that begins so, or the latest one.

    Raises:
        SessionNotFoundError: there is none, or several begin so.
    """
    if name == LAST:
        newest = store.list_sessions(owner=owner, limit=1).sessions
        if not newest:
            raise SessionNotFoundError(f"{owner!r} has no stored session yet. `practorflow chat --keep` begins one.")
        return newest[0]
    page = None
    while LEAST_CHARACTERS <= len(name) < 32:
        found = store.list_sessions(owner=owner, limit=1000, page=page)
        matches = [session for session in found.sessions if session.id.startswith(name)]
        if len(matches) > 1:
            raise SessionNotFoundError(f"Several sessions of {owner!r} begin with {name!r}; give more of the id.")
        if matches:
            return matches[0]
        page = found.next_page
        if page is None:
            break
    try:
        return store.get(name, owner=owner)
    except SessionNotFoundError:
        raise SessionNotFoundError(
            f"There is no session {name!r} of {owner!r}. `practorflow sessions list` names those there are; the first "
            f"{LEAST_CHARACTERS} characters of an id are enough."
        ) from None

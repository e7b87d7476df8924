"""Which databases sessions may live in, and their addresses without passwords."""

from __future__ import annotations

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from ..exceptions import ConfigError

ALLOWED = (
    "'sqlite:///sessions.db', 'sqlite:////absolute/path.db' or 'postgresql+psycopg://user:password@host/database' "
    "(SESSION_DATABASE_URL)"
)


def checked_url(text: str) -> URL:
    """The address, in one form for each kind of database.

    Raises:
        ConfigError: it is none that sessions may live in. The password is not in the message.
    """
    try:
        url = make_url(text)
    except (ArgumentError, ValueError, TypeError, AttributeError):
        raise ConfigError("url", "(not a database URL)", ALLOWED) from None
    if url.drivername in ("postgresql", "postgresql+psycopg") and url.database:
        return url.set(drivername="postgresql+psycopg")
    on_disk = url.database not in (None, "", ":memory:") and not url.query and url.host is None
    if url.drivername in ("sqlite", "sqlite+pysqlite") and on_disk:
        return url.set(drivername="sqlite+pysqlite")
    raise ConfigError("url", shown_url(url), ALLOWED)


def shown_url(url: URL) -> str:
    """The address without its password and options, for messages."""
    return url.set(query={}).render_as_string(hide_password=True)

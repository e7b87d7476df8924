"""The tables of a session database, and how one of an earlier version becomes one of this.

A version number in the database and a list of upgrades are all there is to it. A migration tool would bring a command,
a folder of scripts and a configuration of its own into every program that uses this library, for a handful of tables
that only this package writes.

Invariant: a database has the number of the version whose tables it has. Both change in one transaction, which one
process at a time may make.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    insert,
    inspect,
    select,
    text,
    update,
)

from ..exceptions import SessionStoreError

SCHEMA_VERSION = 1
Upgrade = Callable[[Connection], None]

# Number n brings the tables of version n - 1 to version n. A new database does not take this way.
UPGRADES: Mapping[int, Upgrade] = {}

metadata = MetaData()

schema_versions = Table(
    "practorflow_schema",
    metadata,
    Column("component", String(64), primary_key=True),
    Column("version", Integer, nullable=False),
)

sessions = Table(
    "practorflow_sessions",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("owner", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("document_scope", Text),  # a JSON list; NULL where the caller decides
    Column("metadata", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),  # times are microseconds since 1970
    Column("updated_at", BigInteger, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("message_count", Integer, nullable=False),
    Column("tokens", BigInteger, nullable=False),
    Column("summary", Text),
    Column("summary_covers", Integer),
)
Index("practorflow_sessions_by_owner", sessions.c.owner, sessions.c.updated_at.desc(), sessions.c.id.desc())

messages = Table(
    "practorflow_messages",
    metadata,
    Column("session_id", String(64), ForeignKey(sessions.c.id, ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("id", String(64), nullable=False),
    Column("body", Text, nullable=False),  # the message as JSON
    Column("folded", Text, nullable=False),  # its content as searches compare it
    Column("tokens", Integer, nullable=False),
    Column("interrupted", Boolean, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

_COMPONENT = "sessions"
_LOCK = 0x5E5510  # any number, so long as it is always the same


def prepare_schema(
    connection: Connection, *, version: int = SCHEMA_VERSION, upgrades: Mapping[int, Upgrade] = UPGRADES
) -> None:
    """Create what is missing and upgrade what is old, within the caller's writing transaction.

    Raises:
        SessionStoreError: the database was written by a later version of this library.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    found = _found_version(connection)
    if found is None:
        metadata.create_all(connection)
        connection.execute(insert(schema_versions).values(component=_COMPONENT, version=version))
        return
    if found > version:
        raise SessionStoreError(
            f"The session database has version {found} and this library reads up to {version}. "
            "Upgrade practorflow, or name another database in SESSION_DATABASE_URL."
        )
    for number in range(found + 1, version + 1):
        upgrades[number](connection)
    if found < version:
        connection.execute(
            update(schema_versions).where(schema_versions.c.component == _COMPONENT).values(version=version)
        )


def _found_version(connection: Connection) -> int | None:
    if not inspect(connection).has_table(schema_versions.name):
        return None
    return connection.scalar(select(schema_versions.c.version).where(schema_versions.c.component == _COMPONENT))

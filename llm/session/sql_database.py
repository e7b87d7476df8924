"""A database as the session store uses it: transactions to read, to write and to erase in, and errors of our own.

What differs between SQLite and PostgreSQL is here and nowhere else.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from ..exceptions import ConfigError, SessionStoreError
from .database_url import checked_url, shown_url

# Read at every connect; each is cheap.
_SQLITE_SETTINGS = (
    "PRAGMA journal_mode = WAL",  # readers do not wait for the writer, nor it for them
    "PRAGMA synchronous = FULL",  # a commit is on the disk before it is acknowledged, through a power cut too
    "PRAGMA foreign_keys = ON",
    "PRAGMA secure_delete = ON",  # what is deleted is overwritten
)

LOG_PATIENCE = 1.0  # seconds
_ADVICE = "Look after it, or name another one in SESSION_DATABASE_URL."


class SqlDatabase:
    """Hands out transactions; any number of threads may ask.

    Args:
        url: see SqlSessionStore.
        busy_timeout: seconds that a write waits for another process to finish writing to the same SQLite file.

    Raises:
        ConfigError: the URL is of another kind, or its driver is not installed.
        SessionStoreError: the file cannot be made.
    """

    def __init__(self, url: str, *, busy_timeout: float) -> None:
        self._url = checked_url(url)
        self._busy_timeout = busy_timeout
        self._closed = False
        self._sqlite = self._url.get_backend_name() == "sqlite"
        # SQLite lets one write at a time and has the others poll; within this process they queue instead.
        self._one_writer = threading.Lock() if self._sqlite else nullcontext()
        if self._sqlite:
            self._make_file()
            self._engine = _sqlite_engine(self._url, busy_timeout)
            self._reader = self._engine
            self._writer: Engine = self._engine.execution_options(begin="BEGIN IMMEDIATE")
        else:
            self._engine = _postgresql_engine(self._url)
            # Several queries of one transaction see one moment, as they do in SQLite.
            self._reader = self._engine.execution_options(isolation_level="REPEATABLE READ")
            self._writer = self._engine

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that sees one moment and changes nothing."""
        with self._errors(), self._reader.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that is kept when the block ends, and undone when it raises."""
        with self._errors(), self._one_writer, self._writer.begin() as connection:
            yield connection

    @contextmanager
    def erasing(self) -> Iterator[Connection]:
        """A writing transaction after which what it removed is not in the files any more.

        With PostgreSQL that is up to its VACUUM.
        """
        with self.writing() as connection:
            yield connection
        if self._sqlite:
            self._empty_log()

    def close(self) -> None:
        """Give back all connections."""
        self._closed = True
        self._engine.dispose()

    def __str__(self) -> str:
        return shown_url(self._url)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        if self._closed:
            raise SessionStoreError(f"The session store {str(self)!r} was closed; open another one.")
        try:
            yield
        except DBAPIError as exc:
            raise SessionStoreError(f"The session store {str(self)!r} failed: {_reason(exc)}. {_ADVICE}") from exc
        except SQLAlchemyError as exc:
            raise SessionStoreError(f"The session store {str(self)!r} failed: {type(exc).__name__}. {_ADVICE}") from exc

    def _make_file(self) -> None:
        """An empty file that nobody else may read; SQLite gives its companions the same permissions."""
        path = Path(str(self._url.database))
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        except OSError as exc:
            raise SessionStoreError(
                f"The session database {str(path)!r} cannot be opened: {exc.strerror}. {_ADVICE}"
            ) from exc

    def _empty_log(self) -> None:
        """Move the write-ahead log into the file and empty it: it still has what was there before.

        It waits a moment for those who read. Where one reads on, the next erasure or the last close empties it.
        """
        with self._errors(), self._one_writer:
            connection = self._engine.raw_connection()
            try:
                cursor = connection.cursor()
                cursor.execute(f"PRAGMA busy_timeout = {int(1000 * min(self._busy_timeout, LOG_PATIENCE))}")
                cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
                cursor.execute(f"PRAGMA busy_timeout = {int(1000 * self._busy_timeout)}")
            except self._engine.dialect.dbapi.Error as exc:  # type: ignore[union-attr]
                raise SessionStoreError(f"The session store {str(self)!r} could not empty its log.") from exc
            finally:
                connection.close()


def _sqlite_engine(url: URL, busy_timeout: float) -> Engine:
    engine = create_engine(
        url, hide_parameters=True, connect_args={"timeout": busy_timeout, "check_same_thread": False}
    )

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _record: object) -> None:
        # Python's driver would begin transactions by itself, and too late for a consistent read.
        connection.isolation_level = None
        for setting in _SQLITE_SETTINGS:
            connection.execute(setting).fetchall()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql(connection.get_execution_options().get("begin", "BEGIN"))

    return engine


def _postgresql_engine(url: URL) -> Engine:
    try:
        return create_engine(url, hide_parameters=True, pool_pre_ping=True)
    except ImportError as exc:
        raise ConfigError(
            "url", shown_url(url), f"{exc.name} has to be installed: pip install 'practorflow[postgres]'"
        ) from exc


def _reason(exc: DBAPIError) -> str:
    """What the database says in its first line. The lines behind it may quote values."""
    lines = str(exc.orig).strip().splitlines()
    return lines[0] if lines else type(exc.orig).__name__

"""The contract over an SQLite file, and what only a file can show."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Connection, create_engine, inspect, text

from llm.base.session import Summary, session_message
from llm.base.session_store import SessionStore
from llm.exceptions import ConfigError, SessionStoreError
from llm.session import SqlSessionStore
from llm.session.sql_schema import SCHEMA_VERSION, prepare_schema
from llm.testing.session_store_contract import SessionStoreContract, contents, said


def url(folder: Path) -> str:
    return f"sqlite:///{folder / 'sessions.db'}"


class TestSqlSessionStore(SessionStoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[SessionStore]:
        with SqlSessionStore(url(tmp_path)) as store:
            yield store


def test_sessions_survive_the_store(tmp_path: Path) -> None:
    """A store that is opened again has what the one before has acknowledged, closed or not."""
    first = SqlSessionStore(url(tmp_path))
    session = first.create(owner="ada", document_scope=set())
    first.append_turn(session.id, said("Hello", "Hi"), owner="ada", revision=0)
    with SqlSessionStore(url(tmp_path)) as second:
        assert second.get(session.id, owner="ada") == first.get(session.id, owner="ada")
    first.close()


def test_the_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    """So are its companions; folders are made where they are missing."""
    with SqlSessionStore(url(tmp_path / "deep" / "er")) as store:
        store.create(owner="ada")
        files = list((tmp_path / "deep" / "er").iterdir())
        assert {path.name for path in files} == {"sessions.db", "sessions.db-wal", "sessions.db-shm"}
        assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


def test_what_is_deleted_is_in_no_file(tmp_path: Path) -> None:
    """Not in the database, not in its log: a scan of every byte finds what was kept and nothing else."""

    def bytes_on_disk() -> bytes:
        return b"".join(path.read_bytes() for path in tmp_path.iterdir())

    with SqlSessionStore(url(tmp_path)) as store:
        gone = store.create(owner="ada", title="canary in a title", metadata={"note": "canary in metadata"})
        stays = store.create(owner="ada")
        store.append_turn(gone.id, said("canary asks", "canary " * 5000), owner="ada", revision=0)
        store.append_turn(stays.id, said("a wren asks", "canary in a reply"), owner="ada", revision=0)
        store.set_summary(gone.id, owner="ada", summary=Summary(text="canary in a summary", covers=2))
        assert b"canary" in bytes_on_disk()
        question = store.get(stays.id, owner="ada").messages[0]
        store.truncate(stays.id, owner="ada", after=question.id)
        store.delete(gone.id, owner="ada")
        assert b"canary" not in bytes_on_disk()
        assert b"a wren asks" in bytes_on_disk()


def test_deleting_does_not_wait_for_one_who_reads_on(tmp_path: Path) -> None:
    """The session is gone at once; the log is emptied by the next deletion after the reader has finished."""
    with SqlSessionStore(url(tmp_path), busy_timeout=0.05) as store:
        gone, also = store.create(owner="ada", title="canary"), store.create(owner="ada")
        reader = sqlite3.connect(tmp_path / "sessions.db", isolation_level=None)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM practorflow_sessions").fetchone()
        store.delete(gone.id, owner="ada")
        assert [info.id for info in store.list_sessions(owner="ada").sessions] == [also.id]
        assert (tmp_path / "sessions.db-wal").stat().st_size > 0
        reader.execute("COMMIT")
        reader.close()
        store.delete(also.id, owner="ada")
        assert b"canary" not in b"".join(path.read_bytes() for path in tmp_path.iterdir())


def test_a_full_disk_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    """The turn that finds no room is refused as a whole by a named error; reading goes on, and later writing too."""
    with SqlSessionStore(url(tmp_path)) as store:
        session = store.create(owner="ada")
        store.append_turn(session.id, said("Hello", "Hi"), owner="ada", revision=0)
        _let_grow(store, pages=20)
        with pytest.raises(SessionStoreError, match="full") as caught:
            store.append_turn(session.id, said("canary " * 50_000, "too much"), owner="ada", revision=1)
        assert "canary" not in str(caught.value)
        assert contents(store.get(session.id, owner="ada")) == ["Hello", "Hi"]
        _let_grow(store, pages=1_000_000)
        store.append_turn(session.id, said("wren " * 50_000, "fits"), owner="ada", revision=1)
        assert store.get(session.id, owner="ada").message_count == 4


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    """So is a folder, and a place where no file can be made; all by name."""
    (tmp_path / "sessions.db").write_bytes(b"this is not a database, " * 100)
    with pytest.raises(SessionStoreError, match=r"sessions\.db.*not a database"):
        SqlSessionStore(url(tmp_path))
    with pytest.raises(SessionStoreError, match="cannot be opened"):
        SqlSessionStore(f"sqlite:///{tmp_path}")
    with pytest.raises(SessionStoreError, match="cannot be opened"):
        SqlSessionStore(url(tmp_path / "sessions.db" / "below a file"))


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "sessions.db",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:///sessions.db?mode=memory",
        "sqlite://host/sessions.db",
        "mysql://user:canary@host/database",
        "postgresql+asyncpg://user:canary@host/database",
        "postgresql://user:canary@host",
        "postgresql://user:canary@host:port/database",
        None,
    ],
)
def test_other_databases_are_refused(wrong: str) -> None:
    """By a ConfigError that says what is allowed, and never the password."""
    with pytest.raises(ConfigError, match=r"sqlite:///sessions\.db") as caught:
        SqlSessionStore(wrong)
    assert "canary" not in str(caught.value)


def test_a_locked_database_is_an_error_after_the_time_allowed(tmp_path: Path) -> None:
    """Another process that writes for too long is named as the reason; reading does not wait for it."""
    with SqlSessionStore(url(tmp_path), busy_timeout=0.05) as store:
        session = store.create(owner="ada")
        other = sqlite3.connect(tmp_path / "sessions.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(SessionStoreError, match="locked"):
            store.append_turn(session.id, said("Hello"), owner="ada", revision=0)
        assert store.get(session.id, owner="ada") == session
        other.execute("ROLLBACK")
        other.close()
        store.append_turn(session.id, said("Hello"), owner="ada", revision=0)


def test_processes_share_one_file(tmp_path: Path) -> None:
    """Four open a file that is not there yet, and each adds its turns; none is lost."""
    program = (
        "import sys\n"
        "from llm.session import SqlSessionStore\n"
        "from llm.testing.session_store_contract import said\n"
        "with SqlSessionStore(sys.argv[1]) as store:\n"
        "    session = store.create(owner='everybody')\n"
        "    for revision in range(20):\n"
        "        store.append_turn(session.id, said('q', 'a'), owner='everybody', revision=revision)\n"
    )
    processes = [subprocess.Popen([sys.executable, "-c", program, url(tmp_path)], cwd=_root()) for _ in range(4)]
    assert [process.wait() for process in processes] == [0] * 4
    with SqlSessionStore(url(tmp_path)) as store:
        counts = [info.message_count for info in store.list_sessions(owner="everybody").sessions]
    assert counts == [40] * 4


def test_threads_open_one_file_at_once(tmp_path: Path) -> None:
    """Eight stores on a file that is not there yet: one makes the tables, all can use them."""
    with ThreadPoolExecutor(8) as threads:
        stores = list(threads.map(SqlSessionStore, [url(tmp_path)] * 8))
    for store in stores:
        store.create(owner="ada")
    assert len(stores[0].list_sessions(owner="ada").sessions) == 8
    for store in stores:
        store.close()


def test_a_database_of_a_later_version_is_left_alone(tmp_path: Path) -> None:
    """It is refused with both numbers and what to do, and not a byte of it is changed."""
    SqlSessionStore(url(tmp_path)).close()
    with sqlite3.connect(tmp_path / "sessions.db") as connection:
        connection.execute("UPDATE practorflow_schema SET version = ?", (SCHEMA_VERSION + 1,))
    connection.close()
    before = (tmp_path / "sessions.db").read_bytes()
    with pytest.raises(SessionStoreError, match=rf"version {SCHEMA_VERSION + 1} .* up to {SCHEMA_VERSION}\b"):
        SqlSessionStore(url(tmp_path))
    assert (tmp_path / "sessions.db").read_bytes() == before


def test_an_upgrade_happens_once_and_as_a_whole(tmp_path: Path) -> None:
    """Every missing step in order, none twice; one that fails leaves tables and number as they were."""
    with SqlSessionStore(url(tmp_path)) as store:
        session = store.create(owner="ada", title="kept")
    engine = create_engine(url(tmp_path))
    taken: list[int] = []

    def add_column(connection: Connection) -> None:
        taken.append(SCHEMA_VERSION + 1)
        connection.execute(text("ALTER TABLE practorflow_sessions ADD COLUMN mood TEXT"))

    def fail(connection: Connection) -> None:
        connection.execute(text("ALTER TABLE practorflow_sessions ADD COLUMN colour TEXT"))
        raise RuntimeError("the power went")

    def upgrade(upto: int, third: object) -> None:
        with engine.connect() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            prepare_schema(
                connection, version=upto, upgrades={SCHEMA_VERSION + 1: add_column, SCHEMA_VERSION + 2: third}
            )  # type: ignore[dict-item]
            connection.commit()

    def state() -> tuple[int, set[str]]:
        with engine.connect() as connection:
            number = connection.scalar(text("SELECT version FROM practorflow_schema WHERE component = 'sessions'"))
            return number, {column["name"] for column in inspect(connection).get_columns("practorflow_sessions")}

    version, columns = state()
    with pytest.raises(RuntimeError, match="power"):
        upgrade(SCHEMA_VERSION + 2, fail)
    assert state() == (version, columns)
    upgrade(SCHEMA_VERSION + 1, fail)
    upgrade(SCHEMA_VERSION + 1, fail)
    assert state() == (SCHEMA_VERSION + 1, columns | {"mood"})
    assert taken == [SCHEMA_VERSION + 1] * 2
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT title FROM practorflow_sessions")) == session.title
    engine.dispose()


def test_what_is_stored_is_plain_json(tmp_path: Path) -> None:
    """Another program can read the file: a message is the JSON that the caller wrote, and no class is named in it."""
    call = {"tool_name": "add", "args": {"a": 1}, "tool_call_id": "c"}
    message = {"role": "assistant", "content": "Zürich", "tool_calls": [call]}
    with SqlSessionStore(url(tmp_path)) as store:
        session = store.create(owner="ada")
        store.append_turn(session.id, [session_message(message)], owner="ada", revision=0)
    connection = sqlite3.connect(tmp_path / "sessions.db")
    (body,) = connection.execute("SELECT body FROM practorflow_messages").fetchone()
    connection.close()
    assert json.loads(body) == message
    assert "Zürich" in body


def _let_grow(store: SqlSessionStore, *, pages: int) -> None:
    """Bound the file on the connection that the store, used by one thread, will use next."""
    connection = store._database._engine.raw_connection()
    connection.cursor().execute(f"PRAGMA max_page_count = {pages}")
    connection.close()


def _root() -> str:
    return os.fspath(Path(__file__).resolve().parents[2])

"""The contract over PostgreSQL, and what only a server can show."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from llm.base.session import session_message
from llm.base.session_store import SessionStore
from llm.exceptions import SessionChangedError, SessionStoreError
from llm.session import SqlSessionStore
from llm.testing.session_store_contract import SessionStoreContract


@pytest.fixture
def url(postgresql_url: str) -> str:
    """The URL of an empty database."""
    engine = create_engine(make_url(postgresql_url).set(drivername="postgresql+psycopg"))
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()
    return postgresql_url


class TestSqlSessionStore(SessionStoreContract):
    @pytest.fixture
    def store(self, url: str) -> Iterator[SessionStore]:
        with SqlSessionStore(url) as store:
            yield store


def test_several_stores_share_sessions(url: str) -> None:
    """Eight open an empty database at once; what one writes the others read, and a revision is answered once."""
    with ThreadPoolExecutor(8) as threads:
        stores = list(threads.map(SqlSessionStore, [url] * 8))
    session = stores[0].create(owner="ada")
    turn = [session_message({"role": "user", "content": "Hello"})]
    stores[1].append_turn(session.id, turn, owner="ada", revision=0)
    with pytest.raises(SessionChangedError):
        stores[2].append_turn(session.id, turn, owner="ada", revision=0)
    assert stores[3].get(session.id, owner="ada").message_count == 1
    for store in stores:
        store.close()


def test_a_restarted_server_is_connected_to_again(url: str) -> None:
    """Connections that the server has ended are replaced; no call fails for it."""
    with SqlSessionStore(url) as store:
        session = store.create(owner="ada")
        engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"))
        with engine.connect() as connection:
            ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
            assert len(connection.execute(text(ended + " AND backend_type = 'client backend'")).all()) >= 1
        engine.dispose()
        assert store.get(session.id, owner="ada") == session


def test_errors_do_not_tell_the_password(postgresql_url: str) -> None:
    """Neither those of a wrong password nor those of a server that is not there."""
    wrong = make_url(postgresql_url).set(password="canary")
    for url in (wrong, wrong.set(port=1)):
        with pytest.raises(SessionStoreError) as caught:
            SqlSessionStore(url.render_as_string(hide_password=False))
        assert "canary" not in str(caught.value)
        assert "127.0.0.1" in str(caught.value)

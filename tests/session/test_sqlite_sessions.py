"""The contract over an SQLite file, and what only a file can show."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from llm.base.session_store import SessionStore
from llm.session import SqlSessionStore
from llm.testing.session_store_contract import SessionStoreContract


def url(folder: Path) -> str:
    return f"sqlite:///{folder / 'sessions.db'}"


class TestSqlSessionStore(SessionStoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[SessionStore]:
        with SqlSessionStore(url(tmp_path)) as store:
            yield store

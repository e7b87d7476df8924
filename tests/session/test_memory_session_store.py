"""The contract over a dictionary."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from llm.base.session_store import SessionStore
from llm.session import MemorySessionStore
from llm.testing.session_store_contract import SessionStoreContract


class TestMemorySessionStore(SessionStoreContract):
    @pytest.fixture
    def store(self) -> Iterator[SessionStore]:
        with MemorySessionStore() as store:
            yield store

"""Where sessions are kept, from the settings to the open store."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from llm.exceptions import ConfigError
from llm.session import MemorySessionStore, SessionConfig, SqlSessionStore, open_session_store
from settings.app_settings import load_settings


def test_settings_name_the_store(tmp_path: Path) -> None:
    """Every variable reaches its field, and the store opens from them; by default it is a file beside the program."""
    assert load_settings(environ={}).SessionConfiguration == SessionConfig()
    environ = {
        "SESSION_DATABASE_URL": f"sqlite:///{tmp_path / 'here.db'}",
        "SESSION_BUSY_TIMEOUT": "2.5",
        "SESSION_WAIT_TIMEOUT": "7",
        "SESSION_SUMMARIZE": "yes",
    }
    config = load_settings(environ=environ).SessionConfiguration
    assert (config.busy_timeout, config.wait_timeout, config.summarize) == (2.5, 7.0, True)
    with open_session_store(config) as store:
        assert isinstance(store, SqlSessionStore)
    assert (tmp_path / "here.db").exists()
    with open_session_store(SessionConfig(database_url="memory")) as store:
        assert isinstance(store, MemorySessionStore)


@pytest.mark.parametrize(
    "wrong",
    [
        {"database_url": "mysql://user:canary@host/database"},
        {"database_url": "canary"},
        {"database_url": None},
        {"busy_timeout": 0},
        {"wait_timeout": float("inf")},
        {"wait_timeout": "long"},
        {"summarize": 1},
    ],
)
def test_bad_values_are_refused_by_name_and_without_passwords(wrong: dict[str, Any]) -> None:
    """Here and in the settings, which name the variable."""
    ((name, value),) = wrong.items()
    with pytest.raises(ConfigError, match=name) as caught:
        SessionConfig(**wrong)
    assert "canary" not in str(caught.value)
    if isinstance(value, str):
        variable = f"SESSION_{name.upper()}"
        with pytest.raises(ConfigError, match=variable) as caught:
            load_settings(environ={variable: value})
        assert "canary" not in repr(caught.value)
    assert "canary" not in repr(SessionConfig(database_url="postgresql://user:canary@host/database"))


def test_configuring_loads_no_database_driver() -> None:
    """SQLAlchemy comes with the store that needs it, not with the settings or with a conversation."""
    code = (
        "import sys\n"
        "from llm.session import Conversation, MemorySessionStore, SessionConfig\n"
        "from settings.app_settings import load_settings\n"
        "load_settings(environ={})\n"
        "print([name for name in ('sqlalchemy', 'psycopg', 'sqlite3') if name in sys.modules])"
    )
    root = Path(__file__).resolve().parents[2]
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert result.stdout.strip() == "[]"

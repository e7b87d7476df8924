"""Logging is per component, off until a program asks for it, and one line for each message."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Iterator

import pytest

from llm.exceptions import ConfigError
from llm.logs import COMPONENTS, MODEL_POOL, ROOT, TOOL, LogLevels, configure_logging, get_logger


@pytest.fixture(autouse=True)
def library() -> Iterator[logging.Logger]:
    """The library's own root logger, put back as it was afterwards."""
    library = logging.getLogger(ROOT)
    handlers = list(library.handlers)
    yield library
    library.handlers[:] = handlers
    for component in COMPONENTS:
        get_logger(component).setLevel(logging.NOTSET)


def forget_the_test_runner(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away the handlers that the test runner puts on the root logger, as in a bare program."""
    monkeypatch.setattr(logging.getLogger(), "handlers", [])


def test_importing_configures_nothing() -> None:
    """After the import there is no handler that writes, no level is set, and a warning goes nowhere."""
    code = """
import logging, llm.logs
from llm.logs import COMPONENTS, get_logger
assert logging.getLogger().handlers == []
assert [type(h) for h in logging.getLogger("practorflow").handlers] == [logging.NullHandler]
assert all(get_logger(c).level == logging.NOTSET for c in COMPONENTS)
get_logger("runner").warning("unseen")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_each_component_has_its_own_level(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """One component can talk while another keeps quiet."""
    forget_the_test_runner(monkeypatch)
    configure_logging(LogLevels(model_pool="DEBUG", tool="ERROR"))
    get_logger(MODEL_POOL).debug("loading %r", "demo")
    get_logger(TOOL).warning("not shown")
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("DEBUG    practorflow.model_pool: loading 'demo'")


def test_configuring_twice_writes_once(
    library: logging.Logger, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A second call changes the levels and adds no second handler."""
    forget_the_test_runner(monkeypatch)
    configure_logging(LogLevels(tool="CRITICAL"))
    LogLevels().apply()
    get_logger(TOOL).info("once")
    assert capsys.readouterr().err.count("once") == 1
    assert len(library.handlers) == 2  # the null handler and ours


def test_a_program_with_its_own_logging_keeps_it(library: logging.Logger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the root logger has handlers, the levels are set and no handler is added."""
    forget_the_test_runner(monkeypatch)
    seen: list[str] = []

    class Collect(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append(record.getMessage())

    logging.getLogger().addHandler(Collect())
    before = list(library.handlers)
    configure_logging()
    get_logger(MODEL_POOL).info("loaded")
    assert seen == ["loaded"]
    assert library.handlers == before


def test_a_name_cannot_forge_a_log_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Line breaks and terminal codes in what is logged are shown, not obeyed; other writing stays as it is."""
    forget_the_test_runner(monkeypatch)
    configure_logging()
    get_logger(MODEL_POOL).info("file %s: naïve 文", "a\nERROR forged\x1b[31m\u2028\r")
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("file a\\nERROR forged\\x1b[31m\\u2028\\r: naïve 文")


def test_levels_are_checked() -> None:
    """An unknown level names the component and the levels there are."""
    with pytest.raises(ConfigError, match=r"agent='LOUD' is not allowed: one of 'DEBUG'"):
        LogLevels(agent="LOUD")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="component='kitchen'"):
        get_logger("kitchen")  # type: ignore[arg-type]

"""The command line in this process, with settings of the test's own and a folder of its own."""

from __future__ import annotations

import io
import logging
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from llm.cli.main import run
from llm.hub.policy import download_policy, set_download_policy
from llm.logs import ROOT
from settings.app_settings import load_settings
from settings.options_file import find_options_file


@dataclass(frozen=True)
class Result:
    """What a command did."""

    code: int
    out: str
    err: str


Practorflow = Callable[..., Result]


def nobody_listens() -> int:
    """A port of this machine at which nobody answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture
def practorflow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Practorflow]:
    """Runs a command as the console script does; `stdin` is what comes through its pipe, `options` its options.env."""
    monkeypatch.chdir(tmp_path)
    policy = download_policy()
    loggers = [logging.getLogger(name) for name in logging.root.manager.loggerDict if name.startswith(ROOT)]
    before = [(logger, logger.level, list(logger.handlers)) for logger in loggers]

    def call(*arguments: str, stdin: str = "", options: str | None = None, **settings: str) -> Result:
        environ = {"LLM_N_CTX": "2048", "LLM_TEMPERATURE": "0", **settings}
        if options is not None:
            (tmp_path / "config" / "options").mkdir(parents=True)
            (tmp_path / "config" / "options" / "options.env").write_text(options)

        def configuration() -> object:
            loaded = load_settings(environ=environ, options_file=find_options_file(environ, project_folder=tmp_path))
            set_download_policy(loaded.DownloadConfiguration)
            return loaded

        monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        capsys.readouterr()
        code = run(arguments, configuration=configuration)  # type: ignore[arg-type]
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    yield call
    set_download_policy(policy)
    for logger, level, handlers in before:
        logger.setLevel(level)
        logger.handlers[:] = handlers

"""Whether this machine lets us have a network of our own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

import llm
from llm.exceptions import PrivacyError
from llm.offline_proof.verification import HIDE_FROM_WORKFLOW, Watched, watch

ROOT = Path(llm.__file__).parents[1]
WatchedPython = Callable[..., Watched]


@pytest.fixture(scope="session")
def watched_python(tmp_path_factory: pytest.TempPathFactory) -> WatchedPython:
    """Runs Python code in a network of its own where every packet is recorded; skips where there can be none."""

    def run(code: str, *, timeout: float = 120, without: Sequence[str] = ()) -> Watched:
        hidden = {*HIDE_FROM_WORKFLOW, *without}
        environ = {name: value for name, value in os.environ.items() if name not in hidden}
        folder = tmp_path_factory.mktemp("watched")
        environ |= {"PYTHONPATH": str(ROOT), "HOME": str(folder)}
        command = [sys.executable, "-c", code]
        try:
            _method, (found,) = watch(
                [command], environ=environ, folder=folder, timeout=timeout, method="network namespace"
            )
        except PrivacyError as error:
            if _namespaces_are_to_be_had():
                raise
            pytest.skip(str(error))
        return found

    return run


def _namespaces_are_to_be_had() -> bool:
    """Asked of another program: a fault of ours must not skip its own test."""
    try:
        command = ["unshare", "--net", "true"] if os.geteuid() == 0 else ["unshare", "--user", "--net", "true"]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False

"""One PostgreSQL server on loopback for all tests of sessions, started from the operating system's package."""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

DEBIAN_BINARIES = Path("/usr/lib/postgresql")


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    """The URL of the server; skips where none can be started."""
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)
    with postgresql() as url:
        yield url


def find_binaries() -> Path | None:
    """The folder with initdb and pg_ctl; Debian keeps it off the search path."""
    found = shutil.which("initdb")
    if found is not None:
        return Path(found).resolve().parent
    return next((path.parent for path in sorted(DEBIAN_BINARIES.glob("*/bin/initdb"), reverse=True)), None)


def why_not() -> str | None:
    """Why no server can be started here; None when one can."""
    if find_binaries() is None:
        return "PostgreSQL is not installed (Debian: apt-get install postgresql)"
    try:
        import psycopg  # noqa: F401
    except ImportError as exc:
        return f"{exc.name} is not installed (pip install 'practorflow[postgres]')"
    if os.geteuid() == 0 and _account() is None:
        return "PostgreSQL does not run as root and there is no account postgres"
    return None


@contextlib.contextmanager
def postgresql() -> Iterator[str]:
    """The URL of a new, empty server. It is stopped and its files are removed at the end."""
    binaries = find_binaries()
    assert binaries is not None
    folder = Path(tempfile.mkdtemp(prefix="postgresql-"))
    data, password_file, log = folder / "data", folder / "password", folder / "log"
    password = secrets.token_hex(16)
    password_file.write_text(password)
    account = _account()
    if account is not None:
        for path in (folder, password_file):
            os.chown(path, account.pw_uid, account.pw_gid)

    def run(program: str, *arguments: str) -> None:
        as_account = ["runuser", "-u", account.pw_name, "--"] if account is not None else []
        done = subprocess.run(
            [*as_account, str(binaries / program), *arguments],
            cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            check=False,
        )  # fmt: skip
        if done.returncode != 0:
            server = log.read_text() if log.exists() else ""
            raise RuntimeError(f"{program} ended with {done.returncode}:\n{done.stderr}\n{server}")

    try:
        run(
            "initdb", "--pgdata", str(data), "--username", "practorflow", "--pwfile", str(password_file),
            "--auth", "scram-sha-256", "--encoding", "UTF8", "--no-locale", "--no-sync",
        )  # fmt: skip
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        settings = {
            "port": port, "listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off",
        }  # fmt: skip
        options = " ".join(f"-c {name}='{value}'" for name, value in settings.items())
        run("pg_ctl", "start", "--pgdata", str(data), "--log", str(log), "--wait", "--options", options)
        try:
            yield f"postgresql://practorflow:{password}@127.0.0.1:{port}/postgres"
        finally:
            run("pg_ctl", "stop", "--pgdata", str(data), "--mode", "immediate", "--wait")
    finally:
        shutil.rmtree(folder)


def _account() -> pwd.struct_passwd | None:
    """The account to run as instead of root; None where we are somebody else already."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return None

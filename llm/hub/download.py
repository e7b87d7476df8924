"""Brings the files of a repository to disk, each once and whole.

Invariants: a file stands under its own name only when it is complete and its digest is the one that the hub names;
until then it is called ``<name>.part``, is kept whatever happens, and the next attempt continues it. Two processes
that want the same file do not write it both: the second waits for the first.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

from ..exceptions import DownloadError
from ..logs import MODEL_POOL, get_logger
from .hub_client import HubClient, Interrupted, RemoteFile, RemoteRepository
from .progress import DownloadProgress, ProgressCallback

if sys.platform != "win32":
    import fcntl

LISTING_ATTEMPTS = 3
FILE_ATTEMPTS = 5
LONGEST_PAUSE_SECONDS = 15.0

_logger = get_logger(MODEL_POOL)


class Downloader:
    """Downloads from one hub into folders on disk.

    Args:
        client: speaks with the hub.
        report: called with the progress of each file; an exception from it stops the download, which is kept.
        sleep: waits between attempts.
    """

    def __init__(
        self, client: HubClient, *, report: ProgressCallback, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._client = client
        self._report = report
        self._sleep = sleep

    def repository(self, name: str) -> RemoteRepository:
        """What the repository holds now; asks a few times.

        Raises:
            ModelNotFoundError: there is no such public repository.
            DownloadError: the hub cannot be reached.
        """
        attempt = 0
        while True:
            try:
                return self._client.repository(name)
            except Interrupted as exc:
                attempt += 1
                self._pause(attempt, LISTING_ATTEMPTS, f"Asking the hub about {name!r}", exc)

    def fetch(self, repository: RemoteRepository, files: Iterable[RemoteFile], folder: Path) -> None:
        """Download the files that are not in the folder yet, one after the other.

        Raises:
            DownloadError: a file cannot be had, or is not what the hub announced.
        """
        for file in files:
            target = folder / file.name
            if target.exists():
                continue
            _make_folder(target.parent)
            with _partial_file(target) as partial:
                if partial is not None:
                    self._fetch_file(repository, file, partial)
                    partial.complete(target)
                    _logger.info("Downloaded %r of %r.", file.name, repository.name)

    def _fetch_file(self, repository: RemoteRepository, file: RemoteFile, partial: _PartialFile) -> None:
        continued = partial.received > 0
        while True:
            self._receive(repository, file, partial)
            difference = partial.difference(file)
            if difference is None:
                return
            partial.restart()
            if not continued:
                raise DownloadError(f"{file.name!r} of {repository.name!r} arrived damaged: {difference}. Try again.")
            # What lay on disk came from another revision, or was damaged there: once more from the start.
            continued = False

    def _receive(self, repository: RemoteRepository, file: RemoteFile, partial: _PartialFile) -> None:
        attempt = 0
        while True:
            before = partial.received
            try:
                self._receive_once(repository, file, partial)
                return
            except Interrupted as exc:
                attempt = 1 if partial.received > before else attempt + 1
                self._pause(attempt, FILE_ATTEMPTS, f"Downloading {file.name!r} of {repository.name!r}", exc)

    def _receive_once(self, repository: RemoteRepository, file: RemoteFile, partial: _PartialFile) -> None:
        if file.size is not None:
            if partial.received == file.size:
                return
            if partial.received > file.size:
                partial.restart()
            _check_space(partial, file.size - partial.received)
        with self._client.stream(repository, file.name, start=partial.received) as stream:
            if stream.start != partial.received:
                partial.restart()
            total = file.size if file.size is not None else stream.total
            self._report(DownloadProgress(file.name, partial.received, total))
            for chunk in stream:
                partial.append(chunk)
                self._report(DownloadProgress(file.name, partial.received, total))
            if total is not None and partial.received < total:
                raise Interrupted(f"the connection ended after {partial.received} of {total} bytes")

    def _pause(self, attempt: int, attempts: int, what: str, cause: Interrupted) -> None:
        if attempt >= attempts:
            raise DownloadError(
                f"{what} failed: {cause}. What arrived is kept and continued next time. Check the network, or put the "
                "model into models_dir yourself."
            ) from cause
        _logger.warning("%s was interrupted (%s); trying again.", what, cause)
        self._sleep(min(2.0 ** (attempt - 1), LONGEST_PAUSE_SECONDS))


class _PartialFile:
    """The ``.part`` file of a download, with the digests of what it holds."""

    def __init__(self, file: FileIO, path: Path) -> None:
        self._file = file
        self.path = path
        self.received = 0
        self._sha256 = hashlib.sha256()
        file.seek(0)
        while chunk := file.read(1 << 20):
            self._sha256.update(chunk)
            self.received += len(chunk)

    def append(self, chunk: bytes) -> None:
        remaining = memoryview(chunk)
        try:
            while remaining:
                remaining = remaining[self._file.write(remaining) :]
        except OSError as exc:
            raise _disk_error(self.path, exc) from exc
        self._sha256.update(chunk)
        self.received += len(chunk)

    def restart(self) -> None:
        self._file.seek(0)
        self._file.truncate()
        self.received = 0
        self._sha256 = hashlib.sha256()

    def difference(self, file: RemoteFile) -> str | None:
        """What is not as the hub announced it; None when all is well."""
        if file.size is not None and self.received != file.size:
            return f"it has {self.received} bytes instead of {file.size}"
        if file.sha256 is not None and self._sha256.hexdigest() != file.sha256:
            return "its SHA-256 digest is another"
        if file.git_sha1 is not None and self._git_sha1() != file.git_sha1:
            return "its digest is another"
        return None

    def complete(self, target: Path) -> None:
        """Give the file its own name."""
        try:
            os.fsync(self._file.fileno())
            os.replace(self.path, target)
        except OSError as exc:
            raise _disk_error(target, exc) from exc

    def _git_sha1(self) -> str:
        digest = hashlib.sha1(b"blob %d\0" % self.received, usedforsecurity=False)
        self._file.seek(0)
        while chunk := self._file.read(1 << 20):
            digest.update(chunk)
        return digest.hexdigest()


@contextmanager
def _partial_file(target: Path) -> Iterator[_PartialFile | None]:
    """The ``.part`` file of `target`, ours alone; None when another process completed it meanwhile."""
    path = target.with_name(target.name + ".part")
    while True:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
        except OSError as exc:
            raise _disk_error(path, exc) from exc
        with FileIO(descriptor, "rb+") as file:
            _lock(file, path)
            if target.exists():
                yield None
                return
            if _is_same_file(file, path):
                yield _PartialFile(file, path)
                return
        # Another process completed or removed it between opening and locking: open what is there now.


def _lock(file: FileIO, path: Path) -> None:
    """Wait until no other process holds the file. The lock ends with the file, or with the process."""
    if sys.platform == "win32":
        return  # another process fails to open the file instead
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        if exc.errno not in (errno.EWOULDBLOCK, errno.EAGAIN):
            return  # a file system without locks: two processes write the same bytes to the same places
        _logger.info("Another process downloads %r; waiting for it.", path.name)
        fcntl.flock(file, fcntl.LOCK_EX)


def _is_same_file(file: FileIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.stat(path))
    except FileNotFoundError:
        return False


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise _disk_error(folder, exc) from exc


def _check_space(partial: _PartialFile, needed: int) -> None:
    free = shutil.disk_usage(partial.path.parent).free
    if free < needed:
        raise DownloadError(
            f"{partial.path.name!r} needs {needed} more bytes and {str(partial.path.parent)!r} has {free} free. "
            "Free some space, or set LLM_MODELS_DIR to another disk."
        )


def _disk_error(path: Path, exc: OSError) -> DownloadError:
    return DownloadError(f"{str(path)!r} cannot be written: {exc.strerror or exc}.")

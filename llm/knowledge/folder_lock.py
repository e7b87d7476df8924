"""Who has a store's folder open: a lock of the operating system, which a process that dies does not keep.

Chroma loses vectors without a word when two processes write to one folder, and a reader goes on showing what another
process has deleted. So one process at a time opens a folder.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from ..exceptions import KnowledgeStoreError, StoreLockedError

NAME = "store.lock"


class FolderLock:
    """Held from the moment it is made until `release`, or until its process ends in whatever way.

    Args:
        folder: exists.
        name: of the file; processes that share a folder have one each.

    Raises:
        StoreLockedError: somebody else has it.
    """

    def __init__(self, folder: Path, *, name: str = NAME) -> None:
        self._path = folder / name
        try:
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
        except OSError as exc:
            raise KnowledgeStoreError(
                f"The store's lock {str(self._path)!r} cannot be opened: {exc.strerror}. Have its permissions "
                "changed, or name another folder in KB_CHROMA_PERSIST_DIRECTORY."
            ) from exc
        try:
            _lock(self._file)
        except OSError as exc:
            holder = _holder(self._file)
            os.close(self._file)
            raise StoreLockedError(_explained(folder, holder)) from exc
        os.ftruncate(self._file, 0)
        os.write(self._file, str(os.getpid()).encode())

    def release(self) -> None:
        """Let others have it."""
        os.close(self._file)


def _explained(folder: Path, holder: int | None) -> str:
    if holder == os.getpid():
        return (
            f"The knowledge store in {str(folder)!r} is open in this process already. "
            "Use that store object everywhere (it is thread-safe), or close it first."
        )
    process = "another process" if holder is None else f"process {holder}"
    return (
        f"The knowledge store in {str(folder)!r} is open in {process}, and two would damage it. End that process or "
        "name another folder in KB_CHROMA_PERSIST_DIRECTORY; to share one store between processes, start a Chroma "
        "server and name it in KB_CHROMA_HOST and KB_CHROMA_PORT."
    )


def _holder(file: int) -> int | None:
    try:
        return int(os.read(file, 32))
    except (OSError, ValueError):
        return None


if sys.platform == "win32":
    import msvcrt

    def _lock(file: int) -> None:
        # Far behind the process number, which others may read.
        os.lseek(file, 1 << 20, os.SEEK_SET)
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(file: int) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)

"""Holds every load against digests that somebody has written down: a file SHA256SUMS in models_dir.

    cd models && find . -type f ! -name SHA256SUMS -exec sha256sum {} + > SHA256SUMS

Where that file is, a model below models_dir is loaded only if each of its files stands in it with the digest that it
has now; who may write the file decides what may be loaded. Where it is not, nothing is checked. A digest is computed
anew only when a file has changed, going by its inode, size and times.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

from ..exceptions import ModelFormatError

LOCK = "SHA256SUMS"

_LINE = re.compile(r"([0-9a-f]{64}) [ *](.+)")  # as sha256sum writes it, of names without line breaks
_BLOCK = 1 << 20
_known: dict[tuple[str, int, int, int, int, int], str] = {}


def check_lock(models_dir: Path, files: Iterable[Path]) -> None:
    """Compare a model's files with the digests in `models_dir`. Reads every byte of those that it has not seen yet.

    Args:
        models_dir: where the file of digests may be; models elsewhere are none of its business.
        files: all files of the model.

    Raises:
        ModelFormatError: a file is not listed, or is another one than the one listed, or the list cannot be read.
    """
    lock = models_dir / LOCK
    if not lock.exists():
        return
    digests = _read(lock)
    root = models_dir.resolve()
    for file in files:
        name = _name_below(root, models_dir, file)
        if name is None:
            continue
        if name not in digests:
            raise ModelFormatError(
                f"{name!r} is not listed in {str(lock)!r}, so it is not loaded. Check it and add it."
            )
        if _digest(file) != digests[name]:
            raise ModelFormatError(
                f"{name!r} is not the file that {str(lock)!r} lists: its bytes have changed. Find out why, or fetch it "
                "again."
            )


def _name_below(root: Path, models_dir: Path, file: Path) -> str | None:
    """The name under which a file is listed: as it stands below models_dir, even where it is a link inside of it."""
    for folder, path in ((models_dir.absolute(), file.absolute()), (root, file.resolve())):
        if path.is_relative_to(folder):
            return path.relative_to(folder).as_posix()
    return None


def _read(lock: Path) -> dict[str, str]:
    digests = {}
    try:
        lines = lock.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        raise ModelFormatError(f"{str(lock)!r} cannot be read, so no model below it is loaded.") from exc
    for number, line in enumerate(lines, 1):
        match = _LINE.fullmatch(line)
        if match is None:
            raise ModelFormatError(f"Line {number} of {str(lock)!r} is not one that sha256sum writes.")
        digests[match[2].removeprefix("./")] = match[1]
    return digests


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        state = file.stat()
        key = (str(file), state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns)
        if key not in _known:
            sha256 = hashlib.sha256()
            while block := opened.read(_BLOCK):
                sha256.update(block)
            _known[key] = sha256.hexdigest()
    return _known[key]

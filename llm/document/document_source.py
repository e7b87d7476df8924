"""Reading a file that somebody named, without being led elsewhere.

A name is a path of this machine. Addresses are refused, and so is everything that is no regular file: a link may point
outside the folder that somebody allowed, a pipe never ends, a device does things when it is read.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path, PurePosixPath

from ..exceptions import DocumentSourceError, DocumentTooLargeError

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:(//|[^\\/])")
_LONGEST_NAME = 255  # characters that are kept


def read_file(path: str | os.PathLike[str], *, max_size: int) -> tuple[bytes, str]:
    """The bytes of a file, and its name without folders.

    Raises:
        DocumentSourceError: it is not a regular file of this machine, or cannot be read.
        DocumentTooLargeError: it has more than `max_size` bytes.
    """
    name = os.fspath(path)
    if not isinstance(name, str):
        raise TypeError(f"path must be a string or a path, not {type(path).__name__}")
    if isinstance(path, str) and _ADDRESS.match(path):
        raise DocumentSourceError(
            f"{path!r} is an address, and documents are read from files of this machine only. Give a path.",
            filename=base_name(path),
        )
    filename = base_name(name)
    # Not to wait for the other end of a pipe, and not to follow a link.
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        if not getattr(os, "O_NOFOLLOW", 0) and Path(name).is_symlink():
            raise OSError(0, "it is a link")
        descriptor = os.open(name, flags | getattr(os, "O_CLOEXEC", 0))
    except (OSError, ValueError) as exc:
        raise DocumentSourceError(
            f"{name!r} cannot be read: {_reason(name, exc)}. {_advice(exc)}", filename=filename
        ) from exc
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise DocumentSourceError(f"{name!r} is no regular file. Give the path of one.", filename=filename)
    try:
        with os.fdopen(descriptor, "rb") as file:
            # One byte more than allowed, because the file may grow while it is read.
            data = b"" if status.st_size > max_size else file.read(max_size + 1)
    except OSError as exc:
        raise DocumentSourceError(
            f"{name!r} cannot be read: {_reason(name, exc)}. Copy it to another disk.", filename=filename
        ) from exc
    if max(status.st_size, len(data)) > max_size:
        raise too_large(filename, max_size)
    return data, filename


def base_name(name: str) -> str:
    """The last part of a path, of whichever system; data, and never a path to open."""
    return PurePosixPath(name.replace("\\", "/")).name[-_LONGEST_NAME:] or "document"


def too_large(filename: str, max_size: int) -> DocumentTooLargeError:
    """The error for a file above the limit."""
    return DocumentTooLargeError(
        f"{filename!r} has more than {max_size} bytes (max_file_size). Raise the limit or split the document.",
        filename=filename,
        limit="max_file_size",
    )


def _advice(exc: OSError | ValueError) -> str:
    if isinstance(exc, PermissionError):
        return "Have its permissions changed."
    return "Give the path of a regular file."


def _reason(name: str, exc: OSError | ValueError) -> str:
    if isinstance(exc, ValueError):
        return "no file can have this name"
    if os.path.islink(name):
        return "it is a link"
    return exc.strerror or type(exc).__name__

"""Finds models that are on this machine already, and follows nothing out of the folder it looks in."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from ..exceptions import ModelFormatError, ModelNotFoundError

MOST_FILES = 10_000


def find_under(folder: Path, parts: tuple[str, ...]) -> Path | None:
    """The file or folder of that relative name, or None where there is none.

    Raises:
        ModelFormatError: it leads out of `folder`, or is neither a file nor a folder.
    """
    path = folder.joinpath(*parts)
    if not os.path.lexists(path):
        return None
    require_inside(folder, path)
    return require_file_or_folder(path)


def require_inside(folder: Path, path: Path) -> None:
    """Refuse a path that symbolic links lead out of `folder`."""
    try:
        inside = path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError) as exc:  # until Python 3.12, where links run in a circle
        raise _circle(path) from exc
    if not inside:
        raise ModelFormatError(
            f"{str(path)!r} leads out of {str(folder)!r}, so it is not followed. Give the model's own path instead."
        )


def require_file_or_folder(path: Path) -> Path:
    """Refuse pipes, devices and what is not there."""
    try:
        mode = path.stat().st_mode
    except OSError as exc:
        if exc.errno == errno.ELOOP:
            raise _circle(path) from exc
        raise ModelNotFoundError(f"There is no model at {str(path)!r} ({exc.strerror or exc}).") from exc
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise ModelFormatError(f"{str(path)!r} is neither a file nor a folder, so it is not read as a model.")
    return path


def files_below(folder: Path) -> Iterator[str]:
    """Names of all files below a folder, relative to it, with '/' between the parts. Links to folders are left out.

    Raises:
        ModelNotFoundError: the folder cannot be listed; one below it that cannot be is left out.
        ModelFormatError: it holds more files than a folder of models does.
    """
    count = 0

    def refused(error: OSError) -> None:
        if Path(error.filename) == folder:
            raise ModelNotFoundError(
                f"{str(folder)!r} cannot be listed: {error.strerror}. Have its permissions changed, or take another "
                "folder (LLM_MODELS_DIR)."
            ) from error

    for root, folders, files in os.walk(folder, followlinks=False, onerror=refused):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in files:
            count += 1
            if count > MOST_FILES:
                raise ModelFormatError(
                    f"{str(folder)!r} holds more than {MOST_FILES} files. Give the path of one model in it."
                )
            yield Path(root, name).relative_to(folder).as_posix()


def _circle(path: Path) -> ModelFormatError:
    return ModelFormatError(f"{str(path)!r} is a link that leads back to itself, so it is not read as a model.")

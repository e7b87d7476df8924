"""Which names of models may touch the file system, decided before anything is opened.

A name comes from a settings file, and in a service perhaps from a request. A relative name can therefore only mean
something below a folder that was named by the operator: invariant of `relative_parts`.
"""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

from ..exceptions import ConfigError

MAX_NAME_LENGTH = 1024
MAX_PART_BYTES = 255

_HUB_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,95}")
_ALLOWED = (
    "'demo', a path that begins with '/', './', '../' or '~/', or a name of letters, digits and punctuation "
    "without '..', backslashes, colons or control characters"
)


def is_explicit_path(name: str) -> bool:
    """Whether the name says that it is a path: the operator's own words, so it may lead anywhere."""
    return name in (".", "..", "~") or name.startswith(("./", "../", "~/")) or Path(name).is_absolute()


def relative_parts(name: str) -> tuple[str, ...]:
    """Split a relative name into its parts.

    Raises:
        ConfigError: the name could lead out of the folder that it is looked for in, or means something else on
            another system.
    """
    parts = tuple(name.split("/"))
    if len(name) > MAX_NAME_LENGTH or not all(map(_harmless, parts)):
        raise ConfigError("model_name", name, _ALLOWED)
    return parts


def hub_location(parts: tuple[str, ...]) -> tuple[str, str | None] | None:
    """Repository and file that a name means in the hub; None when it does not have the form of one.

    ``owner/repo`` is a repository, ``owner/repo/file.gguf`` a file in it.
    """
    if len(parts) < 2 or not all(_HUB_NAME.fullmatch(part) for part in parts[:2]):
        return None
    repository = f"{parts[0]}/{parts[1]}"
    if len(parts) == 2:
        return None if parts[1].lower().endswith(".gguf") else (repository, None)
    return (repository, "/".join(parts[2:])) if parts[-1].endswith(".gguf") else None


def _harmless(part: str) -> bool:
    if part in ("", ".", "..") or part != part.strip() or part.startswith("~"):
        return False
    if any(character in "\\:" or unicodedata.category(character).startswith("C") for character in part):
        return False
    return len(part.encode("utf-8")) <= MAX_PART_BYTES

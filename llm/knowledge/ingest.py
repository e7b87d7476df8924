"""Adding many documents: what is reported while it goes on, and what came of each."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..exceptions import LLMError
from .passage import AddedDocument


@dataclass(frozen=True, slots=True)
class IngestResult:
    """What came of one file.

    Attributes:
        path: as it was given, or found in a folder.
        document: what was added or recognized; None where it failed.
        error: why it failed; the other files are not affected.
    """

    path: str
    document: AddedDocument | None = None
    error: LLMError | None = None

    @property
    def success(self) -> bool:
        """Whether the document is in the store."""
        return self.error is None


@dataclass(frozen=True, slots=True)
class IngestProgress:
    """How far an ingest is.

    Attributes:
        done: files that are finished, whatever came of them.
        total: files that there are.
        chunks: retrieval chunks written so far.
        last: what came of the file that was finished last.
    """

    done: int
    total: int
    chunks: int
    last: IngestResult | None = None


ProgressCallback = Callable[[IngestProgress], None]
StrPath = str | os.PathLike[str]


def files_of(paths: StrPath | Iterable[StrPath], *, is_supported: Callable[[str], bool]) -> Iterator[Path]:
    """Files as they are given, and of folders, in order, those that can be read.

    A file that is named is taken whatever it is, so that it gets an error of its own; in a folder, what is hidden, what
    is a link and what is no document is passed over. A folder that may not be listed is given as if it were a file, for
    the same reason: what is in it would be missed in silence.

    Args:
        paths: a file or folder, or several.
        is_supported: whether documents have such a name.
    """
    for path in [paths] if isinstance(paths, (str, os.PathLike)) else paths:
        root = Path(path)
        if not os.path.isdir(root):
            yield root
            continue
        unreadable: list[OSError] = []
        for folder, folders, names in os.walk(root, onerror=unreadable.append):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in sorted(names):
                found = Path(folder) / name
                if not name.startswith(".") and is_supported(name) and not os.path.islink(found):
                    yield found
        yield from (Path(error.filename) for error in unreadable)

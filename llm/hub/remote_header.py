"""What a GGUF model in the hub says about itself, without downloading the model.

The header stands at the beginning of a file. So much of it is fetched as is needed, into a file that has the whole
model's length and holds nothing behind the header (file systems keep such a file in a few megabytes), and that one is
checked as any other model is.
"""

from __future__ import annotations

import tempfile
from pathlib import Path, PurePosixPath

from ..exceptions import DownloadError, ModelFormatError
from .gguf_header import GGUFHeader, check_gguf
from .gguf_reader import read_gguf
from .hub_client import HubClient, Interrupted, RemoteFile, RemoteRepository

STEP_BYTES = 4 << 20
MOST_HEADER_BYTES = 64 << 20


def remote_gguf_header(client: HubClient, repository: RemoteRepository, files: list[RemoteFile]) -> GGUFHeader:
    """The header of a model in the hub.

    Args:
        client: speaks with the hub.
        repository: where the model is.
        files: all its parts, the first one first.

    Raises:
        ModelFormatError: it is not a sound GGUF model.
        DownloadError: the hub does not answer, or does not say how long a file is.
    """
    with tempfile.TemporaryDirectory(prefix="practorflow-header-") as folder:
        paths = [Path(folder) / PurePosixPath(file.name).name for file in files]
        for file, path in zip(files, paths, strict=True):
            try:
                _fetch_header(client, repository, file, path)
            except Interrupted as error:
                raise DownloadError(f"The header of {file.name!r} could not be fetched: {error}.") from error
        return check_gguf(paths[0])


def _fetch_header(client: HubClient, repository: RemoteRepository, file: RemoteFile, path: Path) -> None:
    with client.stream(repository, file.name) as stream, path.open("wb") as target:
        length = stream.total if file.size is None else file.size
        if length is None:
            raise DownloadError(f"The hub does not say how long {file.name!r} is, so its memory cannot be estimated.")
        received, wanted = 0, STEP_BYTES
        for chunk in stream:
            target.write(chunk[: length - received])
            received += len(chunk)
            if received < min(wanted, length):
                continue
            target.truncate(length)
            target.flush()
            if _has_header(path, received, last=received >= min(length, MOST_HEADER_BYTES)):
                return
            wanted = received + STEP_BYTES
    raise DownloadError(f"{file.name!r} ended before its header did. Try again.")


def _has_header(path: Path, received: int, *, last: bool) -> bool:
    try:
        return read_gguf(path).data_start <= received
    except ModelFormatError:
        if last:
            raise
        return False

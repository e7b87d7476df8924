"""Speaks HTTP with the hub: what a repository holds, and the bytes of one file from any point on.

It sends no token, no telemetry and nothing about this machine: two kinds of GET request, to the hub and to where the
hub redirects. It knows nothing of disks. Failures come in two kinds: `Interrupted`, where asking again may help, and
the library's own errors, where it cannot.
"""

from __future__ import annotations

import http.client
import json
import re
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from ..exceptions import DownloadError, ModelNotFoundError, OfflineError
from ..privacy import hub_is_forbidden

USER_AGENT = "practorflow"
MAX_LISTING_BYTES = 1 << 26
CHUNK_BYTES = 1 << 18

_RETRIED_STATUSES = (408, 425, 429, 500, 502, 503, 504)
_SHA1 = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


class Interrupted(Exception):
    """The hub could not be reached or stopped answering; what arrived is good."""


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """One file of a repository, with what the hub says for checking it; None where it says nothing.

    Attributes:
        name: path in the repository.
        size: length in bytes.
        sha256: digest of the bytes, known of large files.
        git_sha1: digest that git gives the file, known of small ones.
    """

    name: str
    size: int | None = None
    sha256: str | None = None
    git_sha1: str | None = None


@dataclass(frozen=True, slots=True)
class RemoteRepository:
    """A repository at one moment: files are asked for at this revision, so that they fit together."""

    name: str
    revision: str
    files: tuple[RemoteFile, ...]


@dataclass(slots=True)
class ByteStream:
    """Bytes of a file from `start` to its end.

    Attributes:
        start: where the stream begins; 0 when the hub would not continue in the middle.
        total: length of the whole file, if the hub said it.
    """

    start: int
    total: int | None
    response: http.client.HTTPResponse

    def __iter__(self) -> Iterator[bytes]:
        while True:
            with _interruptions():
                chunk = self.response.read1(CHUNK_BYTES)
            if not chunk:
                return
            yield chunk


class HubClient:
    """Requests to one hub.

    Args:
        endpoint: its address; None takes that of huggingface_hub.
        timeout: seconds without an answer after which the hub counts as gone.
    """

    def __init__(self, endpoint: str | None = None, *, timeout: float = 30.0) -> None:
        self._endpoint = (endpoint or _default_endpoint()).rstrip("/")
        self._timeout = timeout
        self._opener = _opener()

    def repository(self, name: str) -> RemoteRepository:
        """What the repository holds now.

        Raises:
            ModelNotFoundError: there is no such repository, or not for everybody.
            Interrupted: the hub does not answer.
        """
        address = f"{self._endpoint}/api/models/{quote(name)}/revision/main?blobs=true"
        try:
            with _interruptions(), self._open(address) as response:
                text = response.read(MAX_LISTING_BYTES + 1)
        except urllib.error.HTTPError as exc:
            with exc:
                raise ModelNotFoundError(
                    f"The hub has no public model {name!r} (status {exc.code}). Check its name; where it is private or "
                    "asks for an agreement, download it with your own account and put it into models_dir."
                ) from None
        return _listing(name, text)

    @contextmanager
    def stream(self, repository: RemoteRepository, file: str, *, start: int = 0) -> Iterator[ByteStream]:
        """The bytes of a file, from `start` on where the hub can do that.

        Raises:
            DownloadError: the hub refuses the file.
            Interrupted: it does not answer.
        """
        address = f"{self._endpoint}/{quote(repository.name)}/resolve/{repository.revision}/{quote(file)}"
        headers = {"Range": f"bytes={start}-"} if start else {}
        try:
            with _interruptions():
                response = self._open(address, headers)
        except urllib.error.HTTPError as exc:
            with exc:
                if exc.code == 416 and start:
                    response = None
                else:
                    raise DownloadError(
                        f"The hub refuses {file!r} of {repository.name!r} (status {exc.code}). Download it with your "
                        "own account and put it into models_dir."
                    ) from None
        if response is None:  # what is on disk is longer than the file: begin again
            with self.stream(repository, file) as whole:
                yield whole
            return
        with response:
            yield _positioned(response, start)

    def _open(self, address: str, headers: dict[str, str] | None = None) -> http.client.HTTPResponse:
        request = urllib.request.Request(
            address, headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity", **(headers or {})}
        )
        try:
            response: http.client.HTTPResponse = self._opener.open(request, timeout=self._timeout)
        except urllib.error.HTTPError as exc:
            if exc.code not in _RETRIED_STATUSES:
                raise
            with exc:
                raise Interrupted(f"the hub answered with status {exc.code}") from None
        return response


def _positioned(response: http.client.HTTPResponse, start: int) -> ByteStream:
    length = response.headers.get("Content-Length", "")
    if response.status == 206:
        match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
        if match is None or int(match[1]) != start:
            raise Interrupted("the hub continued at another place than was asked for")
        return ByteStream(start, None if match[2] == "*" else int(match[2]), response)
    return ByteStream(0, int(length) if length.isdecimal() else None, response)


@contextmanager
def _interruptions() -> Iterator[None]:
    """Turn every way in which a connection fails into `Interrupted`."""
    try:
        yield
    except urllib.error.HTTPError:
        raise
    except (OSError, http.client.HTTPException) as exc:
        reason = getattr(exc, "reason", None) or exc
        if isinstance(reason, ssl.SSLCertVerificationError):
            raise DownloadError(
                f"The hub's certificate is not accepted: {reason.verify_message}. Behind an inspecting proxy, name its "
                "certificate in SSL_CERT_FILE."
            ) from exc
        raise Interrupted(f"{type(exc).__name__}: {reason}") from exc


def _listing(name: str, text: bytes) -> RemoteRepository:
    try:
        listing = json.loads(text)
        revision = listing["sha"]
        files = tuple(_remote_file(entry) for entry in listing["siblings"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as exc:
        raise DownloadError(
            f"The answer about {name!r} is not that of a hub. Check LLM_HUB_ENDPOINT and the network's proxies."
        ) from exc
    if not isinstance(revision, str) or not _SHA1.fullmatch(revision):
        raise DownloadError(f"The hub names no revision of {name!r}, so its files could not be fetched consistently.")
    return RemoteRepository(name, revision, files)


def _remote_file(entry: dict[str, Any]) -> RemoteFile:
    large = entry.get("lfs") or {}
    size = large.get("size", entry.get("size"))
    sha256 = str(large.get("sha256", ""))
    git_sha1 = "" if large else str(entry.get("blobId", ""))
    return RemoteFile(
        name=str(entry["rfilename"]),
        size=size if isinstance(size, int) and size >= 0 else None,
        sha256=sha256 if _SHA256.fullmatch(sha256) else None,
        git_sha1=git_sha1 if _SHA1.fullmatch(git_sha1) else None,
    )


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects between web servers, never from an encrypted connection to an open one."""

    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        scheme = urlsplit(newurl).scheme
        if scheme != "https" and (scheme != "http" or req.type == "https"):
            raise DownloadError(f"The hub redirects to a {scheme!r} address, which is not followed.")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener() -> urllib.request.OpenerDirector:
    # The default opener would also read file: and ftp: addresses.
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        _Redirects(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    return opener


def _default_endpoint() -> str:
    from huggingface_hub import constants  # names the public hub, and the mirror that HF_ENDPOINT names

    if hub_is_forbidden():
        raise OfflineError("HF_HUB_OFFLINE forbids asking the hub. Put the model into models_dir, or unset it.")
    return constants.ENDPOINT

"""A hub on this machine, for tests of what downloads: a real HTTP server that fails on demand.

It lists repositories, redirects to where the bytes are, continues in the middle of a file, breaks connections and
changes bytes, all as its fields say at that moment.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar
from urllib.parse import unquote, urlsplit

REVISION = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class HubStandIn:
    """What the server holds and how it behaves; tests change it between requests.

    Attributes:
        repositories: files of each repository.
        cuts: one number for each coming answer with a file's bytes: so many are sent, then the connection breaks.
        statuses: answers of the coming requests, before anything is looked at.
        ranges: whether it continues in the middle of a file.
        corrupt: a byte of every file is changed on the way.
        listing: sent in the place of every listing.
        redirect_to: where every file is redirected to.
        before_bytes: called by the server before it sends a file's bytes.
        requests: what was asked so far: path and Range header.
        headers: the headers of the last request.
        endpoint: its address.
    """

    repositories: dict[str, dict[str, bytes]] = field(default_factory=dict)
    cuts: list[int] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    ranges: bool = True
    corrupt: bool = False
    listing: bytes | None = None
    redirect_to: str = ""
    before_bytes: Callable[[], object] = lambda: None
    requests: list[tuple[str, str]] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    endpoint: str = ""

    @property
    def file_requests(self) -> list[tuple[str, str]]:
        """Requests that reached a file's bytes: name and Range header."""
        return [(path.rpartition("/")[2], span) for path, span in self.requests if path.startswith("/storage/")]


class _Handler(BaseHTTPRequestHandler):
    hub: ClassVar[HubStandIn]
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.requests.append((path, self.headers.get("Range", "")))
        self.hub.headers = dict(self.headers)
        if self.hub.statuses:
            return self._answer(self.hub.statuses.pop(0))
        if listing := re.fullmatch(r"/api/models/([^/]+/[^/]+)/revision/main", path):
            return self._list(listing[1])
        if resolved := re.fullmatch(rf"/([^/]+/[^/]+)/resolve/{REVISION}/(.+)", path):
            return self._redirect(*resolved.groups())
        if stored := re.fullmatch(r"/storage/([^/]+/[^/]+)/(.+)", path):
            return self._send(self.hub.repositories[stored[1]][stored[2]])
        return self._answer(404)

    def _list(self, repository: str) -> None:
        if self.hub.listing is not None:
            return self._answer(200, self.hub.listing)
        if repository not in self.hub.repositories:
            return self._answer(401)
        siblings = []
        for name, data in self.hub.repositories[repository].items():
            entry: dict[str, object] = {"rfilename": name, "size": len(data)}
            if name.endswith((".gguf", ".safetensors", ".bin")):
                digest = hashlib.sha256(data).hexdigest()
                entry["lfs"] = {"sha256": digest, "size": len(data), "pointerSize": 130}
                entry["blobId"] = "f" * 40
            else:
                entry["blobId"] = _git_sha1(data)
            siblings.append(entry)
        return self._answer(200, json.dumps({"id": repository, "sha": REVISION, "siblings": siblings}).encode())

    def _redirect(self, repository: str, name: str) -> None:
        if name not in self.hub.repositories.get(repository, {}):
            return self._answer(404)
        self.send_response(302)
        self.send_header("Location", self.hub.redirect_to or f"/storage/{repository}/{name}")
        self.send_header("Content-Length", "0")
        return self.end_headers()

    def _send(self, data: bytes) -> None:
        start = 0
        if self.hub.corrupt:
            data = data[:-1] + bytes([data[-1] ^ 1])
        if span := re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", "")) if self.hub.ranges else None:
            start = int(span[1])
            if start >= len(data):
                return self._answer(416)
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        self.hub.before_bytes()
        if self.hub.cuts:
            self.wfile.write(data[start : start + self.hub.cuts.pop(0)])
            self.close_connection = True
            return None
        self.wfile.write(data[start:])
        return None

    def _answer(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing; tests look at `requests`."""


def _git_sha1(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        # A client that goes away in the middle is what many tests are about.
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


@contextmanager
def running_hub() -> Iterator[HubStandIn]:
    """A stand-in that answers at its `endpoint` while the block runs."""
    stand_in = HubStandIn()
    handler = type("Handler", (_Handler,), {"hub": stand_in})
    with _Server(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        stand_in.endpoint = f"http://127.0.0.1:{server.server_port}"
        try:
            yield stand_in
        finally:
            server.shutdown()
            thread.join()

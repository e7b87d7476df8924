"""The search services on this machine: a proxy that answers in their place, over TLS, under their own addresses.

The real clients ask the real addresses through it; nothing in them is patched. It writes down who was asked for, so a
test can say that nobody else was.
"""

from __future__ import annotations

import asyncio
import ssl
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest

from llm.tools import web_policy

CERTIFICATES = Path(__file__).parent / "certificates"


@dataclass(frozen=True)
class Asked:
    """One request: host, path, and its parameters from the address or the form."""

    host: str
    path: str
    parameters: dict[str, str] = field(repr=False)


@dataclass
class SearchServices:
    """What the stand-in answers; tests change it between requests.

    Attributes:
        status, page: answer to every request without one of its own.
        pages: answers by path.
        asked: every request so far.
        connections: every host that a connection was asked for.
        silent: requests get no answer until `released` is set.
        refuses: the proxy opens no connections.
        proxy: its address.
    """

    status: int = 200
    page: str = ""
    pages: dict[str, tuple[int, str]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    connections: list[str] = field(default_factory=list)
    silent: bool = False
    released: threading.Event = field(default_factory=threading.Event)
    refuses: bool = False
    proxy: str = ""
    authority: str = str(CERTIFICATES / "authority.pem")


class _Handler(BaseHTTPRequestHandler):
    services: ClassVar[SearchServices]
    context: ClassVar[ssl.SSLContext]
    protocol_version = "HTTP/1.1"
    host = ""

    def do_CONNECT(self) -> None:
        self.host = self.path.partition(":")[0]
        self.services.connections.append(self.host)
        if self.services.refuses:
            return self._send(502, b"")
        self.send_response(200)
        self.end_headers()
        self.connection = self.context.wrap_socket(self.connection, server_side=True)
        self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", buffering=0)
        self.close_connection = False
        return None

    def do_GET(self) -> None:
        self._answer(urlsplit(self.path).query)

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode())

    def _answer(self, parameters: str) -> None:
        path = urlsplit(self.path).path
        values = {name: texts[0] for name, texts in parse_qs(parameters, keep_blank_values=True).items()}
        self.services.asked.append(Asked(self.host, path, values))
        if self.services.silent:
            self.services.released.wait(30)
        status, page = self.services.pages.get(path, (self.services.status, self.services.page))
        self._send(status, page.encode())

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def finish(self) -> None:
        super().finish()
        self.connection.close()

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing; tests look at `asked`."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        # A client that goes away, or that does not trust the certificate, is what some tests are about.
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def undecided(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test begins in a process that has decided nothing about web access, and leaves none."""
    monkeypatch.setattr(web_policy, "_access", None)


@pytest.fixture
def until() -> Callable[[Callable[[], bool]], Awaitable[None]]:
    """`await until(condition)`: give way to other tasks and threads until it holds; who waits in vain fails."""

    async def give_way(condition: Callable[[], bool]) -> None:
        for _ in range(20_000):
            if condition():
                return
            await asyncio.sleep(0.0005)
        raise AssertionError("what was waited for did not happen")

    return give_way


@pytest.fixture
def services(monkeypatch: pytest.MonkeyPatch) -> Iterator[SearchServices]:
    """Both services behind a proxy. SerpAPI's client finds it by the usual variables; DuckDuckGo's tool is told."""
    services = SearchServices()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATES / "services.pem")
    handler = type("Handler", (_Handler,), {"services": services, "context": context})
    with _Server(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        services.proxy = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setenv("HTTPS_PROXY", services.proxy)
        monkeypatch.setenv("https_proxy", services.proxy)
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", services.authority)
        try:
            yield services
        finally:
            services.released.set()
            server.shutdown()
            thread.join()

"""The process that reads documents can die, hang or run out of memory; the caller gets an error and goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from llm import exceptions
from llm.document import DocumentLimits, DocumentLoader
from llm.document.conversion_options import ConversionOptions
from llm.document.conversion_process import ConversionProcess
from llm.lockdown import can_lock_down

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals are told apart on POSIX systems")


_before: set[int] = set()


@pytest.fixture(autouse=True)
def _others() -> None:
    """Loaders of other tests may have processes of their own."""
    _before.clear()
    _before.update(child.pid for child in psutil.Process().children(recursive=True))


def children() -> set[int]:
    return {child.pid for child in psutil.Process().children(recursive=True)} - _before


def test_a_crash_costs_one_document() -> None:
    """The error names the signal."""
    process = ConversionProcess(DocumentLimits(), ConversionOptions())
    try:
        os.kill(process.pid, signal.SIGSEGV)
        with pytest.raises(exceptions.ConversionCrashedError, match="SIGSEGV"):
            process.convert(b"hello", "txt", filename="a.txt")
        assert not process.alive
    finally:
        process.close()


def test_after_a_crash_the_next_document_is_read() -> None:
    """A process that died is replaced."""
    with DocumentLoader() as loader:
        loader.load_bytes(b"one", "a.txt")
        (first,) = children()
        os.kill(first, signal.SIGKILL)
        psutil.wait_procs([psutil.Process(first)] if psutil.pid_exists(first) else [], timeout=10)
        assert loader.load_bytes(b"two", "a.txt").text.strip() == "two"
        assert first not in children()


def test_a_hang_ends_at_the_time_limit() -> None:
    """The error comes within two seconds of the limit, and the next document is read."""
    with DocumentLoader(limits=DocumentLimits(timeout=1.0)) as loader:
        loader.load_bytes(b"one", "a.txt")
        (first,) = children()
        os.kill(first, signal.SIGSTOP)
        began = time.monotonic()
        with pytest.raises(exceptions.DocumentTimeoutError, match="timeout") as info:
            loader.load_bytes(b"two", "b.txt")
        assert time.monotonic() - began < 3.0
        assert info.value.filename == "b.txt"
        assert loader.load_bytes(b"three", "c.txt").text.strip() == "three"
        assert first not in children()


def test_too_little_memory() -> None:
    """What would fill the machine's memory is refused, and the next document is read."""
    with DocumentLoader(limits=DocumentLimits(max_memory=30_000_000)) as loader:
        rows = b"a,b,c\n" * 3_000_000
        with pytest.raises(exceptions.DocumentTooLargeError) as info:
            loader.load_bytes(rows, "large.csv")
        assert info.value.limit == "max_memory"
        assert loader.load_bytes(b"next", "b.txt").text.strip() == "next"


def test_many_threads_share_one_process() -> None:
    """Each gets its own document's text, and one process is enough."""
    with DocumentLoader() as loader, ThreadPoolExecutor(8) as threads:
        texts = threads.map(lambda n: loader.load_bytes(f"text {n}".encode(), f"{n}.txt").text.strip(), range(100))
        assert list(texts) == [f"text {n}" for n in range(100)]
        assert len(children()) == 1


def test_several_processes_read_at_once() -> None:
    """As many as were asked for, and no more."""
    together = threading.Barrier(2, timeout=60)
    with DocumentLoader(processes=2) as loader, ThreadPoolExecutor(2) as threads:

        def load(number: int) -> str:
            with loader._processes.one() as process:
                together.wait()
                _, body = process.convert(b"text", "txt", filename=f"{number}.txt")
            return body.decode()

        assert list(threads.map(load, range(2))) == ["text\n\n", "text\n\n"]
        assert repr(loader) == "<DocumentLoader open, 2 of 2 processes>"


def test_closing_ends_the_process_and_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A closed loader says so, and leaves nothing behind."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    loader = DocumentLoader()
    loader.load_bytes(b"one", "a.txt")
    (child,) = children()
    (folder,) = tmp_path.iterdir()
    assert folder.stat().st_mode & 0o777 == 0o700
    loader.close()
    loader.close()
    assert not psutil.pid_exists(child)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(exceptions.DocumentLoaderClosedError):
        loader.load_bytes(b"two", "a.txt")


def test_a_loader_that_is_dropped_ends_its_process() -> None:
    """Forgetting to close leaves no process behind."""
    loader = DocumentLoader()
    loader.load_bytes(b"one", "a.txt")
    (child,) = children()
    del loader
    assert not psutil.pid_exists(child)


def test_closing_ends_what_is_being_read() -> None:
    """A thread that waits for a hanging document gets an error at once, and those in turn too."""
    loader = DocumentLoader()
    loader.load_bytes(b"one", "a.txt")
    (child,) = children()
    os.kill(child, signal.SIGSTOP)
    with ThreadPoolExecutor(2) as threads:
        waiting = [threads.submit(loader.load_bytes, b"two", "b.txt") for _ in range(2)]
        while not loader._processes._busy:
            threading.Event().wait(0.01)
        loader.close()
        errors = {type(future.exception(timeout=30)) for future in waiting}
    assert errors == {exceptions.ConversionCrashedError, exceptions.DocumentLoaderClosedError}


def test_a_dead_parent_leaves_no_child_behind(tmp_path: Path) -> None:
    """The process ends when its parent is killed, and takes its folder along."""
    program = (
        "import os, sys, tempfile; tempfile.tempdir = sys.argv[1]\n"
        "from llm.document.document_loader import DocumentLoader\n"
        "loader = DocumentLoader(); loader.load_bytes(b'one', 'a.txt')\n"
        "print(loader._processes._idle[0].pid, flush=True); sys.stdin.read()"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
        text=True,
    )
    with parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
        parent.wait()
        _, alive = psutil.wait_procs([child], timeout=30)
    assert alive == []
    assert list(tmp_path.iterdir()) == []


def test_a_process_is_replaced_after_many_documents(monkeypatch: pytest.MonkeyPatch) -> None:
    """What parsers leak does not add up."""
    monkeypatch.setattr("llm.document.document_loader.DOCUMENTS_PER_PROCESS", 2)
    with DocumentLoader() as loader:
        seen: list[int] = []
        for _ in range(4):
            with loader._processes.one() as process:
                process.convert(b"text", "txt", filename="a.txt")
                seen.append(process.pid)
        assert seen[0] == seen[1] != seen[2] == seen[3]


def test_the_process_asks_nobody() -> None:
    """A parser that tries to connect is refused by its own process."""
    program = (
        "import sys, socket\n"
        "from llm.document import conversion_worker\n"
        "sys.addaudithook(conversion_worker._refuse_connections)\n"
        "connect, look_up = lambda: socket.create_connection(('127.0.0.1', 9)), lambda: socket.getaddrinfo('a.b', 80)\n"
        "for call in (connect, look_up):\n"
        "    try:\n        call()\n"
        "    except PermissionError:\n        print('refused')\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2]
    )
    assert result.stdout == "refused\nrefused\n"


def test_limits_are_checked() -> None:
    """A limit that makes no sense names itself."""
    for name, value in (("timeout", 0), ("timeout", float("nan")), ("max_pages", 0), ("max_memory", 1.5)):
        with pytest.raises(exceptions.ConfigError, match=name):
            replace(DocumentLimits(), **{name: value})
    for processes in (0, 65, True):
        with pytest.raises(exceptions.ConfigError, match="processes"):
            DocumentLoader(processes=processes)
    with pytest.raises(exceptions.ConfigError, match="encoding"):
        DocumentLoader(encoding="no such encoding")
    with pytest.raises(exceptions.ConfigError, match="artifacts_path"):
        DocumentLoader(artifacts_path="/no/such/folder")


@pytest.mark.skipif(not can_lock_down(), reason="seccomp is for Linux")
def test_the_kernel_refuses_it_the_network() -> None:
    """The process runs under a filter, so native code in a parser gets no socket either."""
    with DocumentLoader() as loader:
        loader.load_bytes(b"one", "a.txt")
        (child,) = children()
        status = Path(f"/proc/{child}/status").read_text()
    assert "\nSeccomp:\t2\n" in status
    assert "\nNoNewPrivs:\t1\n" in status

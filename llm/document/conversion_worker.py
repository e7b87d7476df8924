"""The conversion process: reads documents from its standard input and answers on its standard output.

It is started by `conversion_process` and ends with its parent, whatever it is doing then. A document that crashes,
hangs or bloats it costs that document and nothing else. It asks nobody outside: connections are refused, and what the
parsers print goes nowhere, because it may quote the document.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import queue
import shutil
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from ..exceptions import (
    DocumentDamagedError,
    DocumentError,
    DocumentTooLargeError,
    PrivacyError,
    UnsupportedDocumentError,
)
from ..lockdown import can_lock_down, lock_down
from .conversion import Converters, check
from .conversion_options import ConversionOptions
from .frames import read_frame, write_frame
from .limits import DocumentLimits
from .pieces import compose

if sys.platform != "win32":
    import resource

_LARGEST_FILE = 1_000_000_000  # bytes that a parser may write into the private folder
_M_ARENA_MAX = -8
# Nothing is downloaded, whatever a parser believes it needs; threads that wait do not spin.
_ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
    "OMP_THREAD_LIMIT": "2",
    "OMP_NUM_THREADS": "2",
    "OPENBLAS_NUM_THREADS": "1",
}
_FOR_MODELS = ("torch", "torchvision", "transformers")
_REFUSED = frozenset(
    ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "socket.sendmsg", "socket.bind")
)


def main(folder: str) -> None:
    """Serve until the parent is gone.

    Args:
        folder: the private folder; the working directory, too. It is removed at the end.
    """
    answers = _take_over_standard_output()
    for name in [name for name in os.environ if name.startswith("DOCLING_")]:
        del os.environ[name]  # Docling would follow them; what it does is decided by the loader alone
    os.environ.update(_ENVIRONMENT, TMPDIR=folder, TEMP=folder, TMP=folder)
    sys.addaudithook(_refuse_connections)
    _lock_down()
    _limit_process()
    messages = _receive(sys.stdin.buffer, Path(folder))
    settings, _ = messages.get()
    limits = DocumentLimits(**settings["limits"])
    options = ConversionOptions(**{**settings["options"], "ocr_languages": tuple(settings["options"]["ocr_languages"])})
    if options.artifacts_path is None:
        # Docling imports them where they are installed, for models that are not used here, and that takes ten seconds.
        sys.modules.update(dict.fromkeys(_FOR_MODELS))  # type: ignore[arg-type]
    converters = Converters(limits, options)
    write_frame(answers, {"ready": True})
    while True:
        request, data = messages.get()
        header, body = _answer(converters, limits, request, data, answers)
        write_frame(answers, header, body)


def _answer(
    converters: Converters, limits: DocumentLimits, request: dict[str, Any], data: bytes, answers: BinaryIO
) -> tuple[dict[str, Any], bytes]:
    """The last message about a document. Before it go `checked` and `prepared`, because each step has its own time."""
    filename, file_type = request["filename"], request["file_type"]
    try:
        with _costs_at_most(limits):
            check(data, file_type, limits, filename=filename)
        write_frame(answers, {"checked": True})
        converter = converters.of(file_type)
        write_frame(answers, {"prepared": True})
        with _costs_at_most(limits):
            conversion = converter.convert(data, file_type, filename=filename)
            text, items = compose(conversion.pieces, max_characters=limits.max_text_characters, filename=filename)
            header = {
                "items": [[item.kind, item.start, item.end, item.page, item.part, item.level] for item in items],
                "page_count": conversion.page_count,
                "complete": conversion.complete,
                "warnings": list(conversion.warnings),
                "busy": conversion.busy,
            }
            return header, text.encode("utf-8")
    except MemoryError:
        error: DocumentError = DocumentTooLargeError(
            f"Reading {filename!r} takes more than {limits.max_memory} bytes of memory (max_memory).",
            filename=filename,
            limit="max_memory",
        )
    except DocumentError as exc:
        error = exc
    except ImportError as exc:
        error = UnsupportedDocumentError(
            f"{filename!r} cannot be read: {exc.name!r} is not installed. Install practorflow with its dependencies.",
            filename=filename,
        )
    except RecursionError:
        error = DocumentDamagedError(f"{filename!r} is nested too deeply to be read.", filename=filename)
    except Exception as exc:
        # The parser's own message may quote the document.
        error = DocumentDamagedError(
            f"{filename!r} is damaged, or its parser has a fault ({type(exc).__name__}). Save or copy it again.",
            filename=filename,
        )
    return {"error": type(error).__name__, "message": str(error), "limit": getattr(error, "limit", None)}, b""


def _take_over_standard_output() -> BinaryIO:
    """The stream of answers; what anybody prints from now on goes nowhere."""
    answers = os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    return answers


def _receive(stream: BinaryIO, folder: Path) -> queue.SimpleQueue[tuple[dict[str, Any], bytes]]:
    """Messages as they come. Reading in a thread of its own notices at once that the parent is gone."""
    messages: queue.SimpleQueue[tuple[dict[str, Any], bytes]] = queue.SimpleQueue()

    def read() -> None:
        while True:
            try:
                messages.put(read_frame(stream, max_body=sys.maxsize))
            except (EOFError, ValueError, OSError):
                _leave(folder)

    threading.Thread(target=read, name="messages", daemon=True).start()
    return messages


def _leave(folder: Path) -> NoReturn:
    """End at once, with everything that was started here."""
    shutil.rmtree(folder, ignore_errors=True)
    if sys.platform != "win32" and os.getpgid(0) == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(0)


def _refuse_connections(event: str, _arguments: object) -> None:
    if event in _REFUSED:
        raise PermissionError("a conversion process asks nobody")


def _lock_down() -> None:
    """The hook does not see native code; the kernel does."""
    if can_lock_down():
        # Where a container forbids filters, the hook refuses connections all the same.
        with contextlib.suppress(PrivacyError):
            lock_down(allow_open_sockets=True)


def _limit_process() -> None:
    if sys.platform == "win32":
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold the document
    resource.setrlimit(resource.RLIMIT_FSIZE, (_LARGEST_FILE, _LARGEST_FILE))
    with contextlib.suppress(OSError, AttributeError):
        # Each thread would reserve 64 MB of addresses, which the limit of memory counts.
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 2)


@contextlib.contextmanager
def _costs_at_most(limits: DocumentLimits) -> Iterator[None]:
    """Within the block, the process may take `max_memory` bytes more than it has, and a share of the processor.

    Linux alone says how much memory it has. The processor's limit ends what the parent cannot end because it is dead.
    """
    statm = Path("/proc/self/statm")
    if sys.platform == "win32" or not statm.exists():
        yield
        return
    usage = resource.getrusage(resource.RUSAGE_SELF)
    seconds = int(usage.ru_utime + usage.ru_stime + (limits.timeout + 10) * (os.cpu_count() or 1)) + 1
    _, hard_seconds = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, hard_seconds))
    has = int(statm.read_text("ascii").split()[0]) * resource.getpagesize()
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (has + limits.max_memory, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (hard, hard))

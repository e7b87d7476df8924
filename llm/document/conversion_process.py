"""The parent's side of one conversion process: start it, give it documents, end it.

Invariant: whatever a document does to the process, `convert` returns or raises within its time limit and a moment, and
a process that did not answer properly is ended with everything it started.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO, cast

from .. import exceptions
from ..exceptions import (
    ConversionCrashedError,
    DocumentError,
    DocumentTimeoutError,
    DocumentTooLargeError,
)
from .conversion_options import ConversionOptions
from .file_type import FileType
from .frames import read_frame, write_frame
from .limits import DocumentLimits

START_TIMEOUT = 120.0  # seconds; importing the parsers from a slow disk can take a while
FAREWELL = 2.0  # seconds
_PROGRAM = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from llm.document.conversion_worker import main; main(sys.argv[2])"
)


class ConversionProcess:
    """A running conversion process. Used by one thread at a time.

    Args:
        limits: what a document may cost.
        options: how documents are read.

    Raises:
        ConversionCrashedError: it could not be started.
    """

    def __init__(self, limits: DocumentLimits, options: ConversionOptions) -> None:
        self._limits = limits
        self.served = 0
        self._prepared: set[FileType] = set()
        self._folder = Path(tempfile.mkdtemp(prefix="practorflow-"))
        # Relative entries of the path mean this process's working directory, not the child's.
        path = [os.path.abspath(entry) for entry in sys.path]
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _PROGRAM, json.dumps(path), str(self._folder)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                cwd=self._folder,
                start_new_session=True,
            )
        except OSError as exc:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise ConversionCrashedError(f"No process for reading documents could be started: {exc.strerror}.") from exc
        self._to_child = cast(BinaryIO, self._process.stdin)
        self._from_child = cast(BinaryIO, self._process.stdout)
        with self._exchange("", START_TIMEOUT):
            write_frame(self._to_child, {"limits": asdict(limits), "options": asdict(options)})
            read_frame(self._from_child, max_body=0)

    @property
    def alive(self) -> bool:
        """Whether it can take another document."""
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        """Its number in the system."""
        return self._process.pid

    def convert(self, data: bytes, file_type: FileType, *, filename: str) -> tuple[dict[str, Any], bytes]:
        """Have a document read.

        Returns:
            What the process found: items, page_count, complete and warnings; and the text in UTF-8.

        Raises:
            DocumentTimeoutError: the time limit has passed.
            ConversionCrashedError: the process died.
            DocumentError: what the process says is wrong with the document.
        """
        with self._exchange(filename, self._limits.timeout):
            write_frame(self._to_child, {"file_type": file_type, "filename": _written(filename)}, data)
            header, body = read_frame(self._from_child, max_body=0)
        if "checked" in header:
            # Loading a parser's library is not the document's fault; it happens once.
            with self._exchange(filename, self._limits.timeout if file_type in self._prepared else START_TIMEOUT):
                header, body = read_frame(self._from_child, max_body=0)
            self._prepared.add(file_type)
        if "prepared" in header:
            with self._exchange(filename, self._limits.timeout):
                # A character takes four bytes at most.
                header, body = read_frame(self._from_child, max_body=4 * self._limits.max_text_characters + 4)
        self.served += 1
        if header.get("busy"):
            self.kill()
        if "error" not in header:
            return header, body
        if header.get("limit") == "max_memory":
            # What else did not get its memory is unknown.
            self.kill()
        raise _error(header, filename)

    def close(self) -> None:
        """End it, and wait until it has ended. A second call does nothing."""
        with contextlib.suppress(OSError):
            self._to_child.close()
        try:
            self._process.wait(FAREWELL)
        except subprocess.TimeoutExpired:
            self.kill()
        self._from_child.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def kill(self) -> None:
        """End it at once, with everything it started."""
        if self._process.poll() is None:
            if sys.platform == "win32":
                self._process.kill()
            else:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    @contextlib.contextmanager
    def _exchange(self, filename: str, timeout: float) -> Iterator[None]:
        """Within the block, the process has `timeout` seconds to answer; if it does not, it is killed."""
        late = threading.Event()

        def end() -> None:
            late.set()
            self.kill()

        timer = threading.Timer(timeout, end)
        timer.daemon = True
        timer.start()
        try:
            yield
        except (EOFError, OSError, ValueError, RecursionError) as exc:
            self.kill()
            if late.is_set():
                raise DocumentTimeoutError(
                    f"Reading {filename!r} took longer than {timeout:g} seconds (timeout) and was stopped. Raise the "
                    "limit or split the document.",
                    filename=filename,
                ) from exc
            raise ConversionCrashedError(
                f"The process that read {filename!r} died of it ({self._end()}). Other documents are not affected.",
                filename=filename,
            ) from exc
        except BaseException:
            # Somebody interrupts: what the process answers later would be taken for the next document's answer.
            self.kill()
            raise
        finally:
            timer.cancel()

    def _end(self) -> str:
        code = self._process.poll()
        if code is None or code >= 0:
            return f"exit code {code}"
        try:
            return signal.Signals(-code).name
        except ValueError:
            return f"signal {-code}"


def _written(filename: str) -> str:
    """The name as it may stand in a message: a name that is no text becomes one."""
    return filename.encode("utf-8", "replace").decode("utf-8")


def _error(header: dict[str, Any], filename: str) -> DocumentError:
    kind = getattr(exceptions, str(header["error"]), None)
    if not (isinstance(kind, type) and issubclass(kind, DocumentError)):
        return ConversionCrashedError(f"The process that read {filename!r} answered nonsense.", filename=filename)
    if issubclass(kind, DocumentTooLargeError):
        return kind(str(header["message"]), filename=filename, limit=str(header.get("limit") or ""))
    return kind(str(header["message"]), filename=filename)

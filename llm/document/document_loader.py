"""Files in, text out: the public face of reading documents.

The caller's process only looks at a file's first bytes; what parses it is a process of its own that is kept between
documents, replaced when a document has killed it, and ended with the loader.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import TracebackType

from ..exceptions import ConfigError, DocumentLoaderClosedError
from ..logs import DOCUMENT, get_logger
from .conversion_options import ConversionOptions
from .conversion_process import ConversionProcess
from .document import DocumentItem, LoadedDocument
from .document_source import base_name, read_file, too_large
from .file_type import FileType, recognise
from .layout_models import layout_engine
from .limits import DocumentLimits

DOCUMENTS_PER_PROCESS = 200  # what parsers leak is given back after so many

log = get_logger(DOCUMENT)


class DocumentLoader:
    """Reads PDF, Word, PowerPoint, Excel, HTML, Markdown, CSV and text files, and images.

    Any number of threads may use it; as many documents as there are processes are read at once, and the others wait in
    turn. The first document starts a process, which takes seconds.

        with DocumentLoader() as loader:
            document = loader.load_file("report.pdf")

    Args:
        limits: what one document may cost.
        encoding: of text files that are not UTF-8 and do not say what they are, such as "cp1252"; None refuses them.
        artifacts_path: folder of Docling's layout models; None reads PDF files by the geometry of their lines.
        ocr: whether text is read off images and off pages that have none, where an OCR engine is installed.
        ocr_languages: as tesseract names them.
        processes: documents that are read at once.

    Raises:
        ConfigError: names the field, its value and what is allowed.
    """

    def __init__(
        self,
        *,
        limits: DocumentLimits | None = None,
        encoding: str | None = None,
        artifacts_path: str | os.PathLike[str] | None = None,
        ocr: bool = True,
        ocr_languages: tuple[str, ...] = ("eng",),
        processes: int = 1,
    ) -> None:
        if isinstance(processes, bool) or not isinstance(processes, int) or not 1 <= processes <= 64:
            raise ConfigError("processes", processes, "a whole number from 1 to 64")
        if encoding is not None:
            _check_encoding(encoding)
        if artifacts_path is not None:
            layout_engine(os.fspath(artifacts_path))
        self._limits = limits or DocumentLimits()
        self._options = ConversionOptions(
            encoding=encoding,
            artifacts_path=None if artifacts_path is None else os.path.abspath(artifacts_path),
            ocr=ocr,
            ocr_languages=tuple(ocr_languages),
        )
        self._processes = _Processes(self._limits, self._options, processes)
        # A loader that is dropped, or lives when the program ends, leaves no process behind.
        self._finalizer = weakref.finalize(self, self._processes.close)

    def load_file(self, path: str | os.PathLike[str]) -> LoadedDocument:
        """Read a file of this machine. Waits; call it from a worker thread where an event loop runs.

        Args:
            path: of a regular file; links and addresses are refused.

        Raises:
            DocumentError: one of its kinds, which says what is wrong; nothing is returned in part.
        """
        data, filename = read_file(path, max_size=self._limits.max_file_size)
        return self._load(data, filename)

    def load_bytes(self, data: bytes, filename: str) -> LoadedDocument:
        """Read a document that is in memory.

        Args:
            data: the content of the file.
            filename: its name, which has to say what kind of file it is; otherwise it is only data.

        Raises:
            DocumentError: as for `load_file`.
        """
        filename = base_name(filename)
        if len(data) > self._limits.max_file_size:
            raise too_large(filename, self._limits.max_file_size)
        return self._load(bytes(data), filename)

    def close(self) -> None:
        """End the processes. Documents that are being read are given up; a second call does nothing."""
        self._finalizer()

    def __enter__(self) -> DocumentLoader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "open" if self._finalizer.alive else "closed"
        return f"<DocumentLoader {state}, {self._processes.count} of {self._processes.most} processes>"

    def _load(self, data: bytes, filename: str) -> LoadedDocument:
        file_type = recognise(data, filename)
        began = time.monotonic()
        with self._processes.one() as process:
            header, body = process.convert(data, file_type, filename=filename)
        document = _document(header, body, data, filename, file_type)
        log.info(
            "%s: %d characters, %d items in %.2f s%s",
            filename,
            len(document.text),
            len(document.items),
            time.monotonic() - began,
            "" if document.complete else ", incomplete",
        )
        return document


class _Processes:
    """At most `most` conversion processes, each used by one thread at a time."""

    def __init__(self, limits: DocumentLimits, options: ConversionOptions, most: int) -> None:
        self.most = most
        self._limits = limits
        self._options = options
        self._free = threading.Condition()
        self._idle: list[ConversionProcess] = []
        self._busy: list[ConversionProcess] = []
        self._starting = 0
        self._closed = False

    @property
    def count(self) -> int:
        """Processes that there are."""
        return len(self._idle) + len(self._busy) + self._starting

    @contextmanager
    def one(self) -> Iterator[ConversionProcess]:
        """A process for one document; waits for its turn."""
        process = self._take()
        try:
            yield process
        finally:
            self._give_back(process)

    def close(self) -> None:
        """End them all, and let nobody wait any more."""
        with self._free:
            self._closed = True
            idle, self._idle = self._idle, []
            busy = list(self._busy)
            self._free.notify_all()
        for process in busy:
            process.kill()  # its thread gets an error and puts the rest in order
        for process in idle:
            process.close()

    def _take(self) -> ConversionProcess:
        with self._free:
            while not self._closed and not self._idle and self.count >= self.most:
                self._free.wait()
            self._check_open()
            died = [process for process in self._idle if not process.alive]
            self._idle = [process for process in self._idle if process.alive]
            if self._idle:
                process = self._idle.pop()
                self._busy.append(process)
                return process
            self._starting += 1
        for process in died:
            process.close()
        try:
            process = ConversionProcess(self._limits, self._options)
        except BaseException:
            with self._free:
                self._starting -= 1
                self._free.notify()
            raise
        with self._free:
            self._starting -= 1
            self._busy.append(process)
            closed = self._closed
        if closed:
            self._give_back(process)
        self._check_open()
        return process

    def _give_back(self, process: ConversionProcess) -> None:
        with self._free:
            self._busy.remove(process)
            keep = process.alive and not self._closed and process.served < DOCUMENTS_PER_PROCESS
            if keep:
                self._idle.append(process)
            self._free.notify()
        if not keep:
            process.close()

    def _check_open(self) -> None:
        if self._closed:
            raise DocumentLoaderClosedError("The document loader was closed; make another one.")


def _document(
    header: dict[str, object], body: bytes, data: bytes, filename: str, file_type: FileType
) -> LoadedDocument:
    items = header["items"]
    assert isinstance(items, list)
    document = LoadedDocument(
        filename=filename,
        file_type=file_type,
        text=body.decode("utf-8"),
        items=tuple(DocumentItem(*item) for item in items),
        page_count=header["page_count"],  # type: ignore[arg-type]
        sha256=hashlib.sha256(data).hexdigest(),
        complete=bool(header["complete"]),
        warnings=tuple(header["warnings"]),  # type: ignore[arg-type]
    )
    if not document.items:
        missing = "No text was found in the document."
        return replace(document, warnings=(*document.warnings, missing)) if document.complete else document
    return document


def _check_encoding(encoding: str) -> None:
    try:
        "".encode(encoding)
    except (LookupError, TypeError):
        raise ConfigError(
            "encoding", encoding, "the name of an encoding, such as 'cp1252' (KB_TEXT_ENCODING)"
        ) from None

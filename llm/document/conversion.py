"""One document's conversion, as the conversion process does it: from bytes to pieces.

The converters are made when they are first needed and kept, because their libraries take seconds to load.
"""

from __future__ import annotations

from typing import Protocol

from .archive import check_archive
from .conversion_options import ConversionOptions
from .file_type import OFFICE, FileType
from .limits import DocumentLimits
from .nesting import check_nesting
from .pieces import Conversion
from .plain_text import csv_pieces, text_pieces
from .text_decoding import decode


class Converter(Protocol):
    """What converts files of some kinds."""

    def convert(self, data: bytes, file_type: FileType, *, filename: str) -> Conversion:
        """Read one document; raises errors of our tree where it knows what is wrong."""


class Converters:
    """The converters of one process.

    Args:
        limits: what a document may cost.
        options: how documents are read.
    """

    def __init__(self, limits: DocumentLimits, options: ConversionOptions) -> None:
        self._limits = limits
        self._options = options
        self._text = TextConverter(options.encoding)
        self._office: Converter | None = None
        self._paged: Converter | None = None

    def of(self, file_type: FileType) -> Converter:
        """The converter for files of this kind. The first call for one may take seconds."""
        if file_type in ("txt", "csv"):
            return self._text
        if file_type in ("pdf", "image"):
            if self._paged is None:
                from .pdf import PdfConverter

                self._paged = PdfConverter(self._limits, self._options)
            return self._paged
        if self._office is None:
            from .office import OfficeConverter

            self._office = OfficeConverter(self._options)
        return self._office


class TextConverter:
    """Plain text and comma-separated values."""

    def __init__(self, encoding: str | None) -> None:
        self._encoding = encoding

    def convert(self, data: bytes, file_type: FileType, *, filename: str) -> Conversion:
        """Read a text file."""
        text = decode(data, filename=filename, fallback=self._encoding)
        return Conversion(tuple(text_pieces(text) if file_type == "txt" else csv_pieces(text)))


def check(data: bytes, file_type: FileType, limits: DocumentLimits, *, filename: str) -> None:
    """Refuse what can be refused before its parser sees it.

    Raises:
        DocumentError: what is wrong with it.
    """
    if file_type in OFFICE:
        check_archive(data, file_type, limits, filename=filename)
    elif file_type == "pdf":
        from .pdf_check import check_pdf

        check_pdf(data, limits, filename=filename)
    elif file_type == "image":
        from .image_check import check_image

        check_image(data, limits, filename=filename)
    elif file_type in ("html", "md"):
        check_nesting(data, filename=filename)

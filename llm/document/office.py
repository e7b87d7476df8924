"""Office documents, HTML and Markdown by Docling's parsers, which need no model."""

from __future__ import annotations

import codecs
import warnings
from io import BytesIO
from typing import Any

from docling.backend.docx.drawingml import utils as drawing
from docling.backend.msexcel_backend import MsExcelDocumentBackend
from docling.datamodel.backend_options import HTMLBackendOptions
from docling.datamodel.base_models import ConversionStatus, DocumentStream, InputFormat
from docling.datamodel.document import ConversionResult
from docling.document_converter import DocumentConverter, ExcelFormatOption, HTMLFormatOption

from ..exceptions import DocumentDamagedError, DocumentEmptyError, DocumentError, DocumentTooLargeError
from .conversion_options import ConversionOptions
from .docling_pieces import docling_pieces
from .file_type import FileType
from .pieces import Conversion
from .text_decoding import decode

_FORMATS: dict[FileType, InputFormat] = {
    "docx": InputFormat.DOCX,
    "pptx": InputFormat.PPTX,
    "xlsx": InputFormat.XLSX,
    "html": InputFormat.HTML,
    "md": InputFormat.MD,
}
_COUNTED: tuple[FileType, ...] = ("pptx", "xlsx")
_MOST_CELLS = 4_000_000  # between the first and the last that hold something; each is looked at
_SPREAD = "practorflow: cells far apart"
_NO_PAGES = "Document has 0 pages"


class _Sheets(MsExcelDocumentBackend):
    """Docling's reader of sheets, which makes a cell of every place between two that hold something."""

    def _find_true_data_bounds(self, *arguments: Any) -> Any:
        bounds = super()._find_true_data_bounds(*arguments)
        cells = (bounds.max_row - bounds.min_row + 1) * (bounds.max_col - bounds.min_col + 1)
        if cells > _MOST_CELLS:
            raise ValueError(_SPREAD)
        return bounds


def _no_program(*_arguments: object, **_options: object) -> None:
    return None


class OfficeConverter:
    """Converts one document after the other."""

    def __init__(self, options: ConversionOptions) -> None:
        self._options = options
        # Docling would have LibreOffice draw some pictures where that is installed, in processes that outlive a limit.
        drawing.get_libreoffice_cmd = _no_program
        self._converter = DocumentConverter(
            allowed_formats=list(_FORMATS.values()),
            format_options={
                # What stands before the first heading is text like any other.
                InputFormat.HTML: HTMLFormatOption(
                    backend_options=HTMLBackendOptions.model_validate({"infer_furniture": False})
                ),
                InputFormat.XLSX: ExcelFormatOption(backend=_Sheets),
            },
        )

    def convert(self, data: bytes, file_type: FileType, *, filename: str) -> Conversion:
        """Read a document.

        Raises:
            DocumentDamagedError: the parser refused it.
        """
        if file_type in ("html", "md"):
            # One mark of one encoding, so that nobody guesses again.
            text = decode(data, filename=filename, declares=file_type == "html", fallback=self._options.encoding)
            data = codecs.BOM_UTF8 + text.encode("utf-8", "replace")
        # The parser gets no name that somebody else has chosen.
        stream = DocumentStream(name=f"document.{file_type}", stream=BytesIO(data))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = self._converter.convert(stream, raises_on_error=False)
        if result.status not in (ConversionStatus.SUCCESS, ConversionStatus.PARTIAL_SUCCESS):
            raise _refusal(result, filename)
        counted = file_type in _COUNTED
        pages = len(result.document.pages) if counted else None
        complete = result.status == ConversionStatus.SUCCESS
        return Conversion(
            pieces=tuple(docling_pieces(result.document, numbered=counted)),
            page_count=pages,
            complete=complete,
            warnings=() if complete else ("Parts of the document could not be read.",),
        )


def _refusal(result: ConversionResult, filename: str) -> DocumentError:
    """What Docling's errors, which may quote the document, come to."""
    causes = " ".join(error.error_message for error in result.errors)
    if _SPREAD in causes:
        return DocumentTooLargeError(
            f"{filename!r} has a sheet on which more than {_MOST_CELLS} places lie between the first cell that holds "
            "something and the last. Delete the cells that stand far from the others.",
            filename=filename,
        )
    if _NO_PAGES in causes:
        return DocumentEmptyError(f"{filename!r} has no slides.", filename=filename)
    return DocumentDamagedError(f"{filename!r} is torn or damaged. Save or copy it again.", filename=filename)

"""PDF files by Docling's parser: the lines of text on each page."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO

from docling.datamodel.base_models import ConversionStatus, DocumentStream, InputFormat
from docling.datamodel.document import ConversionResult
from docling.datamodel.pipeline_options import NativePdfPipelineOptions
from docling.document_converter import DocumentConverter, NativePdfFormatOption

from ..exceptions import DocumentDamagedError, DocumentTooLargeError
from .conversion import ConversionOptions
from .file_type import FileType
from .limits import DocumentLimits
from .pieces import Conversion, Piece


class PdfConverter:
    """Converts one document after the other."""

    def __init__(self, limits: DocumentLimits, options: ConversionOptions) -> None:
        self._limits = limits
        self._options = options
        pipeline = NativePdfPipelineOptions(generate_page_images=False, generate_picture_images=False)
        self._converter = DocumentConverter(
            allowed_formats=[InputFormat.PDF],
            format_options={InputFormat.PDF: NativePdfFormatOption(pipeline_options=pipeline)},
        )

    def convert(self, data: bytes, file_type: FileType, *, filename: str) -> Conversion:
        """Read a PDF file."""
        stream = DocumentStream(name=f"document.{file_type}", stream=BytesIO(data))
        result = self._converter.convert(stream, raises_on_error=False)
        if result.status not in (ConversionStatus.SUCCESS, ConversionStatus.PARTIAL_SUCCESS):
            raise DocumentDamagedError(f"{filename!r} is torn or damaged. Save or copy it again.", filename=filename)
        pages = result.input.page_count
        if pages > self._limits.max_pages:
            raise DocumentTooLargeError(
                f"{filename!r} has {pages} pages; {self._limits.max_pages} are allowed (max_pages).",
                filename=filename,
                limit="max_pages",
            )
        pieces = tuple(_page_pieces(result))
        silent = sorted(set(range(1, pages + 1)) - {piece.page for piece in pieces if piece.text.strip()})
        return Conversion(
            pieces=pieces,
            page_count=pages,
            complete=not silent and result.status == ConversionStatus.SUCCESS,
            warnings=(f"Pages without text: {', '.join(map(str, silent))}.",) if silent else (),
        )


def _page_pieces(result: ConversionResult) -> Iterator[Piece]:
    for page in result.pages:
        if page.parsed_page is not None:
            lines = [cell.text for cell in page.parsed_page.textline_cells]
            yield Piece("paragraph", "\n".join(lines), page.page_no)

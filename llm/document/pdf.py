"""PDF files by Docling's parser: the lines of text on each page."""

from __future__ import annotations

from io import BytesIO

from docling.datamodel.base_models import ConversionStatus, DocumentStream, InputFormat
from docling.document_converter import DocumentConverter, PdfFormatOption

from ..exceptions import DocumentDamagedError
from .conversion import ConversionOptions
from .docling_pieces import docling_pieces
from .file_type import FileType
from .limits import DocumentLimits
from .pdf_pipeline import GeometricPdfPipeline, pipeline_options
from .pieces import Conversion


class PdfConverter:
    """Converts one document after the other."""

    def __init__(self, limits: DocumentLimits, options: ConversionOptions) -> None:
        self._limits = limits
        self._options = options
        # A little before the process is ended, so that what is there by then can be returned as a part.
        pipeline = pipeline_options(timeout=0.9 * limits.timeout)
        self._converter = DocumentConverter(
            allowed_formats=[InputFormat.PDF],
            format_options={
                InputFormat.PDF: PdfFormatOption(pipeline_cls=GeometricPdfPipeline, pipeline_options=pipeline)
            },
        )

    def convert(self, data: bytes, file_type: FileType, *, filename: str) -> Conversion:
        """Read a PDF file."""
        stream = DocumentStream(name=f"document.{file_type}", stream=BytesIO(data))
        result = self._converter.convert(stream, raises_on_error=False)
        if result.status not in (ConversionStatus.SUCCESS, ConversionStatus.PARTIAL_SUCCESS):
            raise DocumentDamagedError(f"{filename!r} is torn or damaged. Save or copy it again.", filename=filename)
        pages = result.input.page_count
        pieces = tuple(docling_pieces(result.document))
        silent = sorted(set(range(1, pages + 1)) - {piece.page for piece in pieces if piece.text.strip()})
        return Conversion(
            pieces=pieces,
            page_count=pages,
            complete=not silent and result.status == ConversionStatus.SUCCESS,
            warnings=(f"Pages without text: {', '.join(map(str, silent))}.",) if silent else (),
        )

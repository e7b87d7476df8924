"""PDF files and images by Docling's PDF pipeline, and a report of what of them could not be read."""

from __future__ import annotations

import sys
import time
from collections.abc import Collection, Iterable, Iterator
from io import BytesIO

import pypdfium2  # type: ignore[import-untyped]
from docling.datamodel.base_models import ConversionStatus, DocumentStream, InputFormat
from docling.datamodel.document import ConversionResult
from docling.datamodel.object_detection_engine_options import OnnxRuntimeObjectDetectionEngineOptions
from docling.datamodel.pipeline_options import BaseLayoutOptions, LayoutObjectDetectionOptions
from docling.document_converter import DocumentConverter, ImageFormatOption, PdfFormatOption

from ..exceptions import DocumentDamagedError
from .conversion_options import ConversionOptions
from .docling_pieces import docling_pieces
from .file_type import FileType
from .layout_models import layout_engine
from .limits import DocumentLimits
from .ocr import find_engine
from .pdf_pipeline import GeometricLayoutOptions, GeometricPdfPipeline, ModelPdfPipeline, PageReading, pipeline_options
from .pieces import Conversion

_PART_OF_TIME = 0.8  # after which what is there is returned; the rest of the time is for putting it together
_PART_PAGES = 200  # headings are ranked within a part
_MOST_BLANK = 200  # pages without text that are looked at
_READ = (ConversionStatus.SUCCESS, ConversionStatus.PARTIAL_SUCCESS)
_WITHOUT_ENGINE = (
    "They may be pictures of text; to read those, install an OCR engine (pip install 'practorflow[ocr]', or tesseract)."
)


class PdfConverter:
    """Converts one document after the other."""

    def __init__(self, limits: DocumentLimits, options: ConversionOptions) -> None:
        self._options = options
        self._seconds = _PART_OF_TIME * limits.timeout
        layout: BaseLayoutOptions
        kind: type[GeometricPdfPipeline]
        if options.artifacts_path is None:
            layout = GeometricLayoutOptions.model_validate(
                {"ocr": options.ocr, "ocr_languages": options.ocr_languages, "max_pixels": limits.max_image_pixels}
            )
            kind = GeometricPdfPipeline
        else:
            layout = _layout_model(options.artifacts_path)
            reading = PageReading(
                ocr=options.ocr, ocr_languages=options.ocr_languages, max_pixels=limits.max_image_pixels
            )
            # Docling makes the pipeline itself, from its class and options of its own.
            kind = type("ModelPdfPipeline", (ModelPdfPipeline,), {"reading": reading})
        pipeline = pipeline_options(layout, timeout=self._seconds, artifacts_path=options.artifacts_path)
        self._converter = DocumentConverter(
            allowed_formats=[InputFormat.PDF, InputFormat.IMAGE],
            format_options={
                InputFormat.PDF: PdfFormatOption(pipeline_cls=kind, pipeline_options=pipeline),
                InputFormat.IMAGE: ImageFormatOption(pipeline_cls=kind, pipeline_options=pipeline),
            },
        )
        # A model is loaded now, not on the first document's account.
        self._converter.initialize_pipeline(InputFormat.PDF)

    def convert(self, data: bytes, file_type: FileType, *, filename: str) -> Conversion:
        """Read a PDF file or an image.

        Raises:
            DocumentDamagedError: not a page of it could be read.
        """
        name = "document.pdf" if file_type == "pdf" else f"document.{_extension(data)}"
        parts = self._results(data, name, pages=_page_count(data) if file_type == "pdf" else 1)
        results = [result for result in parts if result.status in _READ]
        if not results:
            raise DocumentDamagedError(f"{filename!r} is torn or damaged. Save or copy it again.", filename=filename)
        pieces = tuple(piece for result in results for piece in docling_pieces(result.document))
        pages = results[0].input.page_count
        read = {page.page_no for result in results for page in result.pages}
        missing = set(range(1, pages + 1)) - read
        silent = read - {piece.page for piece in pieces if piece.text.strip()}
        if file_type == "pdf":
            silent -= _blank_pages(data, silent)
        read_off = {
            page.page_no for result in results for page in result.pages if any(cell.from_ocr for cell in page.cells)
        }
        return Conversion(
            pieces=pieces,
            page_count=pages,
            complete=not missing and not silent,
            busy=bool(missing),
            warnings=tuple(self._warnings(missing, silent, read_off)),
        )

    def _results(self, data: bytes, name: str, *, pages: int) -> Iterator[ConversionResult]:
        """The document's parts, as far as time allows.

        When its own time is over, Docling still waits until its parser has been through all that it was given. So it
        gets a part that is not begun where the one before says that there is no time for it.
        """
        begun = time.monotonic()
        before = begun
        for first in range(1, pages + 1, _PART_PAGES):
            now = time.monotonic()
            if now - begun + (now - before) > self._seconds:
                return
            before = now
            last = first + _PART_PAGES - 1 if first + _PART_PAGES <= pages else sys.maxsize
            source = DocumentStream(name=name, stream=BytesIO(data))
            yield self._converter.convert(source, raises_on_error=False, page_range=(first, last))

    def _warnings(self, missing: Collection[int], silent: Collection[int], read_off: Collection[int]) -> Iterable[str]:
        if missing:
            yield f"Not read, because they are damaged or the time was over: {_pages(missing)}."
        if silent:
            engine = find_engine(self._options.ocr_languages) if self._options.ocr else None
            yield f"No text was found on {_pages(silent)}." + ("" if engine is not None else f" {_WITHOUT_ENGINE}")
        if read_off:
            yield f"Read off pictures, so with mistakes perhaps: {_pages(read_off)}."


def _layout_model(folder: str) -> BaseLayoutOptions:
    """Options that run the layout model of a folder."""
    engine = None if layout_engine(folder) == "transformers" else OnnxRuntimeObjectDetectionEngineOptions()
    options = LayoutObjectDetectionOptions.from_preset("layout_heron_default", engine_options=engine)
    assert isinstance(options, LayoutObjectDetectionOptions)
    return options


def _pages(numbers: Collection[int]) -> str:
    """Such as `pages 1, 3-5`."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    shown = ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)
    return f"page{'s' if len(numbers) > 1 else ''} {shown}"


def _page_count(data: bytes) -> int:
    """At least 1: what is no PDF is for Docling to refuse."""
    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError:
        return 1
    try:
        return max(1, len(document))
    finally:
        document.close()


def _blank_pages(data: bytes, candidates: Collection[int]) -> set[int]:
    """Those of the pages on which there is nothing to see."""
    if not candidates:
        return set()
    blank = set()
    document = pypdfium2.PdfDocument(data)
    try:
        for number in sorted(candidates)[:_MOST_BLANK]:
            page = document[number - 1]
            width, height = page.get_size()
            picture = page.render(scale=min(0.5, 1000 / max(width, height, 1))).to_pil().convert("L")
            darkest, lightest = picture.getextrema()
            if darkest == lightest:
                blank.add(number)
    finally:
        document.close()
    return blank


def _extension(data: bytes) -> str:
    """By which Docling knows what kind of image it gets."""
    for beginning, extension in ((b"\x89PNG", "png"), (b"\xff\xd8", "jpg"), (b"BM", "bmp"), (b"RIFF", "webp")):
        if data.startswith(beginning):
            return extension
    return "png" if data.startswith(b"GIF8") else "tiff"

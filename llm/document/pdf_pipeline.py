"""Docling's PDF pipeline without what needs torchvision: with our geometric layout, or with a layout model on disk.

Docling's own set-up of the pipeline loads every table engine that it knows, and with them torch and torchvision. This
one names its stages itself: parse, lay out, assemble, order, and give headings their levels. It relies on how Docling
composes its pipeline inside, so Docling's version is pinned and a test holds what is used here.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any, ClassVar, Literal

from docling.datamodel.base_models import Cluster, LayoutPrediction, Page, Table, TableStructurePrediction
from docling.datamodel.document import ConversionResult
from docling.datamodel.pipeline_options import (
    BaseLayoutOptions,
    HeadingHierarchyOptions,
    LayoutPostprocessorOptions,
    ThreadedPdfPipelineOptions,
)
from docling.models.base_layout_model import TABLE_LABELS, BaseLayoutModel
from docling.models.factories import get_layout_factory
from docling.models.stages.form_field.form_field_model import PdfFormFieldModel
from docling.models.stages.heading_hierarchy.heading_hierarchy_model import HeadingHierarchyModel
from docling.models.stages.layout.layout_postprocessing_model import LayoutPostprocessingModel
from docling.models.stages.page_assemble.page_assemble_model import PageAssembleModel, PageAssembleOptions
from docling.models.stages.page_preprocessing.page_preprocessing_model import (
    PagePreprocessingModel,
    PagePreprocessingOptions,
)
from docling.models.stages.reading_order.readingorder_model import ReadingOrderModel, ReadingOrderOptions
from docling.pipeline.standard_pdf_pipeline import StandardPdfPipeline
from docling_core.types.doc import BoundingBox, CoordOrigin, DocItemLabel, Size, TableCell
from docling_core.types.doc.page import BoundingRectangle, PdfTextCell, TextCell

from .ocr import OcrEngine, find_engine
from .page_layout import BlockKind, blocks_of
from .page_lines import Line, rows_of
from .page_tables import Grid, grid_of

_Direction = Literal["right", "left", "up", "down"]

_LABELS: dict[BlockKind, DocItemLabel] = {
    "heading": DocItemLabel.SECTION_HEADER,
    "paragraph": DocItemLabel.TEXT,
    "list_item": DocItemLabel.LIST_ITEM,
    "table": DocItemLabel.TABLE,
    "header": DocItemLabel.PAGE_HEADER,
    "footer": DocItemLabel.PAGE_FOOTER,
}
LEAST_TEXT = 20  # characters; a page with less is a picture with a stamp on it
OCR_SCALE = 200 / 72  # pixels per point
OCR_PIXELS = 12_000_000  # of a page that is drawn
# As fonts call themselves; the last are Computer Modern's.
_BOLD = re.compile(r"bold|black|heavy|demi|medium|cmbx|sfbx", re.IGNORECASE)


class GeometricPdfPipeline(StandardPdfPipeline):
    """The stages of the standard pipeline that need no model, and our layout."""

    def _init_models(self) -> None:
        self.keep_images = False
        self.keep_backend = False
        self.preprocessing_model = self._make_preprocessing()
        self.ocr_model = self._make_ocr()
        factory = get_layout_factory(allow_external_plugins=False)
        if GeometricLayoutOptions.kind not in factory.registered_kind:
            factory.register(GeometricLayoutModel, __package__ or "llm.document", __name__)
        self.layout_model = factory.create_instance(
            options=self.pipeline_options.layout_options,
            artifacts_path=self.artifacts_path,
            accelerator_options=self.pipeline_options.accelerator_options,
            enable_remote_services=False,
        )
        self.layout_postprocessing_model = LayoutPostprocessingModel(
            options=LayoutPostprocessorOptions.model_validate(
                {"run_postprocessor": self.layout_model.requires_layout_postprocessing}
            )
        )
        self.table_model = self._make_tables()
        self.form_field_model = PdfFormFieldModel(enabled=False)
        self.assemble_model = PageAssembleModel(options=PageAssembleOptions())
        self.reading_order_model = ReadingOrderModel(options=ReadingOrderOptions())
        self.heading_hierarchy_model = HeadingHierarchyModel(options=self.pipeline_options.heading_hierarchy_options)
        self.enrichment_pipe = []

    def _make_preprocessing(self) -> PagePreprocessingModel:
        return _ParseOnly(PagePreprocessingOptions(images_scale=None))

    def _make_ocr(self) -> Any:
        return _pass_through  # the layout reads pages off before it lays them out

    def _make_tables(self) -> Any:
        return _pass_through  # the layout says what the cells are


class ModelPdfPipeline(GeometricPdfPipeline):
    """The same stages with a layout model of Docling's; cells of the tables that it finds are ours to tell apart.

    Docling runs the layout first and OCR after it, and only then gives each region its lines, so a page without text
    can be read off in between.
    """

    reading: ClassVar[PageReading]

    def _make_preprocessing(self) -> PagePreprocessingModel:
        return PagePreprocessingModel(PagePreprocessingOptions(images_scale=None))

    def _make_ocr(self) -> Any:
        return self.reading

    def _make_tables(self) -> Any:
        return _structure_tables


class PageReading:
    """Reads text off pages that have none, as a stage of a pipeline."""

    def __init__(self, *, ocr: bool, ocr_languages: Sequence[str], max_pixels: int) -> None:
        self._ocr = ocr
        self._languages = tuple(ocr_languages)
        self._max_pixels = max_pixels

    @cached_property
    def _engine(self) -> OcrEngine | None:
        return find_engine(self._languages) if self._ocr else None

    def __call__(self, _conv_res: ConversionResult, pages: Iterable[Page]) -> Iterable[Page]:
        for page in pages:
            if sum(len(cell.text.strip()) for cell in page.cells) < LEAST_TEXT and self._engine is not None:
                _read_off(page, self._engine, self._max_pixels)
            yield page


class GeometricLayoutOptions(BaseLayoutOptions):
    """How pages are laid out.

    Attributes:
        ocr: whether text is read off pages that have none.
        ocr_languages: as tesseract names them.
        max_pixels: of a page that is drawn for that.
    """

    kind: ClassVar[Literal["practorflow_geometry"]] = "practorflow_geometry"
    ocr: bool = True
    ocr_languages: tuple[str, ...] = ("eng",)
    max_pixels: int = 50_000_000


class GeometricLayoutModel(BaseLayoutModel):
    """Lays out a page by the geometry of its lines."""

    requires_layout_postprocessing = False

    def __init__(self, *, options: GeometricLayoutOptions, **_for_models: object) -> None:
        self._reading = PageReading(ocr=options.ocr, ocr_languages=options.ocr_languages, max_pixels=options.max_pixels)

    @classmethod
    def get_options_type(cls) -> type[BaseLayoutOptions]:
        return GeometricLayoutOptions

    def predict_layout(self, conv_res: ConversionResult, pages: Sequence[Page]) -> Sequence[LayoutPrediction]:
        read = list(self._reading(conv_res, pages))
        for page in read:
            _turn_upright(page)
        return [_lay_out(page) for page in read]


class _ParseOnly(PagePreprocessingModel):
    """Nothing here looks at a page's picture, so none is drawn."""

    def _populate_page_images(self, page: Page) -> Page:
        return page


def pipeline_options(
    layout: BaseLayoutOptions, *, timeout: float, artifacts_path: str | None = None
) -> ThreadedPdfPipelineOptions:
    """Options under which the pipeline above does what it is for."""
    return ThreadedPdfPipelineOptions.model_validate(
        {
            "document_timeout": timeout,
            "artifacts_path": artifacts_path,
            "do_ocr": False,
            "do_table_structure": False,
            "generate_parsed_pages": True,  # for the style of headings
            "layout_options": layout,
            "heading_hierarchy_options": HeadingHierarchyOptions.model_validate({"enabled": True}),
            "batch_polling_interval_seconds": 0.01,
            "stage_shutdown_timeout_seconds": 1.0,  # what is still busy when the time is over is not waited for
        }
    )


def _pass_through(_conv_res: ConversionResult, pages: Iterable[Page]) -> Iterable[Page]:
    return pages


def _read_off(page: Page, engine: OcrEngine, max_pixels: int) -> None:
    """Give a page without text the text that an engine sees in its picture."""
    if page.size is None or page.parsed_page is None:
        return
    points = max(page.size.width * page.size.height, 1.0)
    scale = min(OCR_SCALE, (min(max_pixels, OCR_PIXELS) / points) ** 0.5)
    picture = page._backend.get_page_image(scale=scale) if page._backend is not None else None
    if picture is None:
        return
    page.parsed_page.textline_cells = [
        TextCell(
            index=number,
            text=line.text,
            orig=line.text,
            from_ocr=True,
            rect=BoundingRectangle.from_bounding_box(
                BoundingBox(
                    l=line.left / scale,
                    t=line.top / scale,
                    r=line.right / scale,
                    b=line.bottom / scale,
                    coord_origin=CoordOrigin.TOPLEFT,
                )
            ),
        )
        for number, line in enumerate(engine.read(picture))
    ]


def _turn_upright(page: Page) -> None:
    """Turn a page most of whose text runs up, down or upside down, so that it is laid out as it is read."""
    directions: Counter[_Direction] = Counter()
    for cell in page.cells:
        directions[_direction(cell.rect)] += len(cell.text)
    direction = directions.most_common(1)[0][0] if directions else "right"
    if direction == "right" or page.size is None or page.parsed_page is None:
        return
    size = page.size
    page.parsed_page.textline_cells = [
        cell.model_copy(update={"rect": _turned(cell.rect.to_top_left_origin(size.height), direction, size)})
        for cell in page.cells
    ]
    if direction != "left":
        page.size = Size(width=size.height, height=size.width)


def _direction(rect: BoundingRectangle) -> _Direction:
    """Into which a line runs, on the page as it is seen."""
    across, along = rect.r_x1 - rect.r_x0, rect.r_y1 - rect.r_y0
    if rect.coord_origin == CoordOrigin.BOTTOMLEFT:
        along = -along
    if abs(across) >= abs(along):
        return "right" if across >= 0 else "left"
    return "down" if along > 0 else "up"


def _turned(rect: BoundingRectangle, direction: _Direction, size: Size) -> BoundingRectangle:
    """Where the corners of a line are once it runs to the right."""

    def turned(x: float, y: float) -> tuple[float, float]:
        if direction == "down":
            return y, size.width - x
        if direction == "up":
            return size.height - y, x
        return size.width - x, size.height - y

    corners: dict[str, float] = {}
    for number in range(4):
        x, y = turned(getattr(rect, f"r_x{number}"), getattr(rect, f"r_y{number}"))
        corners |= {f"r_x{number}": x, f"r_y{number}": y}
    return BoundingRectangle(**corners, coord_origin=CoordOrigin.TOPLEFT)


def _lay_out(page: Page) -> LayoutPrediction:
    """The page's clusters; the structure of its tables is known here too, so no table model has to find it."""
    assert page.size is not None
    cells = page.cells
    lines = [_line(cell, page.size.height) for cell in cells]
    clusters = []
    tables = {}
    for number, block in enumerate(blocks_of(lines, page_height=page.size.height)):
        cluster = Cluster(
            id=number,
            label=_LABELS[block.kind],
            bbox=BoundingBox(
                l=block.left, t=block.top, r=block.right, b=block.bottom, coord_origin=CoordOrigin.TOPLEFT
            ),
            cells=[cells[line] for line in block.lines],
        )
        clusters.append(cluster)
        if block.grid:
            tables[number] = _table(page, cluster, [[[cells[n] for n in cell] for cell in row] for row in block.grid])
    page.predictions.tablestructure = TableStructurePrediction(table_map=tables)
    return LayoutPrediction(clusters=clusters)


def _structure_tables(_conv_res: ConversionResult, pages: Iterable[Page]) -> Iterable[Page]:
    """Give the tables that a layout model has found their cells."""
    for page in pages:
        tables = {}
        if page.size is not None and page.predictions.layout is not None:
            for cluster in page.predictions.layout.clusters:
                grid: Grid = ()
                if cluster.label in TABLE_LABELS:
                    grid = grid_of(rows_of([_line(cell, page.size.height) for cell in cluster.cells]))
                if grid:
                    cells = [[[cluster.cells[n] for n in cell] for cell in row] for row in grid]
                    tables[cluster.id] = _table(page, cluster, cells)
        page.predictions.tablestructure = TableStructurePrediction(table_map=tables)
        yield page


def _table(page: Page, cluster: Cluster, grid: Sequence[Sequence[Sequence[TextCell]]]) -> Table:
    return Table(
        label=cluster.label,
        id=cluster.id,
        page_no=page.page_no,
        cluster=cluster,
        otsl_seq=[],
        num_rows=len(grid),
        num_cols=len(grid[0]),
        table_cells=[
            TableCell.model_validate(
                {
                    "text": " ".join(cell.text.strip() for cell in cells),
                    "start_row_offset_idx": row,
                    "end_row_offset_idx": row + 1,
                    "start_col_offset_idx": column,
                    "end_col_offset_idx": column + 1,
                    "column_header": row == 0,
                }
            )
            for row, columns in enumerate(grid)
            for column, cells in enumerate(columns)
            if cells
        ],
    )


def _line(cell: TextCell, page_height: float) -> Line:
    box = cell.rect.to_bounding_box().to_top_left_origin(page_height)
    font = cell.font_name if isinstance(cell, PdfTextCell) else ""
    return Line(
        text=cell.text,
        left=box.l,
        top=box.t,
        right=box.r,
        bottom=box.b,
        font=font,
        bold=bool(_BOLD.search(font)),
        right_to_left=cell.text_direction.value == "right_to_left",
    )

"""Tables on a page by the alignment of their cells.

A table shows as rows at the same height whose texts are short and stand below each other in columns. Prose in columns
has long rows, and lists have one row at a time, so neither is taken for a table. Where in doubt it is none: its text
then stays what it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .page_lines import Row

LEAST_BANDS = 3
MOST_COLUMNS = 40
_CELL = 32  # characters that most cells of a table do not exceed
_FIT = 0.75  # share of the cells that have to stand in exactly one column
_NEAR = 2.5  # heights between two rows of a table

Grid = tuple[tuple[tuple[int, ...], ...], ...]


@dataclass(frozen=True)
class Table:
    """Cells in rows and columns.

    Attributes:
        grid: for each row and column the numbers of the lines in that cell.
        rows: what the table consists of.
    """

    grid: Grid
    rows: tuple[Row, ...]


def tables_of(rows: Sequence[Row]) -> list[Table]:
    """The tables among rows that are sorted from top to bottom."""
    tables = []
    run: list[list[Row]] = []
    for band in [*_bands(rows), []]:
        if band and _is_tabular(band) and (not run or _near(run[-1], band)):
            run.append(band)
            continue
        if run and band and len(band) == 1 and _near(run[-1], band) and _is_wrapped(run, band[0]):
            run.append(band)
            continue
        table = _table(run)
        if table is not None:
            tables.append(table)
        run = [band] if band and _is_tabular(band) else []
    return tables


def grid_of(rows: Sequence[Row]) -> Grid:
    """The cells of what somebody else says is a table; one column where none can be told apart."""
    bands = _bands(rows)
    full = [band for band in bands if len(band) >= 2]
    columns = _columns(full) if full else []
    if not 2 <= len(columns) <= MOST_COLUMNS:
        return tuple((tuple(line for row in band for line in row.lines),) for band in bands)
    return _grid(bands, columns)


def _bands(rows: Sequence[Row]) -> list[list[Row]]:
    """Rows at the same height, from left to right."""
    bands: list[list[Row]] = []
    for row in rows:
        if bands and any(row.beside(other) for other in bands[-1]):
            bands[-1].append(row)
        else:
            bands.append([row])
    return [sorted(band, key=lambda row: row.left) for band in bands]


def _is_tabular(band: Sequence[Row]) -> bool:
    lengths = sorted(len(row.text) for row in band)
    return len(band) >= 2 and lengths[(len(lengths) - 1) // 2] <= _CELL and lengths[-1] <= 3 * _CELL


def _near(above: Sequence[Row], band: Sequence[Row]) -> bool:
    height = min(row.height for row in band)
    return min(row.top for row in band) - max(row.bottom for row in above) < _NEAR * height


def _is_wrapped(run: Sequence[Sequence[Row]], row: Row) -> bool:
    """Whether a row by itself goes on with a cell above it rather than with the page's text."""
    cells = [cell for band in run[-2:] for cell in band]
    return any(
        abs(cell.left - row.left) < row.height and row.right <= max(c.right for c in cells) for cell in cells
    ) and (len(row.text) <= _CELL)


def _table(run: Sequence[Sequence[Row]]) -> Table | None:
    full = [band for band in run if len(band) >= 2]
    if len(full) < LEAST_BANDS and not (len(full) == 2 and min(map(len, full)) >= 3):
        return None
    columns = _columns(full)
    if not 2 <= len(columns) <= MOST_COLUMNS:
        return None
    cells = [(row, _overlapped(columns, row)) for band in run for row in band]
    if sum(len(hit) == 1 for _, hit in cells) < _FIT * len(cells):
        return None
    # A page of two columns with short rows has two columns everywhere and no row of more; numbers give tables away.
    if len(columns) == 2 and not _has_narrow_column(full, columns):
        return None
    return Table(grid=_grid(run, columns), rows=tuple(row for band in run for row in band))


def _grid(bands: Sequence[Sequence[Row]], columns: Sequence[tuple[float, float]]) -> Grid:
    grid = []
    for band in bands:
        row: list[tuple[int, ...]] = [()] * len(columns)
        for cell in band:
            hit = _overlapped(columns, cell)
            column = hit[0] if hit else min(range(len(columns)), key=lambda n: abs(columns[n][0] - cell.left))
            row[column] += cell.lines
        grid.append(tuple(row))
    return tuple(grid)


def _columns(bands: Sequence[Sequence[Row]]) -> list[tuple[float, float]]:
    """Where columns stand, by the bands with most cells: others have cells that span several."""
    most = sorted(len(band) for band in bands)[3 * len(bands) // 4]
    spans = sorted((row.left, row.right) for band in bands if len(band) >= most for row in band)
    columns: list[tuple[float, float]] = []
    for left, right in spans:
        if columns and left < columns[-1][1]:
            columns[-1] = (columns[-1][0], max(columns[-1][1], right))
        else:
            columns.append((left, right))
    return columns


def _overlapped(columns: Sequence[tuple[float, float]], row: Row) -> list[int]:
    return [number for number, (left, right) in enumerate(columns) if min(right, row.right) > max(left, row.left)]


def _has_narrow_column(bands: Sequence[Sequence[Row]], columns: Sequence[tuple[float, float]]) -> bool:
    """Whether the texts of one column are all short."""
    for number in range(len(columns)):
        texts = [row.text for band in bands for row in band if _overlapped(columns, row)[:1] == [number]]
        if texts and max(map(len, texts)) <= _CELL // 2:
            return True
    return False

"""One picture of all benchmarks: a panel for each comparison, peers side by side, each with its spread.

A benchmark's figures are JSON. Wherever in it stands a table whose rows have a median, that table is a panel; so a new
benchmark appears in the picture without a word here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

OURS = ("practorflow", "ours", "with lookup", "masked", "store", "search", "all at once")
_UNITS = {"tokens_per_second": "tokens/s", "milliseconds": "ms", "seconds": "s", "gaps": "s"}


@dataclass(frozen=True)
class Bar:
    """One side of a comparison: its median, and the least and the most that was measured."""

    name: str
    median: float
    least: float
    most: float


@dataclass(frozen=True)
class Panel:
    """One comparison."""

    title: str
    unit: str
    bars: tuple[Bar, ...]


def panels(results: Sequence[Mapping[str, Any]]) -> list[Panel]:
    """The comparisons in the figures of many benchmarks, in order. One side alone is no comparison."""
    found = []
    for figures in results:
        for path, table in _tables(figures, ()):
            bars = tuple(
                Bar(name, row["median"], row.get("least", row["median"]), row.get("most", row["median"]))
                for name, row in table.items()
            )
            if len(bars) > 1:
                unit, words = _unit_and_words(path)
                found.append(Panel(": ".join([str(figures["question"]), *words]), unit, bars))
    return found


def _unit_and_words(path: tuple[str, ...]) -> tuple[str, list[str]]:
    """The unit that a table's names end in, and what else they say."""
    unit, words = "", []
    for part in path:
        end = next((end for end in _UNITS if part.endswith(end)), "")
        unit = _UNITS.get(end, unit)
        words.append(part.removesuffix(end).replace("_", " ").strip())
    return unit, [word for word in words if word]


def _tables(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Mapping[str, Any]]]:
    if not isinstance(value, Mapping):
        return
    if value and all(isinstance(row, Mapping) and "median" in row for row in value.values()):
        yield path, value
        return
    for name, part in value.items():
        yield from _tables(part, (*path, str(name)))


def draw(results: Sequence[Mapping[str, Any]], folder: Path, *, title: str) -> list[Path]:
    """Write the picture as PNG and SVG, and return where. There is at least one comparison."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "practorflow"  # the same figures make the same file
    from matplotlib import pyplot

    shown = panels(results)
    heights = [0.9 + 0.32 * len(panel.bars) for panel in shown]
    figure, axes = pyplot.subplots(
        len(shown), 1, figsize=(9, sum(heights)), gridspec_kw={"height_ratios": heights}, squeeze=False
    )
    for panel, axis in zip(shown, axes[:, 0], strict=True):
        _draw_panel(panel, axis)
    figure.suptitle(title, fontsize=9, y=0.999, color="#444444")
    figure.tight_layout()
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for kind in ("png", "svg"):
        path = folder / f"benchmarks.{kind}"
        figure.savefig(path, dpi=110, metadata={"Date": None} if kind == "svg" else None)
        written.append(path)
    pyplot.close(figure)
    return written


def _draw_panel(panel: Panel, axis: Any) -> None:
    names = [bar.name for bar in panel.bars]
    medians = [bar.median for bar in panel.bars]
    spread = [
        [bar.median - bar.least for bar in panel.bars],
        [bar.most - bar.median for bar in panel.bars],
    ]
    colours = ["#2a6f97" if name.lower().startswith(OURS) else "#b8c4cc" for name in names]
    axis.barh(names, medians, xerr=spread, color=colours, error_kw={"elinewidth": 1, "ecolor": "#555555", "capsize": 2})
    axis.invert_yaxis()
    for row, bar in enumerate(panel.bars):
        axis.annotate(
            f"{bar.median:.3g}", (bar.most, row), xytext=(4, 0), textcoords="offset points", va="center", fontsize=8
        )
    axis.margins(x=0.15)
    axis.set_title(panel.title, loc="left", fontsize=10)
    axis.set_xlabel(panel.unit, fontsize=8)
    axis.tick_params(labelsize=8)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)

"""Medians, ratios and the line of JSON that ends every benchmark."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from random_model import HALF_BILLION, write_random_model

from llm.engine.compute_budget import PROCESS_BUDGET


def arguments(description: str, *, rounds: int = 5) -> argparse.Namespace:
    """Options that all benchmarks share."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=rounds, help="times that each side is measured, in turn")
    parser.add_argument("--model", type=Path, help="a GGUF file instead of the random half-billion one")
    return parser.parse_args()


def benchmark_model(chosen: Path | None) -> Path:
    """The file to measure on; the random one is written once and kept in the temporary folder."""
    if chosen is not None:
        return chosen
    path = Path(tempfile.gettempdir()) / "practorflow-benchmark-half-billion.gguf"
    if not path.exists():
        print(f"writing {path} ...", flush=True)
        partial = path.with_suffix(".writing")
        write_random_model(partial, HALF_BILLION)
        partial.rename(path)
    return path


def machine() -> dict[str, object]:
    """What the figures depend on."""
    return {
        "cpu": _cpu_name(),
        "threads": PROCESS_BUDGET.threads,
        "load": round(os.getloadavg()[0], 1),
        "llama-cpp-python": version("llama-cpp-python"),
        "python": platform.python_version(),
    }


def compare(values: Mapping[str, Sequence[float]], *, base: str, unit: str) -> dict[str, dict[str, float]]:
    """Print median, least and most of each side, and the median of its round-by-round ratio to `base`."""
    table: dict[str, dict[str, float]] = {}
    for name, series in values.items():
        ratios = [value / other for value, other in zip(series, values[base], strict=True)]
        table[name] = {
            "median": statistics.median(series),
            "least": min(series),
            "most": max(series),
            "ratio": statistics.median(ratios),
        }
        row = table[name]
        print(
            f"{name:28} {row['median']:9.3f} {unit}   ({row['least']:.3f} to {row['most']:.3f})   "
            f"{row['ratio']:6.3f} of {base}",
            flush=True,
        )
    return table


def finish(question: str, **figures: object) -> None:
    """The last line: everything as JSON."""
    print(json.dumps({"question": question, **figures, "machine": machine()}))


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())

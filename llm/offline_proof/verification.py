"""Runs the workflow under watch and writes the report.

The watch is a network namespace with a recorder where the kernel allows one, else seccomp. In both, the positive
control runs before and after the workflow in the same place: a watch that does not catch it proves nothing, and the
report says so. The workflow has a home, a temporary and a working folder of its own; what it leaves there is looked at.
The environment is passed on whole but for those variables that tell a program it is being tested: some telemetry
keeps still then, and the proof would pass for the wrong reason.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal

from ..exceptions import PrivacyError, RequestError
from ..hub.resolve import resolve_model
from ..knowledge.chroma_knowledge_config import ChromaKnowledgeConfig
from ..llm_config import LLMConfig
from ..lockdown import can_lock_down, locked_command
from ..privacy import HUB_OFF, TELEMETRY_OFF
from .control import ADDRESS, ADDRESS6, NAME
from .report import Method, OfflineReport

DEFAULT_SECONDS = 90.0
"""Telemetry has been seen to wait a minute before it sends."""

HIDE_FROM_WORKFLOW = ("CI", "GITHUB_ACTIONS", "TF_BUILD", "ORT_RUNNING_UNIT_TESTS", "PYTEST_CURRENT_TEST")
PACKAGES = (
    "practorflow", "llama-cpp-python", "llguidance", "numpy", "jinja2", "huggingface_hub", "tokenizers", "sqlalchemy",
    "chromadb", "onnxruntime", "docling-slim", "torch", "transformers", "sentence-transformers", "pydantic-ai-slim",
)  # fmt: skip
_CANARY = "Zanzibarquokka"
_START_SECONDS = 600.0  # for loading models and the work itself, on a slow machine
_PACKAGE = __package__


@dataclass(frozen=True)
class Watched:
    """What one command did, by whatever method.

    Attributes:
        returncode: how it ended.
        seconds: how long it was watched.
        output: what it printed, where that was asked for.
        packets: what it sent to others, as structured by `network_sandbox`.
        lost: packets that the recorder could not keep.
    """

    returncode: int
    seconds: float
    output: str
    packets: Sequence[Mapping[str, Any]] = ()
    lost: int = 0


def verify_offline(
    model: LLMConfig | None = None,
    *,
    knowledge: ChromaKnowledgeConfig | None = None,
    seconds: float = DEFAULT_SECONDS,
    method: Method | Literal["auto"] = "auto",
    folder: str | os.PathLike[str] | None = None,
) -> OfflineReport:
    """Run the whole workflow under watch. Blocks for at least `seconds`.

    Args:
        model: what answers; None takes the demo model. It has to be on this machine.
        knowledge: names the embedding model, which has to be here, too; its database is not touched.
        seconds: how long the workflow is watched at least.
        method: "auto" takes a network namespace where the kernel allows one, else seccomp.
        folder: an empty folder for all that the run writes, which is then kept; None takes a temporary one.

    Raises:
        PrivacyError: this system can be watched in neither way, or not in the one asked for.
        ModelNotFoundError, OfflineError: the model is not on this machine.
        RequestError: `folder` is not empty, or cannot be made.
    """
    config = model or LLMConfig(model_name="demo")
    resolved = resolve_model(config, offline=True)
    with tempfile.TemporaryDirectory(prefix="practorflow-proof-") as temporary:
        plan = {
            "seconds": seconds,
            "model": asdict(_model_from_anywhere(config, resolved.path)),
            "knowledge": asdict(_knowledge_from_anywhere(knowledge or ChromaKnowledgeConfig())),
            "canary": _CANARY,
        }
        return _verified(plan, method, Path(temporary) if folder is None else _own_folder(Path(folder)))


def _model_from_anywhere(config: LLMConfig, path: Path) -> LLMConfig:
    """The same model for a process that works in another folder."""
    return replace(config, model_name=_absolute(path), models_dir=_absolute(config.models_dir))


def _knowledge_from_anywhere(config: ChromaKnowledgeConfig) -> ChromaKnowledgeConfig:
    """The same models of documents for a process that works in another folder."""
    named_by_path = Path(config.embedding_model).expanduser().is_dir()
    return replace(
        config,
        embedding_model=_absolute(config.embedding_model) if named_by_path else config.embedding_model,
        embedding_model_dir=_absolute(config.embedding_model_dir),
        artifacts_path=None if config.artifacts_path is None else _absolute(config.artifacts_path),
    )


def _absolute(path: str | Path) -> str:
    return str(Path(path).expanduser().absolute())


def _own_folder(folder: Path) -> Path:
    """The folder, made where it is missing, by a path that holds wherever the watched processes work."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        empty = not any(folder.iterdir())
    except OSError as exc:
        raise RequestError(f"The folder {str(folder)!r} cannot be used: {exc.strerror}. Name another one.") from exc
    if not empty:
        raise RequestError(f"The folder {str(folder)!r} is not empty. Name a new one.")
    return folder.absolute()


def _verified(plan: dict[str, Any], method: Method | Literal["auto"], folder: Path) -> OfflineReport:
    began = datetime.now(timezone.utc).isoformat(timespec="seconds")
    work = folder / "work"
    for place in (work, folder / "home", folder / "tmp"):
        place.mkdir(parents=True)
    (folder / "plan.json").write_text(json.dumps({**plan, "folder": str(work)}), encoding="utf-8")
    environ = _environment(folder)
    control = [sys.executable, "-m", f"{_PACKAGE}.control"]
    commands = [control, [sys.executable, "-m", f"{_PACKAGE}.workflow", str(folder / "plan.json")], control]
    used, (before, workflow, after) = watch(
        commands, environ=environ, folder=folder, timeout=plan["seconds"] + _START_SECONDS, method=method
    )
    steps = _steps(work / "steps.jsonl")
    models = [plan["model"]["model_name"], *(step["embedding model"] for step in steps if "embedding model" in step)]
    return OfflineReport(
        began=began,
        method=used,
        seconds=round(workflow.seconds, 1),
        system=_system(),
        versions=_versions(),
        models={file: digest for model in models for file, digest in _hashes(Path(model))},
        switches={name: environ.get(name, "") for name in (*TELEMETRY_OFF, *HUB_OFF)},
        steps=steps,
        returncode=workflow.returncode,
        control=[_attempts(before), _attempts(after)],
        control_caught=all(_caught(run, used) for run in (before, after)),
        packets=[_told(packet) for packet in workflow.packets],
        lost=before.lost + workflow.lost + after.lost,
        strangers=sorted(_files(folder / "home", folder) + _files(folder / "tmp", folder)),
        leaks=_leaks(folder, except_for=folder / "plan.json"),
    )


def watch(
    commands: Sequence[Sequence[str]],
    *,
    environ: Mapping[str, str],
    folder: Path,
    timeout: float,
    method: Method | Literal["auto"] = "auto",
) -> tuple[Method, list[Watched]]:
    """Run commands one after another where nothing can leave, and tell what each did.

    Raises:
        PrivacyError: this system can be watched in neither way, or not in the one asked for.
    """
    why_not = "it is for Linux"
    if method in ("auto", "network namespace") and sys.platform == "linux":
        found, why_not = _in_namespace(commands, environ=environ, folder=folder, timeout=timeout)
        if found:
            return "network namespace", found
    if method == "network namespace":
        raise PrivacyError(
            f"A network namespace is not to be had ({why_not}). Run this as root, or with method='seccomp'."
        )
    if not can_lock_down():
        raise PrivacyError(
            f"This system can be watched neither by a network namespace ({why_not}) nor by seccomp. Run the library in "
            "a container without network instead."
        )
    return "seccomp", [_locked(command, environ=environ, folder=folder, timeout=timeout) for command in commands]


def _in_namespace(
    commands: Sequence[Sequence[str]], *, environ: Mapping[str, str], folder: Path, timeout: float
) -> tuple[list[Watched], str]:
    with tempfile.TemporaryDirectory(prefix="practorflow-watch-") as own:
        outputs = [Path(own, f"output-{number}") for number in range(len(commands))]
        plan = {
            "own_folder": own,
            "outcome": str(Path(own, "outcome.json")),
            "folder": str(folder),
            "environ": dict(environ),
            "timeout": timeout,
            "commands": [[str(output), command] for output, command in zip(outputs, commands, strict=True)],
        }
        path = Path(own, "plan.json")
        path.write_text(json.dumps(plan), encoding="utf-8")
        subprocess.run([sys.executable, "-m", f"{_PACKAGE}.network_sandbox", str(path)], env=environ, check=True)
        outcome = json.loads(Path(own, "outcome.json").read_text("utf-8"))
        if "error" in outcome:
            return [], str(outcome["error"])
        phases = zip(outcome["phases"], outputs, strict=True)
        return [
            Watched(
                phase["returncode"], phase["seconds"], output.read_text("utf-8"), tuple(phase["packets"]), phase["lost"]
            )
            for phase, output in phases
        ], ""


def _locked(command: Sequence[str], *, environ: Mapping[str, str], folder: Path, timeout: float) -> Watched:
    begun = datetime.now(timezone.utc)
    try:
        done = subprocess.run(
            locked_command(command),
            env=environ,
            cwd=folder,
            timeout=timeout,
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        returncode, output = done.returncode, done.stdout
    except subprocess.TimeoutExpired:
        returncode, output = -9, ""
    return Watched(returncode, (datetime.now(timezone.utc) - begun).total_seconds(), output)


def _environment(folder: Path) -> dict[str, str]:
    environ = {name: value for name, value in os.environ.items() if name not in HIDE_FROM_WORKFLOW}
    root = str(Path(__file__).parents[2])
    environ.update(
        HOME=str(folder / "home"),
        TMPDIR=str(folder / "tmp"),
        PYTHONPATH=os.pathsep.join(filter(None, (root, environ.get("PYTHONPATH", "")))),
        PYTHONDONTWRITEBYTECODE="1",
    )
    for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "HF_HOME", "HF_HUB_CACHE"):
        environ.pop(name, None)
    return environ


def _attempts(run: Watched) -> dict[str, str]:
    try:
        attempts: dict[str, str] = json.loads(run.output)
    except ValueError:
        return {"the control": f"did not run (exit code {run.returncode})"}
    return attempts


def _caught(run: Watched, method: Method) -> bool:
    """Whether the watch saw, or the kernel refused, each thing that the control tried."""
    attempts = _attempts(run)
    if run.returncode != 0 or len(attempts) < 2:
        return False
    if method == "seccomp":
        return all(outcome.startswith(("no socket", "no answer")) for outcome in attempts.values())
    seen = {packet["destination"] for packet in run.packets} | {packet["name"] for packet in run.packets}
    return {ADDRESS, NAME} <= seen and (ADDRESS6 in seen or not _has_ipv6(attempts))


def _has_ipv6(attempts: Mapping[str, str]) -> bool:
    return any(ADDRESS6 in way and outcome == "sent" for way, outcome in attempts.items())


def _told(packet: Mapping[str, Any]) -> str:
    from .packets import Packet

    return str(Packet(**packet))


def _steps(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []


def _system() -> dict[str, str]:
    return {
        "machine": f"{platform.machine()}, {platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "user": str(os.getuid()) if hasattr(os, "getuid") else "",
    }


def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _hashes(path: Path) -> Iterator[tuple[str, str]]:
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if file.is_file():
            with file.open("rb") as opened:
                digest = hashlib.sha256()
                while block := opened.read(1 << 20):
                    digest.update(block)
            yield str(file), digest.hexdigest()


def _files(place: Path, folder: Path) -> list[str]:
    return [str(path.relative_to(folder)) for path in place.rglob("*") if not path.is_dir()]


def _leaks(folder: Path, *, except_for: Path) -> list[str]:
    canary = _CANARY.lower().encode()
    return sorted(
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and path != except_for and canary in path.read_bytes().lower()
    )

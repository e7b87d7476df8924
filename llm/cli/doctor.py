"""`practorflow doctor`: what is here, what is missing, and what to do about it.

Each check is a value with a verdict and a cure. The doctor never fails because of what it finds: settings that cannot
be read and libraries that crash are findings too.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ..exceptions import ConfigError, LLMError
from . import exit_codes
from .accelerators import Answer, ask_backends
from .command import Command, Context
from .estimate import machine_memory
from .installation import FEATURES, foreign_llm, installed_version, missing
from .output import size

if TYPE_CHECKING:
    from ..llm_config import LLMConfig
    from .command import Configuration

Verdict = Literal["ok", "optional", "problem"]
REQUIRED_DISK_BYTES = 10_000_000_000

_DESCRIPTION = """\
Look at this machine and this installation: packages, accelerators, settings, the configured model. Every finding that
needs something says what to do. Nothing is downloaded and nothing is sent.

The exit code is 1 where something is wrong that keeps the configured model from answering.
"""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        subject: what.
        verdict: "ok", "optional" (not there, and not needed for everything) or "problem".
        found: what is there.
        cure: what to do; empty where nothing has to be done.
    """

    subject: str
    verdict: Verdict
    found: str
    cure: str = ""


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quick", action="store_true", help="do not load the backends, which takes a few seconds")


def _run(options: argparse.Namespace, context: Context) -> int:
    findings: list[Finding] = []
    output = context.output
    if output.watched and not options.quick:
        output.note("Asking the backends ...")
    for finding in examine(context, quick=options.quick):
        findings.append(finding)
        if not output.as_json and not output.to_person:
            output.table(("", "", "", ""), [(finding.verdict, finding.subject, finding.found, finding.cure)])
    problems = [finding for finding in findings if finding.verdict == "problem"]
    if output.as_json:
        output.document({"sound": not problems, "findings": [asdict(finding) for finding in findings]})
    elif output.to_person:
        for finding in findings:
            output.line(f"{_MARKS[finding.verdict]} {finding.subject}: {finding.found}")
            if finding.cure:
                output.line(f"    {finding.cure}")
    if problems:
        output.note(f"{len(problems)} of {len(findings)} findings are problems.")
        return exit_codes.INCOMPLETE
    return exit_codes.OK


_MARKS = {"ok": "[ok]", "optional": "[--]", "problem": "[!!]"}


def examine(context: Context, *, quick: bool = False) -> Iterator[Finding]:
    """Everything that is looked at, in order."""
    yield from _python()
    yield from _packages()
    yield from _machine()
    if not quick:
        llama_cpp, torch = ask_backends(with_torch=installed_version("torch") is not None)
        yield _llama_cpp(llama_cpp)
        if torch is not None:
            yield _torch(torch)
    try:
        configuration = context.configuration()
    except ConfigError as error:
        yield Finding("settings", "problem", str(error), f"Change {error.field} as it says.")
        return
    yield from _settings(configuration)
    yield from _model(configuration.ModelConfiguration)


def _python() -> Iterator[Finding]:
    yield Finding("Python", "ok", f"{platform.python_version()} ({sys.executable})")
    other = foreign_llm()
    if other is not None:
        yield Finding(
            "import name",
            "problem",
            f"the package llm {other} is in this environment and is imported by the same name",
            "Give each an environment of its own: python -m venv.",
        )


def _packages() -> Iterator[Finding]:
    version = installed_version("practorflow")
    yield Finding("practorflow", "ok", version or f"not installed, run from {str(Path(__file__).parents[2])!r}")
    for feature in FEATURES:
        lacking = missing(feature)
        if not lacking:
            versions = ", ".join(f"{name} {installed_version(name)}" for name in feature.distributions)
            yield Finding(feature.name, "ok", versions)
        elif feature.extra:
            install = (
                f'pip install "practorflow[{feature.extra}]", or from a checkout: pip install -e ".[{feature.extra}]"'
            )
            yield Finding(
                feature.name, "optional", "not installed: " + ", ".join(lacking), f"Where you need it: {install}"
            )
        else:
            yield Finding(
                feature.name, "problem", "not installed: " + ", ".join(lacking), "pip install -r requirements.txt"
            )
    tesseract = shutil.which("tesseract")
    if tesseract:
        yield Finding("tesseract", "ok", tesseract)


def _machine() -> Iterator[Finding]:
    import psutil  # type: ignore[import-untyped, unused-ignore]

    from ..engine.compute_budget import PROCESS_BUDGET

    memory = psutil.virtual_memory()
    yield Finding("processor", "ok", f"{platform.machine()}, {PROCESS_BUDGET.threads} threads to compute with")
    yield Finding("memory", "ok", f"{size(memory.total)}, of which {size(memory.available)} are free")
    card = shutil.which("nvidia-smi")
    if card:
        yield Finding("NVIDIA driver", "ok", card)


def _llama_cpp(answer: Answer) -> Finding:
    if answer.failure:
        return Finding(
            "llama.cpp",
            "problem",
            answer.failure,
            "Install it again where it will run: pip install --force-reinstall --no-cache-dir llama-cpp-python",
        )
    if not answer.facts["amx_is_safe"]:
        return Finding(
            "llama.cpp",
            "ok",
            "computes on the processor, without its AMX instructions, which a fault of the compiler makes crash",
            "For faster prompts install it again with GCC 14 or later.",
        )
    if answer.facts["gpu"]:
        return Finding("llama.cpp", "ok", "can compute on a GPU (LLM_GPU_LAYERS)")
    cure = ""
    if shutil.which("nvidia-smi"):
        cure = (
            "There is an NVIDIA GPU: with CUDA's compiler in the PATH, install it again with "
            'CMAKE_ARGS="-DGGML_CUDA=on" pip install --force-reinstall --no-cache-dir --no-deps llama-cpp-python'
        )
    return Finding("llama.cpp", "ok", "computes on the processor; it was built without GPU support", cure)


def _torch(answer: Answer) -> Finding:
    if answer.failure:
        return Finding("torch", "problem", answer.failure, "pip install --force-reinstall torch")
    devices = answer.facts["devices"]
    if answer.facts["cuda"] and isinstance(devices, list):
        return Finding("torch", "ok", "CUDA on " + ", ".join(map(str, devices)))
    if answer.facts["mps"]:
        return Finding("torch", "ok", "Metal (LLM_DEVICE=mps)")
    return Finding("torch", "ok", "computes on the processor")


def _settings(configuration: Configuration) -> Iterator[Finding]:
    file = configuration.options_file
    yield Finding("settings", "ok", f"{str(file)!r} and the environment" if file else "defaults and the environment")
    download = configuration.DownloadConfiguration
    yield Finding("downloads", "ok", "forbidden (LLM_OFFLINE)" if download.offline else "only when a model is not here")
    private = configuration.WebConfiguration.private
    yield Finding("web search", "ok", "forbidden (LLM_PRIVATE)" if private else "only when your code asks for it")
    kind = configuration.SessionConfiguration.database_url.partition(":")[0]
    yield Finding("sessions", "ok", f"in {kind}")
    if kind.startswith("postgresql") and installed_version("psycopg") is None:
        yield Finding(
            "sessions", "problem", "PostgreSQL's driver is not installed", 'pip install "practorflow[postgres]"'
        )
    if kind == "sqlite":
        database = configuration.SessionConfiguration.database_url.removeprefix("sqlite:///")
        yield from _unwritable("sessions", database, "SESSION_DATABASE_URL")
    knowledge = configuration.KnowledgeChromaConfiguration
    if knowledge.host is not None:
        yield Finding("documents", "ok", f"in the Chroma server {knowledge.host}:{knowledge.port}")
    else:
        yield Finding("documents", "ok", f"in {knowledge.persist_directory!r}")
        yield from _unwritable("documents", knowledge.persist_directory, "KB_CHROMA_PERSIST_DIRECTORY")


def _unwritable(subject: str, name: str, variable: str) -> Iterator[Finding]:
    """A finding where neither the file or folder nor, while it is not there, the one around it can be written to."""
    place = Path(name).expanduser().absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    if not os.access(place, os.W_OK):
        cure = f"Have its permissions changed, or name another place in {variable}."
        yield Finding(subject, "optional", f"{str(place)!r} cannot be written to", cure)


def _model(config: LLMConfig) -> Iterator[Finding]:
    from ..factory import default_loader
    from ..hub.resolve import resolve_model

    subject = f"model {config.model_name!r}"
    try:
        found = resolve_model(config, offline=True)
        needed = default_loader().estimate_memory(config)
    except LLMError as error:
        verb = "fetch" if "/" in config.model_name else "list"
        yield Finding(
            subject, "problem", str(error), f"`practorflow models {verb}` may help; LLM_MODEL chooses another."
        )
        return
    memory = machine_memory()
    words = f"{str(found.path)!r}, about {size(needed)} of memory with LLM_N_CTX={config.n_ctx}"
    if needed > memory and config.device in ("auto", "cpu"):
        yield Finding(
            subject, "problem", f"{words}; this machine has {size(memory)}", "Lower LLM_N_CTX or take a smaller model."
        )
    else:
        yield Finding(subject, "ok", words)
    if config.model_name == "demo":
        yield Finding(
            "answers",
            "optional",
            "the demo model knows next to nothing",
            "For real ones: `practorflow models fetch` and LLM_MODEL, see `practorflow models --help`.",
        )
    folder = Path(config.models_dir).expanduser()
    free = shutil.disk_usage(folder if folder.is_dir() else Path()).free
    if free < REQUIRED_DISK_BYTES:
        yield Finding(
            "disk", "optional", f"{size(free)} free for models in {str(folder)!r}", "A 7B model takes 4.7 GB."
        )
    else:
        yield Finding("disk", "ok", f"{size(free)} free for models in {str(folder)!r}")


COMMAND = Command("doctor", "what is installed, what is missing, what to do", _DESCRIPTION, _add_arguments, _run)

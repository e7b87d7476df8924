"""What the native backends can compute on, asked in processes of their own.

Loading a backend takes seconds and memory, and one that was built for another machine dies: neither may happen to
the command that looks for the cause.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

TIMEOUT_SECONDS = 120.0

_LLAMA_CPP = """
import json
from llm.llama_cpp_library import initialised_library, repacking_is_safe
library = initialised_library()
print(json.dumps({
    "gpu": bool(library.llama_supports_gpu_offload()),
    "features": library.llama_print_system_info().decode(errors="replace"),
    "amx_is_safe": repacking_is_safe(),
}))
"""

_TORCH = """
import json, torch
devices = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
print(json.dumps({
    "cuda": torch.cuda.is_available(),
    "devices": devices,
    "memory": [torch.cuda.get_device_properties(number).total_memory for number in range(len(devices))],
    "mps": torch.backends.mps.is_available(),
}))
"""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a backend said.

    Attributes:
        facts: what it printed; empty where it failed.
        failure: why there are none, in one line.
    """

    facts: dict[str, object]
    failure: str = ""


def ask_backends(*, with_torch: bool) -> tuple[Answer, Answer | None]:
    """llama.cpp's answer, and torch's where it is installed. Both are asked at the same time."""
    first = _start(_LLAMA_CPP)
    second = _start(_TORCH) if with_torch else None
    return _answer(first), None if second is None else _answer(second)


def _start(code: str) -> subprocess.Popen[str]:
    root = str(Path(__file__).resolve().parents[2])
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {root!r})\n{code}"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _answer(process: subprocess.Popen[str]) -> Answer:
    with process:
        try:
            printed, complaints = process.communicate(timeout=TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            return Answer({}, f"it did not answer within {TIMEOUT_SECONDS:g} seconds")
        except BaseException:
            process.kill()
            raise
    if process.returncode < 0:
        return Answer({}, f"it died of signal {-process.returncode}; it was probably built for another processor")
    if process.returncode != 0:
        last = complaints.strip().splitlines()
        return Answer({}, last[-1] if last else f"it ended with code {process.returncode}")
    facts: dict[str, object] = json.loads(printed.strip().splitlines()[-1])
    return Answer(facts)

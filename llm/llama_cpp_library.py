"""llama.cpp as a library of this process: initialised once, its messages collected, its dangers tried out first.

`python -m llm.llama_cpp_library` is the try-out: it decodes a few tokens of a small quantized model with random
weights, every CPU feature on, and ends well or dies.
"""

from __future__ import annotations

import atexit
import ctypes
import functools
import subprocess
import sys
import threading
from collections import deque
from pathlib import Path
from typing import Any

import llama_cpp._utils
import llama_cpp.llama_cpp as library

from .logs import RUNNER, get_logger

_logger = get_logger(RUNNER)
_WARNING, _ERROR, _CONTINUED = 3, 4, 5  # enum ggml_log_level
_recent_errors: deque[str] = deque(maxlen=4)
_initialised = threading.Lock()
_NAME = f"{__package__}.llama_cpp_library"
_TRYOUT = Path(__file__).with_name("llama_cpp_tryout.gguf")


# llama-cpp-python opens the null device twice for good, and Python complains of it at the end.
atexit.register(llama_cpp._utils.outnull_file.close)
atexit.register(llama_cpp._utils.errnull_file.close)


@library.llama_log_callback  # type: ignore[untyped-decorator]
def _on_message(level: int, text: bytes, _user_data: Any) -> None:
    if level in (_WARNING, _ERROR):
        message = text.decode("utf-8", "replace").strip()
        if level == _ERROR:
            _recent_errors.append(message)
        _logger.debug("llama.cpp: %s", message)


@functools.cache
def _initialise() -> None:
    library.llama_log_set(_on_message, ctypes.c_void_p(0))
    library.llama_backend_init()


def initialised_library() -> Any:
    """The low-level functions of llama.cpp, ready to use. Thread-safe."""
    with _initialised:
        _initialise()
    return library


def take_recent_errors() -> str:
    """What llama.cpp complained about lately, in one line; forgotten afterwards."""
    text = "; ".join(_recent_errors)
    _recent_errors.clear()
    return text


@functools.cache
def repacking_is_safe() -> bool:
    """Whether weights may be rearranged for special instructions of this CPU.

    GCC before 12.4, 13.3 and 14 compiles the AMX set-up wrongly (its `_tile_loadconfig` declares too few bytes as
    read), and a llama.cpp built with it dies of SIGSEGV in the first decode on a CPU that has AMX. Which compiler made
    the library cannot be asked for, so a child process tries it.
    """
    try:
        has_amx = "amx_tile" in Path("/proc/cpuinfo").read_text()
    except OSError:
        return True
    if not has_amx:
        return True
    if not sys.executable:
        return False
    root = str(Path(__file__).resolve().parents[1])
    code = f"import sys, runpy; sys.path.insert(0, {root!r}); runpy.run_module({_NAME!r}, run_name='__main__')"
    trial = [sys.executable, "-c", code]
    try:
        safe = subprocess.run(trial, capture_output=True, timeout=60, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        safe = False
    if not safe:
        _logger.warning(
            "llama.cpp crashes on this CPU's AMX instructions, so they are not used. Reinstall llama-cpp-python with "
            "GCC 14 or later for faster prompts: pip install --force-reinstall --no-cache-dir llama-cpp-python"
        )
    return safe


def _try_everything() -> None:
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # dying is an answer, not an accident to be kept
    library = initialised_library()
    model = library.llama_model_load_from_file(str(_TRYOUT).encode(), library.llama_model_default_params())
    params = library.llama_context_default_params()
    params.n_ctx = params.n_batch = 256
    context = library.llama_init_from_model(model, params)
    tokens = (library.llama_token * 64)(*range(64))
    for count in (64, 1):  # many rows and one row take different paths
        if library.llama_decode(context, library.llama_batch_get_one(tokens, count)) != 0:
            sys.exit(1)


if __name__ == "__main__":
    _try_everything()

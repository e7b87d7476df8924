"""llama.cpp's dangers are met in a child process first."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from llm import llama_cpp_library


def test_weights_are_rearranged_only_where_that_was_seen_to_work() -> None:
    """The verdict is that of a child process: what kills it is never done in this one."""
    code = "import runpy; runpy.run_module('llm.llama_cpp_library', run_name='__main__')"
    child = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[1], capture_output=True)
    has_amx = "amx_tile" in Path("/proc/cpuinfo").read_text()
    assert llama_cpp_library.repacking_is_safe() == (child.returncode == 0 or not has_amx)


def test_complaints_are_collected_and_given_once() -> None:
    """What llama.cpp says about a broken file is at hand for the error message, and then forgotten."""
    library = llama_cpp_library.initialised_library()
    llama_cpp_library.take_recent_errors()
    assert not library.llama_model_load_from_file(b"/nonexistent.gguf", library.llama_model_default_params())
    assert "nonexistent" in llama_cpp_library.take_recent_errors()
    assert llama_cpp_library.take_recent_errors() == ""

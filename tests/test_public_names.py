"""What `llm` shows to the world, and what importing it costs."""

from __future__ import annotations

import inspect
import subprocess
import sys

import llm
from llm import exceptions

HEAVY = ("torch", "transformers", "llama_cpp", "chromadb", "docling", "pydantic_ai", "sentence_transformers")


def test_every_public_name_is_there_and_listed() -> None:
    """`__all__` is sorted, resolves, and contains every error."""
    assert llm.__all__ == sorted(llm.__all__)
    assert all(getattr(llm, name) is not None for name in llm.__all__)
    errors = {name for name, value in vars(exceptions).items() if inspect.isclass(value)}
    assert errors <= set(llm.__all__)


def test_the_tree_of_errors_is_drawn_as_it_is() -> None:
    """Each class stands in the drawing below its base."""
    drawing = [
        line
        for line in (exceptions.__doc__ or "").splitlines()
        if "Error" in line and ("──" in line or line.startswith("    LLMError"))
    ]
    parents: list[tuple[int, str]] = []
    drawn = {}
    for line in drawing:
        name = next(word for word in line.replace("(", " ").split() if word.endswith("Error"))
        depth = line.index(name)
        while parents and parents[-1][0] >= depth:
            parents.pop()
        drawn[name] = parents[-1][1] if parents else "Exception"
        parents.append((depth, name))
    real = {name: value.__bases__[0].__name__ for name, value in vars(exceptions).items() if inspect.isclass(value)}
    assert drawn == real


def test_importing_the_library_loads_no_backend() -> None:
    """A fresh interpreter that imports `llm` and its light names has none of the heavy packages, and no socket."""
    code = (
        "import sys, llm; llm.ModelPool, llm.LLMConfig, llm.StreamChunk, llm.ModelHandle\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"

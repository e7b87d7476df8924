"""What the library shows to the world: listed once, documented, used by the pages, and cheap to import."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import FunctionType

import pytest

import llm
from llm import exceptions

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "public-names.md").read_text(encoding="utf-8")
HEAVY = ("torch", "transformers", "llama_cpp", "chromadb", "docling", "pydantic_ai", "sentence_transformers")
SHOWING = sorted([ROOT / "README.md", ROOT / "sample.py", ROOT / "pyai-examples.py", *(ROOT / "docs").glob("*.md")])


def rows(section: str) -> list[str]:
    """What the first column of a section's tables names."""
    return re.findall(r"^\| `([\w.]+)` \|", section, re.M)


SECTIONS = {title: rows(text) for title, text in re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S)}
INNER = SECTIONS.pop("Inner parts that pages show")
PUBLIC = {title.strip("`"): names for title, names in SECTIONS.items()}


def test_the_page_has_every_package_that_lists_names() -> None:
    """And the two modules that stand alone."""
    listing = {
        ".".join(path.relative_to(ROOT).parent.parts)
        for path in (ROOT / "llm").rglob("__init__.py")
        if "__all__" in path.read_text(encoding="utf-8")
    } - {"llm.demo.skills"}
    assert set(PUBLIC) == listing | {"llm.lockdown", "settings.app_settings"}


@pytest.mark.parametrize("module", PUBLIC)
def test_the_page_has_every_public_name_once(module: str) -> None:
    """Each is listed in `__all__`, is there, and says in its docstring what it is."""
    package = import_module(module)
    assert sorted(PUBLIC[module]) == sorted(package.__all__)
    for name in package.__all__:
        value = getattr(package, name)
        assert name in dir(package)
        if inspect.isclass(value) or inspect.isfunction(value):
            said = value.__doc__ or f"{name}("  # what a dataclass says of itself where nobody does
            assert not said.startswith(f"{name}("), f"{module}.{name} does not say what it is"


@pytest.mark.parametrize("module", [name for name in PUBLIC if name != "llm.testing"])
def test_every_public_method_says_what_it_does(module: str) -> None:
    """Properties and class methods too; what is overridden may leave that to the base."""
    package = import_module(module)
    for name in package.__all__:
        value = getattr(package, name)
        for attribute, member in vars(value).items() if inspect.isclass(value) else ():
            if not attribute.startswith("_") and isinstance(
                member, (FunctionType, property, classmethod, staticmethod)
            ):
                assert inspect.getdoc(getattr(value, attribute)), f"{module}.{name}.{attribute} has no docstring"


@pytest.mark.parametrize("path", SHOWING, ids=lambda path: path.name)
def test_pages_and_examples_import_public_names(path: Path) -> None:
    """From where they are public; the parts that two pages explain are marked as inner ones."""
    text = path.read_text(encoding="utf-8")
    for module, names in re.findall(r"^\s*from ((?:llm|settings)[\w.]*) import (\([^)]*\)|[^\n#]+)", text, re.M):
        for name in re.findall(r"\w+", names):
            public = name in PUBLIC.get(module, []) or f"{module}.{name}" in PUBLIC
            assert public or module in INNER, f"{path.name}: from {module} import {name}"


def test_inner_parts_are_where_the_page_says() -> None:
    """Their names resolve to modules, which say what they are."""
    assert all(import_module(module).__doc__ for module in INNER)


def test_the_page_s_example_prints_what_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    """The comment behind the line is its output."""
    (block,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.M | re.S)
    exec(compile(block, "docs/public-names.md", "exec"), {})
    assert capsys.readouterr().out.strip() == block.strip().rpartition("# ")[2]


@pytest.mark.parametrize("module", [name for name in PUBLIC if name.startswith("llm.")])
def test_names_on_demand_come_from_where_types_say(module: str) -> None:
    """What a type checker is told and what is loaded are one thing."""
    package = import_module(module)
    tree = ast.parse(Path(package.__file__ or "").read_text(encoding="utf-8"))
    told = {
        alias.name: "." * node.level + (node.module or "")
        for block in tree.body
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert told == getattr(package, "_ON_DEMAND", {})


def test_every_error_is_public() -> None:
    """The list of `llm` is sorted and has all of the tree."""
    assert llm.__all__ == sorted(llm.__all__)
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

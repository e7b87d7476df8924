"""The architecture as it is told is the architecture as it is: packages, directions of imports, public names."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ARCHITECTURE = (ROOT / "ARCHITECTURE.md").read_text()

# Whoever loads one of these is about it, and is imported by name when it is needed.
HEAVY = (
    "torch", "transformers", "llama_cpp", "chromadb", "docling", "docling_core", "pydantic_ai",
    "sentence_transformers", "onnxruntime",
)  # fmt: skip
LEAVES = re.compile(
    r"llm\.(demo\.\w+|pyai(\.\w+)?|llama_cpp_\w+|transformers_\w+|chat\.llama_cpp_tokenizer"
    r"|engine\.(llama_cpp_executor|transformers_\w+|cell_\w+|generate_executor)"
    r"|document\.(office|pdf|image|layout|ocr|docling|conversion|worker|\w*embedd)\w*"
    r"|knowledge\.(vector_index|vector_upkeep|dense_search|document_search|ingest_pipeline|chroma_knowledge_store)\w*)(\.\w+)*"
)

# Whose switches they are is said where they are written; our own settings are read by `settings` alone.
WRITES_SWITCHES_OF_OTHERS = {
    "llm.llama_cpp_library",
    "llm.privacy",
    "llm.document.conversion_worker",
    "llm.document.passive_openmp",
    "llm.lockdown",
    "llm.offline_proof.verification",
    "llm.transformers_library",
}


@cache
def modules() -> dict[str, Path]:
    """Every module of the wheel by its full name."""
    found = {}
    for package in ("llm", "settings"):
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def imports(name: str, *, when: Callable[[ast.Module], Iterable[ast.AST]] = ast.walk) -> frozenset[str]:
    """Full names of what a module imports; `when` chooses the nodes of its text that count."""
    path = modules()[name]
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found: set[str] = set()
    for node in when(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            source = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                whole = f"{source}.{alias.name}"
                found.add(whole if whole in modules() else source)
    return frozenset(found)


def _executed(tree: ast.Module) -> list[ast.stmt]:
    """Statements that run when the module is imported, without TYPE_CHECKING blocks."""
    statements, todo = [], list(tree.body)
    while todo:
        node = todo.pop()
        statements.append(node)
        if isinstance(node, ast.If) and not (isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"):
            todo += [*node.body, *node.orelse]
        elif isinstance(node, ast.Try):
            todo += [*node.body, *node.orelse, *node.finalbody, *(line for one in node.handlers for line in one.body)]
        elif isinstance(node, (ast.ClassDef, ast.With)):
            todo += node.body
    return statements


def _without_types(tree: ast.Module) -> Iterator[ast.AST]:
    """Everything that may run, in functions too; TYPE_CHECKING blocks never do."""
    todo: list[ast.AST] = [tree]
    while todo:
        node = todo.pop()
        if not (isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"):
            yield node
            todo += ast.iter_child_nodes(node)


def in_package(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


@cache
def loaded_with(name: str) -> frozenset[str]:
    """Everything that importing a module imports, its packages included; other people's by their top-level names."""
    seen: set[str] = set()
    todo = [name]
    while todo:
        one = todo.pop()
        if one in seen:
            continue
        seen.add(one)
        if one not in modules():
            continue
        parents = one.split(".")
        todo += [".".join(parents[:end]) for end in range(1, len(parents))]
        todo += imports(one, when=_executed)
    return frozenset(one if one in modules() else one.split(".")[0] for one in seen)


def test_the_table_of_packages_lists_those_there_are() -> None:
    """One line for each package, and no line for one that is not there."""
    table = set(re.findall(r"^\| `([\w/]+)` \|", ARCHITECTURE, re.M))
    packages = {
        str(path.parent.relative_to(ROOT))
        for path in (ROOT / "llm").glob("*/__init__.py")
        if path.parent.name != "__pycache__"
    }
    assert table == packages | {"settings", "benchmarks", "evals"}


def test_files_that_the_architecture_names_exist() -> None:
    """Each path in backquotes leads somewhere, from the root or from `llm`."""
    for path in re.findall(r"`([\w/]+\.(?:py|md|env))`", ARCHITECTURE):
        assert (ROOT / path).exists() or (ROOT / "llm" / path).exists(), path


@pytest.mark.parametrize("one", ["engine", "chat", "grammar"])
def test_engine_chat_and_grammar_do_not_know_each_other(one: str) -> None:
    """The runner joins them; not even types cross."""
    others = {f"llm.{other}" for other in ("engine", "chat", "grammar") if other != one}
    for name in modules():
        if in_package(name, f"llm.{one}"):
            crossing = {target for target in imports(name) for other in others if in_package(target, other)}
            assert not crossing, f"{name} imports {sorted(crossing)}"


def test_only_the_program_knows_settings() -> None:
    """`settings` imports `llm`; of `llm`, only `python -m llm` imports `settings`."""
    knowing = {name for name in modules() if name.startswith("llm") and any(
        in_package(target, "settings") for target in imports(name)
    )}  # fmt: skip
    assert knowing == {"llm.__main__"}


def test_nobody_imports_the_outer_faces() -> None:
    """The command line and the agents stand outside; what is inside does not know them."""
    for face, program in (("llm.cli", {"llm.__main__"}), ("llm.pyai", set())):
        knowing = {name for name in modules() if any(in_package(target, face) for target in imports(name))}
        assert {name for name in knowing if not in_package(name, face)} <= program


def test_values_and_contracts_do_not_import_what_is_built_on_them() -> None:
    """`llm/hub`, `llm/engine` and `llm/grammar` know no pool, session, tool, document or knowledge."""
    outer = [f"llm.{name}" for name in ("pool", "session", "tools", "document", "knowledge", "testing")]
    for name in modules():
        if any(in_package(name, f"llm.{inner}") for inner in ("hub", "engine", "grammar")):
            wrong = {target for target in imports(name) for package in outer if in_package(target, package)}
            assert not wrong, f"{name} imports {sorted(wrong)}"


def test_no_modules_need_each_other() -> None:
    """Neither while they are imported nor later, in a function; only names of types may go round."""
    graph = {name: imports(name, when=_without_types) & set(modules()) - {name} for name in modules()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_heavy_libraries_are_loaded_by_the_modules_about_them() -> None:
    """Importing anything else of the library loads none of them."""
    for name in modules():
        if not LEAVES.fullmatch(name):
            heavy = loaded_with(name) & set(HEAVY)
            assert not heavy, f"{name} loads {sorted(heavy)}"


def test_only_settings_reads_the_environment() -> None:
    """Everybody else is told; a few modules write switches that belong to other packages."""
    reading = {name for name, path in modules().items() if re.search(r"\bos\.(environ|getenv|putenv)\b", _code(path))}
    assert {name for name in reading if name.startswith("llm")} <= WRITES_SWITCHES_OF_OTHERS


def _code(path: Path) -> str:
    """A module without its docstrings and comments."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            node.value.value = ""
    return ast.unparse(tree)


def public_packages() -> list[str]:
    return [name for name, path in modules().items() if path.name == "__init__.py" and "__all__" in path.read_text()]


@pytest.mark.parametrize("name", public_packages())
def test_a_package_lists_its_public_names_once(name: str) -> None:
    """`__all__` is sorted, has no name twice, and each name is bound in the package or looked up on demand."""
    tree = ast.parse(modules()[name].read_text(encoding="utf-8"))
    lists = {
        target.id: ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name) and target.id in ("__all__", "_ON_DEMAND")
    }
    listed = lists["__all__"]
    assert listed == sorted(set(listed))
    bound = {
        alias.asname or alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        bound |= {target.id for target in targets if isinstance(target, ast.Name)}
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            bound.add(node.name)
    assert set(listed) <= bound | set(lists.get("_ON_DEMAND", {}))
    assert set(lists.get("_ON_DEMAND", {})) <= set(listed)

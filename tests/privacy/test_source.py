"""What the library's own code must not do, read from its source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import llm

OURS = Path(llm.__file__).parents[1]
SOURCES = sorted(path for package in ("llm", "settings") for path in (OURS / package).rglob("*.py"))

CODE_IN_DATA = {"pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve", "joblib", "jsonpickle"}
NETWORK = {
    "socket",
    "socketserver",
    "http",
    "urllib",
    "ssl",
    "ftplib",
    "smtplib",
    "requests",
    "httpx",
    "aiohttp",
    "primp",
}

# Each speaks to the network by name, or about it: hub, web searches, proof, lockdown, a stand-in for tests.
ON_THE_NETWORK = {
    "llm/hub/hub_client.py": {"http", "ssl", "urllib"},
    "llm/tools/base_web_search.py": {"primp"},
    "llm/tools/serpapi_web_search.py": {"requests"},
    "llm/offline_proof/control.py": {"socket"},
    "llm/offline_proof/network_sandbox.py": {"socket"},
    "llm/lockdown.py": {"socket"},
    "llm/testing/hub_stand_in.py": {"http", "urllib"},
}
HARMLESS = {"urllib.parse"}


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module or ""


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def forbidden(tree: ast.AST) -> Iterator[str]:
    """Everything in a module that could run what somebody else wrote."""
    yield from (f"import {name}" for name in imported(tree) if name.split(".")[0] in CODE_IN_DATA)
    for name, node in calls(tree):
        keywords = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
        if name in ("eval", "exec", "os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput"):
            yield name
        if name.endswith(
            ("yaml.load", "yaml.unsafe_load", "jinja2.Environment", "jinja2.Template", "NativeEnvironment")
        ):
            yield name
        if name in ("Environment", "Template", "SandboxedEnvironment"):
            yield name
        if name.endswith("torch.load") and keywords.get("weights_only") != "True":
            yield name
        if name.endswith(("np.load", "numpy.load")) and keywords.get("allow_pickle", "False") != "False":
            yield name
        if keywords.get("shell") == "True" or keywords.get("trust_remote_code") == "True":
            yield f"{name}({', '.join(keywords)})"


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "from joblib import load",
        "eval(text)",
        "jinja2.Environment()",
        "jinja2.Template(text)",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "numpy.load(path, allow_pickle=True)",
        "yaml.load(text)",
        "subprocess.run(text, shell=True)",
        "AutoModel.from_pretrained(path, trust_remote_code=True)",
    ],
)
def test_the_search_finds_what_it_looks_for(code: str) -> None:
    """Each way is found where it stands."""
    assert list(forbidden(ast.parse(code)))


def test_nothing_runs_what_somebody_else_wrote() -> None:
    """No pickle, no eval, no shell, no template outside the sandbox, no remote code, in any module."""
    found = {str(path.relative_to(OURS)): list(forbidden(ast.parse(path.read_text("utf-8")))) for path in SOURCES}
    assert {name: ways for name, ways in found.items() if ways} == {}


def test_only_those_that_say_so_speak_to_the_network() -> None:
    """A module that imports a client of any kind is on the list above, with that client."""
    found = {}
    for path in SOURCES:
        names = {name for name in imported(ast.parse(path.read_text("utf-8"))) if name not in HARMLESS}
        clients = {name.split(".")[0] for name in names} & NETWORK
        if clients:
            found[str(path.relative_to(OURS))] = clients
    assert {name: clients for name, clients in found.items() if not clients <= ON_THE_NETWORK.get(name, set())} == {}

"""What dependencies would send by themselves is switched off before they are imported, or somebody is told."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

import llm
from llm.privacy import HUB_OFF, TELEMETRY_OFF, switched_off

OURS = Path(llm.__file__).parent
SENDS = {"onnxruntime", "rapidocr"}
"""Packages that send, or that cannot do without one that does."""


def run_python(code: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run `code` in a fresh interpreter whose environment knows none of the switches but those given."""
    clean = {name: value for name, value in os.environ.items() if name not in {**TELEMETRY_OFF, **HUB_OFF, "CI": ""}}
    clean["PYTHONPATH"] = str(OURS.parent)
    return subprocess.run(
        [sys.executable, "-c", code], env={**clean, **environ}, capture_output=True, text=True, check=False
    )


def test_importing_llm_switches_everything_off() -> None:
    """After `import llm` each switch stands in the environment, where packages and child processes find it."""
    result = run_python(
        f"import llm, os; print(all(os.environ[n] == v for n, v in { ({**TELEMETRY_OFF, **HUB_OFF})!r}.items()))"
    )
    assert result.stdout.strip() == "True", result.stderr


def test_telemetry_is_off_whatever_the_environment_says() -> None:
    """A switch that stands the other way is turned; traces of queries go to no collector."""
    environ = {**dict.fromkeys(TELEMETRY_OFF, "0"), "ANONYMIZED_TELEMETRY": "True", "PATH": "kept"}
    environ |= {"CHROMA_OTEL_COLLECTION_ENDPOINT": "http://collector.example", "chroma_otel_granularity": "all"}
    switched_off(environ, imported={})
    assert {name: environ[name] for name in TELEMETRY_OFF} == dict(TELEMETRY_OFF)
    assert not [name for name in environ if name.lower().startswith("chroma")]
    assert environ["PATH"] == "kept"


@pytest.mark.parametrize("offline", ["1", "true", "YES", "on"])
@pytest.mark.parametrize("name", ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"])
def test_one_wish_to_be_offline_is_enough(name: str, offline: str) -> None:
    """HF_HUB_OFFLINE=0 beside TRANSFORMERS_OFFLINE=1 means online to the hub's own client, and offline here."""
    environ = {"HF_HUB_OFFLINE": "0", "TRANSFORMERS_OFFLINE": "0", name: offline}
    state = switched_off(environ, imported={})
    assert state.hub_forbidden
    assert not state.hub_allowed_to_others
    assert {name: environ[name] for name in HUB_OFF} == dict(HUB_OFF)


@pytest.mark.parametrize("said", [{}, {"HF_HUB_OFFLINE": ""}, {"HF_HUB_OFFLINE": " ", "TRANSFORMERS_OFFLINE": "0"}])
def test_dependencies_do_not_ask_the_hub_unless_somebody_says_so(said: Mapping[str, str]) -> None:
    """Nothing said is offline for them, and forbids nothing to our own downloads."""
    environ = dict(said)
    state = switched_off(environ, imported={})
    assert not state.hub_forbidden
    assert environ["HF_HUB_OFFLINE"] == environ["TRANSFORMERS_OFFLINE"] == "1"


def test_a_program_that_uses_the_hub_itself_says_so() -> None:
    """HF_HUB_OFFLINE=0 is a choice and stands; so does how its tokens and transfers are to work."""
    environ = {"HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_IMPLICIT_TOKEN": "0"}
    state = switched_off(environ, imported={})
    assert state.hub_allowed_to_others
    assert environ["HF_HUB_OFFLINE"] == environ["HF_HUB_DISABLE_IMPLICIT_TOKEN"] == "0"
    assert environ["HF_HUB_DISABLE_XET"] == environ["HF_HUB_DISABLE_TELEMETRY"] == "1"


ASK = "import huggingface_hub as hub; print(hub.is_offline_mode(), hub.constants.HF_HUB_DISABLE_TELEMETRY)"
OFFLINE = "from llm.hub import DownloadPolicy, set_download_policy; set_download_policy(DownloadPolicy(offline=True));"


@pytest.mark.parametrize(
    ("code", "environ", "offline"),
    [
        (f"import llm; {ASK}", {}, True),
        (f"import huggingface_hub, llm; {ASK}", {}, True),
        (f"import llm; {ASK}", {"HF_HUB_OFFLINE": "0", "TRANSFORMERS_OFFLINE": "1"}, True),
        (f"import huggingface_hub, llm; {ASK}", {"HF_HUB_OFFLINE": "0", "TRANSFORMERS_OFFLINE": "1"}, True),
        (f"import huggingface_hub, llm; {ASK}", {"HF_HUB_OFFLINE": "0"}, False),
        (f"import llm; {ASK}", {"HF_HUB_OFFLINE": "0"}, False),
        (f"import huggingface_hub; {OFFLINE} {ASK}", {"HF_HUB_OFFLINE": "0"}, True),
        (f"{OFFLINE} {ASK}", {"HF_HUB_OFFLINE": "0"}, True),
        (
            f"import huggingface_hub; import settings.app_settings as s; s.appConfiguration; {ASK}",
            {"HF_HUB_OFFLINE": "0", "LLM_OFFLINE": "1"},
            True,
        ),
        (f"import huggingface_hub.constants as c; c.HF_HUB_OFFLINE = True; import llm; {ASK}", {}, True),
    ],
)
def test_the_hub_client_is_offline_however_it_comes_in(code: str, environ: dict[str, str], offline: bool) -> None:
    """Imported before or after, with contradicting variables or none: offline, but for a plain HF_HUB_OFFLINE=0."""
    result = run_python(code, **environ)
    assert result.stdout.split() == [str(offline), "True"], result.stderr


FAKE_ONNXRUNTIME = "import sys, types; sys.modules['onnxruntime'] = types.ModuleType('onnxruntime');"


def test_telemetry_that_cannot_be_stopped_is_announced() -> None:
    """onnxruntime imported first: importing llm warns, what computes with it refuses, and so does LLM_OFFLINE=1."""
    late = run_python(f"{FAKE_ONNXRUNTIME} import llm")
    assert "RuntimeWarning: onnxruntime was imported before llm" in late.stderr
    for code in (
        "from llm.privacy import require_private; require_private('onnxruntime')",
        f"{OFFLINE}",
        "import os; os.environ['LLM_OFFLINE'] = '1'; from settings.app_settings import appConfiguration",
    ):
        refused = run_python(f"{FAKE_ONNXRUNTIME} {code}")
        assert refused.returncode == 1
        assert "PrivacyError: onnxruntime was imported before llm" in refused.stderr


def test_with_its_switch_set_onnxruntime_may_come_first() -> None:
    """ORT_DISABLE_TELEMETRY=1 before Python starts leaves nothing to complain of; CI=true is no such switch."""
    code = f"{FAKE_ONNXRUNTIME} from llm.privacy import require_private; require_private('onnxruntime')"
    assert run_python(code, ORT_DISABLE_TELEMETRY="1").stderr == ""
    assert run_python(code, CI="true").returncode == 1


def test_switches_are_written_before_anything_heavy_is_there() -> None:
    """At that moment none of the packages concerned is loaded, and importing llm loads none."""
    result = run_python(
        f"import sys, llm; print(sorted({SENDS | {'huggingface_hub', 'chromadb', 'docling'}!r} & set(sys.modules)))"
    )
    assert result.stdout.strip() == "[]"


def test_whoever_imports_a_package_that_sends_asks_first() -> None:
    """Every module of ours that imports such a package calls `require_private`."""
    careless = []
    for path in OURS.rglob("*.py"):
        nodes = list(_running(ast.parse(path.read_text("utf-8"))))
        imported = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
        imported |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom) and not node.level}
        calls = {node.func.id for node in nodes if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
        if {name.split(".")[0] for name in imported} & SENDS and "require_private" not in calls:
            careless.append(str(path.relative_to(OURS)))
    assert careless == []


def _running(node: ast.AST) -> Iterator[ast.AST]:
    """The node and all below it but what only a type checker reads."""
    yield node
    if not (isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"):
        for child in ast.iter_child_nodes(node):
            yield from _running(child)

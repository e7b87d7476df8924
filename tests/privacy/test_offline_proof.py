"""The proof sees what is sent, passes where nothing is, and fails for every single reason that it knows."""

from __future__ import annotations

import ast
import json
import socket
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm.exceptions import OfflineError, RequestError
from llm.knowledge.chroma_knowledge_config import ChromaKnowledgeConfig
from llm.llm_config import LLMConfig
from llm.offline_proof import OfflineReport, verify_offline
from llm.offline_proof.control import ADDRESS, ADDRESS6, NAME
from llm.offline_proof.packets import Packet, read_packet
from llm.offline_proof.verification import Watched, _knowledge_from_anywhere, _leaks, _model_from_anywhere, _own_folder
from llm.privacy import HUB_OFF, TELEMETRY_OFF

WatchedPython = Callable[..., Watched]
SWITCHES = (*TELEMETRY_OFF, *HUB_OFF)
STEPS = [
    "load",
    "chat",
    "stream",
    "tool call",
    "open store",
    "ingest",
    "search",
    "answer",
    "delete documents",
    "session",
    "delete session",
    "unload",
    "wait",
]


def ip4(destination: str, protocol: int, body: bytes) -> bytes:
    header = struct.pack(">BBHHHBBH", 0x46, 0, 0, 0, 0, 64, protocol, 0)  # 24 bytes: options are skipped
    return header + bytes(4) + socket.inet_aton(destination) + bytes(4) + body


def ip6(destination: str, protocol: int, body: bytes) -> bytes:
    header = struct.pack(">IHBB", 0x60000000, len(body), protocol, 64)
    return header + bytes(16) + socket.inet_pton(socket.AF_INET6, destination) + body


def query(name: str) -> bytes:
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack(">HHHH", 40000, 53, 0, 0) + bytes(12) + labels + b"\0\0\1\0\1"


@pytest.mark.parametrize(
    ("data", "packet", "leaves"),
    [
        (ip4("203.0.113.9", 6, struct.pack(">HH", 40000, 443)), Packet("TCP", "203.0.113.9", 443), True),
        (ip4("127.0.0.1", 6, struct.pack(">HH", 40000, 5432)), Packet("TCP", "127.0.0.1", 5432), False),
        (ip4("192.0.2.53", 17, query("a.example")), Packet("UDP", "192.0.2.53", 53, "a.example"), True),
        (ip4("127.0.0.53", 17, query("a.example")), Packet("UDP", "127.0.0.53", 53, "a.example"), True),
        (ip4("224.0.0.1", 2, b""), Packet("protocol 2", "224.0.0.1"), True),
        (ip6("2001:db8::9", 17, struct.pack(">HHHH", 1, 123, 0, 0)), Packet("UDP", "2001:db8::9", 123), True),
        (ip6("::1", 6, struct.pack(">HH", 1, 80)), Packet("TCP", "::1", 80), False),
        (
            ip6("::1", 58, bytes([1, 0]) + bytes(6) + ip6("2001:db8::9", 6, struct.pack(">HH", 1, 443))),
            Packet("TCP", "2001:db8::9", 443),
            True,
        ),
        (b"", Packet("damaged packet"), True),
        (b"\x45\0\0", Packet("damaged packet"), True),
        (b"\x90", Packet("IP version 9"), True),
    ],
)
def test_a_packet_is_read(data: bytes, packet: Packet, leaves: bool) -> None:
    """Who it was for, what name it asks for, and whether it leaves; what cannot be read counts as leaving."""
    assert read_packet(data) == packet
    assert read_packet(data).leaves == leaves


@given(st.binary(max_size=120))
def test_no_packet_breaks_the_recorder(data: bytes) -> None:
    """Any bytes are some packet, and have a description."""
    assert str(read_packet(data))


def test_what_is_sent_is_seen(watched_python: WatchedPython) -> None:
    """Connections and datagrams of native code, IPv6, and names: each with its destination."""
    seen = watched_python("from llm.offline_proof.control import try_to_send; print(try_to_send())")
    assert {packet["destination"] for packet in seen.packets} >= {ADDRESS, ADDRESS6}
    assert NAME in {packet["name"] for packet in seen.packets}
    assert seen.lost == 0
    assert ast.literal_eval(seen.output)[f"TCP to {ADDRESS}"] == "sent"


def test_a_client_in_rust_is_seen(watched_python: WatchedPython) -> None:
    """Python's own hooks do not see primp; the recorder does."""
    pytest.importorskip("primp")
    code = f"import primp\ntry:\n    primp.Client(timeout=1).get('http://{ADDRESS}/')\nexcept Exception: pass"
    assert ADDRESS in {packet["destination"] for packet in watched_python(code).packets}


def test_talking_to_oneself_is_not_sending(watched_python: WatchedPython) -> None:
    """A server and its client on the loopback interface are nobody else's business."""
    code = (
        "import socket\nserver = socket.create_server(('127.0.0.1', 0))\n"
        "socket.create_connection(server.getsockname()).sendall(b'x')\nprint(server.accept()[0].recv(1))"
    )
    seen = watched_python(code)
    assert seen.output.strip() == "b'x'"
    assert seen.packets == ()


def test_a_command_that_does_not_end_is_ended(watched_python: WatchedPython) -> None:
    """With all that it has started; what was sent before counts."""
    code = (
        "import subprocess, sys, threading\nfrom llm.offline_proof.control import try_to_send\ntry_to_send()\n"
        "subprocess.Popen([sys.executable, '-c', 'import threading; threading.Event().wait()'])\n"
        "threading.Event().wait()"
    )
    seen = watched_python(code, timeout=8)
    assert seen.returncode == -9
    assert ADDRESS in {packet["destination"] for packet in seen.packets}


LIGHT = "llm, llm.hub, llm.session, llm.tools, llm.knowledge, llm.chat, llm.grammar, llm.pool, llm.offline_proof"


def test_importing_the_library_sends_nothing(watched_python: WatchedPython) -> None:
    """Every public name that comes without a heavy package, and settings."""
    code = (
        f"import {LIGHT}, settings.app_settings\n"
        "for package in (llm, llm.hub, llm.session, llm.tools, llm.knowledge):\n"
        "    for name in getattr(package, '__all__', ()):\n"
        "        try:\n            getattr(package, name)\n"
        "        except ImportError:\n            pass\n"
        "settings.app_settings.appConfiguration\nprint('imported')"
    )
    seen = watched_python(code)
    assert seen.output.strip() == "imported"
    assert seen.packets == ()


@pytest.fixture(scope="module")
def report(watched_python: WatchedPython) -> OfflineReport:
    watched_python("")  # skips where there can be no network of our own
    return verify_offline(LLMConfig(model_name="demo", n_ctx=4096), seconds=0.0, method="network namespace")


def test_the_whole_workflow_sends_nothing(report: OfflineReport) -> None:
    """No packet, no file in home or temporary folders, no text in the log or left behind, under a watch that works."""
    assert report.findings == []
    assert report.passed
    assert [step["step"] for step in report.steps] == STEPS
    assert {outcome for attempts in report.control for outcome in attempts.values()} >= {"sent"}
    assert report.packets == report.strangers == report.leaks == []


def test_the_report_can_be_filed(report: OfflineReport) -> None:
    """Verdict, versions, hashes, what ran, method and limits stand on it, for people and for programs."""
    text = report.text()
    for words in ("PASSED", "llama-cpp-python", "Limits", "Packets to others: 0", "by network namespace", *STEPS):
        assert words in text
    assert any(name.endswith(".gguf") for name in report.models)
    assert any(name.endswith("model.safetensors") for name in report.models)
    for digest in report.models.values():
        assert len(digest) == 64
        assert digest in text
    document = json.loads(report.as_json())
    assert document["passed"] is True
    assert document["models"] == report.models


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        ({"control_caught": False}, "proves nothing"),
        ({"returncode": 1}, "did not run to its end"),
        ({"steps": []}, "did not run to its end"),
        ({"steps": [{"step": "chat", "outcome": "failed", "seconds": 1.0}]}, "did not run to its end"),
        ({"packets": ["TCP to 203.0.113.9:443"]}, "1 packets were sent"),
        ({"lost": 3}, "3 packets were lost"),
        ({"strangers": ["home/.cache/deviceid"]}, "1 files were written"),
        ({"leaks": ["work/log.txt"]}, "1 files hold text"),
    ],
)
def test_every_single_fault_fails_the_report(report: OfflineReport, change: dict[str, object], finding: str) -> None:
    """And the page says which."""
    failed = replace(report, **change)  # type: ignore[arg-type]
    assert not failed.passed
    assert "FAILED" in failed.text()
    assert finding in failed.text()


def test_text_that_stays_is_found(tmp_path: Path) -> None:
    """In any file but the plan, in whatever case."""
    for name in ("plan.json", "work/a.log", "home/b.db"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"\0\1ZANZIBARquokka\2")
    (tmp_path / "work" / "clean").write_text("nothing")
    assert _leaks(tmp_path, except_for=tmp_path / "plan.json") == ["home/b.db", "work/a.log"]


def test_a_model_that_would_have_to_be_fetched_is_refused() -> None:
    """The proof itself asks nobody."""
    with pytest.raises(OfflineError):
        verify_offline(LLMConfig(model_name="acme/no-such-model-GGUF"), seconds=0.0)


def test_relative_paths_hold_in_the_folder_of_the_watched_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model below ./models is proved as well as one that is named from the root."""
    (tmp_path / "embedder").mkdir()
    monkeypatch.chdir(tmp_path)
    config = _model_from_anywhere(LLMConfig(model_name="a.gguf", models_dir="./models"), Path("models/a.gguf"))
    assert (config.model_name, config.models_dir) == (f"{tmp_path}/models/a.gguf", f"{tmp_path}/models")
    knowledge = _knowledge_from_anywhere(
        ChromaKnowledgeConfig(embedding_model="embedder", embedding_model_dir="models", artifacts_path="layout")
    )
    assert knowledge.embedding_model == f"{tmp_path}/embedder"
    assert knowledge.embedding_model_dir == f"{tmp_path}/models"
    assert knowledge.artifacts_path == f"{tmp_path}/layout"
    assert _knowledge_from_anywhere(ChromaKnowledgeConfig()).embedding_model == "all-MiniLM-L6-v2"
    assert _own_folder(Path("new")) == tmp_path / "new"


def test_the_folder_of_a_run_is_its_own(tmp_path: Path) -> None:
    """What is there already would be mistaken for what the run left behind, or be mixed with it."""
    (tmp_path / "file").touch()
    for folder, words in ((tmp_path, "is not empty"), (tmp_path / "file", "cannot be used")):
        with pytest.raises(RequestError, match=words):
            verify_offline(LLMConfig(model_name="demo"), seconds=0.0, folder=folder)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.soak
def test_ninety_seconds_and_a_minute_of_onnxruntime(watched_python: WatchedPython) -> None:
    """The workflow for 90 seconds, and onnxruntime imported behind llm for 100: nothing is sent."""
    report = verify_offline(seconds=90.0, method="network namespace")
    assert report.findings == []
    assert report.seconds >= 90
    quiet = watched_python("import llm, time, onnxruntime; time.sleep(100)", timeout=200, without=SWITCHES)
    assert quiet.returncode == 0
    assert quiet.packets == ()


@pytest.mark.soak
def test_the_proof_can_fail(watched_python: WatchedPython) -> None:
    """Without our switches, onnxruntime looks its telemetry host up within 100 seconds, and that is seen."""
    loud = watched_python("import time, onnxruntime; time.sleep(100)", timeout=200, without=SWITCHES)
    assert loud.returncode == 0
    assert any("events.data.microsoft.com" in packet["name"] for packet in loud.packets)

"""docs/errors.md shows messages as they are: each is produced here and compared with the page."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.pdfgen.canvas import Canvas

from llm.demo import GGUF_PATH
from llm.knowledge import ChromaKnowledgeConfig
from llm.knowledge.chroma_knowledge_store import ChromaKnowledgeStore
from llm.llama_cpp_library import initialised_library
from llm.testing.hash_embedder import HashEmbedder
from llm.testing.text_loader import TextLoader
from llm.tools import DuckDuckGoSearchTool, WebAccess, web_policy

from .conftest import nobody_listens

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "errors.md").read_text()
REPOSITORY = "acme/tiny-GGUF"

Produce = Callable[["Machine"], str]


class Machine:
    """A new user's folder and command line; what they get to read is what is compared."""

    def __init__(self, folder: Path, practorflow: Callable[..., object]) -> None:
        self.folder = folder
        self._practorflow = practorflow

    def says(self, *arguments: str, **settings: str) -> str:
        """The complaint of a command that cannot do what it was asked."""
        result = self._practorflow(*arguments, **settings)
        assert result.code not in (0, 70), result
        return str(result.err).strip().splitlines()[-1].removeprefix("practorflow: ")

    def fails(self, path: str) -> str:
        """What `ingest` says of a file that cannot be read."""
        result = self._practorflow("ingest", path)
        assert result.code not in (0, 70), result
        outcome, _, message = result.out.strip().split("\t")
        assert outcome == "failed"
        return str(message)

    def process_says(self, *arguments: str, without: str = "") -> str:
        """The complaint of a process of its own, which cannot import the package `without`."""
        blocked = f"sys.modules[{without!r}] = None" if without else "pass"
        program = f"import sys; {blocked}\nfrom llm.__main__ import main\nsys.exit(main({arguments!r}))"
        environ = {**os.environ, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-c", program]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=self.folder, env=environ)
        assert done.returncode not in (0, 70), done
        return done.stderr.strip().splitlines()[-1].removeprefix("practorflow: ")

    def locked(self) -> str:
        """The complaint while another process has the store's folder open."""
        config = ChromaKnowledgeConfig(persist_directory=str(self.folder / "chroma_db"))
        with ChromaKnowledgeStore(config, loader=TextLoader(), embedder=HashEmbedder()):
            return self.process_says("search", "notice period")

    def file(self, name: str, content: bytes | str = b"") -> str:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return f"./{name}"

    def make(self, *arguments: str, venv: str) -> str:
        """The complaint of make in the project, before it does anything."""
        done = subprocess.run(
            ["make", "-C", str(ROOT), f"VENV={venv}", *arguments], capture_output=True, text=True, check=False
        )
        assert done.returncode != 0
        return "\n".join(line for line in done.stdout.splitlines() if not line.startswith("make"))


def huggingface_folder(machine: Machine, **files: str) -> str:
    for name, content in files.items():
        machine.file(f"models/folder/{name.replace('__', '.')}", content)
    return "folder"


def no_compiler(machine: Machine) -> str:
    venv = machine.folder / "venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "bin" / "python").touch()
    return machine.make("demo", "CXX=no-such-compiler", venv=str(venv))


def old_python(machine: Machine) -> str:
    return machine.make("demo", "PYTHON=false", venv=str(machine.folder / "venv"))


def encrypted_pdf() -> bytes:
    written = BytesIO()
    page = Canvas(written, encrypt=StandardEncryption("password", strength=128))
    page.drawString(100, 700, "The notice period is three months.")
    page.save()
    return written.getvalue()


def searched_in_private() -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(web_policy, "_access", WebAccess(private=True))
        return str(DuckDuckGoSearchTool().execute(query="notice period", max_results=1).error)


PRODUCED: dict[str, Produce] = {
    "No C++ compiler": no_compiler,
    "Python is too old": old_python,
    "A value that a setting cannot have": lambda m: m.says("ask", "Hello", LLM_TEMPERATURE="9"),
    "A setting that is no number": lambda m: m.says("ask", "Hello", LLM_N_CTX="4k"),
    "A setting that does not exist": lambda m: m.says("ask", "Hello", options="LLM_MODLE=demo\n"),
    "A line in options.env that is none": lambda m: m.says("ask", "Hello", options="LLM_MODEL\n"),
    "An options file that is not there": lambda m: m.says("ask", "Hello", PRACTORFLOW_OPTIONS="./mine.env"),
    "No model of that name": lambda m: m.says("ask", "--model", "qwen", "Hello"),
    "No model at that path": lambda m: m.says("ask", "--model", "./models/qwen.gguf", "Hello"),
    "Not a model file": lambda m: m.says("ask", "--model", m.file("page.gguf", "<html>" + "x" * 40), "Hello"),
    "A model file that is cut off": lambda m: m.says(
        "ask", "--model", m.file("cut.gguf", GGUF_PATH.read_bytes()[:2_000_000]), "Hello"
    ),
    "Downloads are forbidden": lambda m: m.says("ask", "--model", REPOSITORY, "Hello", LLM_OFFLINE="1"),
    "The hub cannot be reached": lambda m: m.says(
        "ask", "--model", REPOSITORY, "Hello", LLM_HUB_ENDPOINT=f"http://127.0.0.1:{nobody_listens()}", LLM_OFFLINE="0"
    ),
    "A GGUF file for transformers": lambda m: m.says(
        "models", "verify", m.file("a.gguf", GGUF_PATH.read_bytes()), "--backend", "transformers"
    ),
    "Weights that could run code": lambda m: m.says(
        "models", "verify", "--backend", "transformers",
        huggingface_folder(m, config__json="{}", pytorch_model__bin="x"),
    ),
    "A model that brings its own code": lambda m: m.says(
        "models", "verify",
        huggingface_folder(
            m, config__json=json.dumps({"auto_map": {"AutoModel": "x.Y"}}), model__safetensors="\x02\0\0\0\0\0\0\0{}"
        ),
        "--backend", "transformers",
    ),
    "No GPU in this installation": lambda m: m.says("ask", "Hello", LLM_DEVICE="cuda"),
    "A prompt that is too long": lambda m: m.says("ask", "word " * 3000, LLM_N_CTX="512"),
    "A schema that cannot be guaranteed": lambda m: m.says(
        "ask", "--schema", m.file("schema.json", '{"type": "array", "uniqueItems": true}'), "Hello"
    ),
    "A schema that is not there": lambda m: m.says("ask", "--schema", "schema.json", "Hello"),
    "No session of that id": lambda m: m.says("sessions", "show", "123abc"),
    "No session yet": lambda m: m.says("chat", "--session", "last"),
    "A database that is not known": lambda m: m.says("sessions", "list", SESSION_DATABASE_URL="mysql://db/sessions"),
    "A database that does not answer": lambda m: m.says(
        "sessions", "list", SESSION_DATABASE_URL=f"postgresql://ada:secret@127.0.0.1:{nobody_listens()}/sessions"
    ),
    "A kind of file that is not read": lambda m: m.fails(m.file("program.exe", "MZ")),
    "A document that is not there": lambda m: m.fails("./missing.pdf"),
    "A document with nothing in it": lambda m: m.fails(m.file("empty.txt")),
    "A damaged document": lambda m: m.fails(m.file("report.pdf", "%PDF-1.4 and then nothing")),
    "A document under a password": lambda m: m.fails(m.file("secret.pdf", encrypted_pdf())),
    "The web is forbidden": lambda _: searched_in_private(),
    "A folder without documents": lambda m: m.says("ingest", str(Path(m.file("folder/.keep")).parent)),
    "No document of that name": lambda m: m.says("search", "--document", "report.pdf", "notice period"),
    "A store that is open elsewhere": lambda m: m.locked(),
    "Chunks that do not fit each other": lambda m: m.says("search", "x", KB_CHROMA_RETRIEVAL_CHUNK_SIZE="2000"),
    "PyTorch is not installed": lambda m: m.process_says(
        "ask", "--backend", "transformers", "Hello", without="torch"
    ),
    "A package is not installed": lambda m: m.process_says("search", "notice period", without="chromadb"),
    "A file where the sessions should be": lambda m: m.says(
        "sessions", "list", SESSION_DATABASE_URL=f"sqlite:///{m.file('notes.db', 'not a database' * 100)}"
    ),
}  # fmt: skip


@pytest.fixture(autouse=True)
def store_without_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading documents is real; vectors need no model here."""
    for command in ("ingest", "search"):
        monkeypatch.setattr(
            f"llm.cli.{command}.open_knowledge", lambda config: ChromaKnowledgeStore(config, embedder=HashEmbedder())
        )


def entries() -> dict[str, str]:
    """Heading and message of each entry on the page."""
    found = re.findall(r"^### (.+)\n\n```text\n((?:.+\n)+?)```\n\n\*\*Why:\*\* .+\n\*\*What to do:\*\* .+$", PAGE, re.M)
    return {heading: message.rstrip("\n") for heading, message in found}


def test_every_entry_is_produced_and_every_produced_one_is_an_entry() -> None:
    """And each says why it happens and what to do about it."""
    headings = re.findall(r"^### (.+)$", PAGE, re.M)
    assert list(entries()) == headings
    assert sorted(headings) == sorted(PRODUCED)


@pytest.mark.parametrize("heading", PRODUCED)
def test_the_message_is_as_on_the_page(heading: str, tmp_path: Path, practorflow: Callable[..., object]) -> None:
    """Three dots on the page stand for what is different on every machine."""
    if heading == "No GPU in this installation" and initialised_library().llama_supports_gpu_offload():
        pytest.skip("this llama-cpp-python can compute on a GPU")
    message = PRODUCED[heading](Machine(tmp_path, practorflow))
    pattern = ".*".join(map(re.escape, re.split(r"\.\.\.|…", entries()[heading])))
    assert re.fullmatch(pattern, message, re.S), message

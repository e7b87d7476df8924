"""What holds for every command: help costs nothing, mistakes are one line, exit codes say what happened."""

from __future__ import annotations

import argparse
import errno
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest

from llm import exceptions
from llm.__main__ import main
from llm.cli import exit_codes
from llm.cli.main import COMMANDS, build_parser
from llm.cli.output import Output, size, visible

from .conftest import Practorflow, nobody_listens

ROOT = Path(__file__).parents[2]
NOT_FOR_HELP = (
    "torch", "transformers", "llama_cpp", "chromadb", "docling", "pydantic_ai", "sentence_transformers", "numpy",
    "pydantic", "sqlalchemy", "huggingface_hub", "tqdm", "psutil", "asyncio", "settings",
)  # fmt: skip


def start(*arguments: str, folder: Path, **streams: object) -> subprocess.Popen[str]:
    """The program as a process of its own."""
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "LLM_N_CTX": "2048"}
    return subprocess.Popen(
        [sys.executable, "-m", "llm", *arguments],
        cwd=folder,
        env=environ,
        text=True,
        **streams,  # type: ignore[call-overload]
    )


@pytest.mark.parametrize("arguments", [["--help"], *([command.name, "--help"] for command in COMMANDS)], ids=" ".join)
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    """Help of the program and of each command appears before any library does."""
    code = (
        "import sys, llm.__main__\n"
        f"code = llm.__main__.main({arguments!r})\n"
        f"print([name for name in {NOT_FOR_HELP!r} if name in sys.modules], code, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stderr.strip().splitlines()[-1] == "[] 0"
    assert done.stdout.startswith("usage: practorflow")


def test_help_lists_every_command_and_every_exit_code(practorflow: Practorflow) -> None:
    """What there is can be found out without documentation."""
    shown = practorflow("--help").out.replace("\n", " \n")
    assert all(f"    {command.name} " in shown for command in COMMANDS)
    codes = {value for name, value in vars(exit_codes).items() if name.isupper() and isinstance(value, int)}
    assert all(f"{code:>3}  " in shown for code in codes)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "required: COMMAND"),
        (("nothing",), "invalid choice: 'nothing'"),
        (("ask",), "required: QUESTION"),
        (("ask", "--temperature", "hot", "Hello"), "invalid float value: 'hot'"),
        (("sessions",), "required: ACTION"),
        (("chat", "--temp", "1"), "unrecognized arguments: --temp 1. `practorflow chat --help`"),
        (("sessions", "list", "--all"), "unrecognized arguments: --all. `practorflow sessions list --help`"),
        (("models", "fetch", "one", "--model", "another"), "unrecognized arguments: --model another."),
    ],
)
def test_a_wrong_command_line_is_one_line_and_code_2(
    practorflow: Practorflow, arguments: tuple[str, ...], words: str
) -> None:
    """Nothing on standard output, the mistake and where to look on standard error."""
    result = practorflow(*arguments)
    assert (result.code, result.out) == (exit_codes.USAGE, "")
    assert words in result.err
    assert len(result.err.splitlines()) == 1
    assert "--help` shows" in result.err


def test_an_error_with_json_is_json(practorflow: Practorflow) -> None:
    """A script finds the class, the message and the code; standard output stays empty."""
    result = practorflow("sessions", "show", "nothere", "--json", SESSION_DATABASE_URL="memory")
    error = json.loads(result.err)["error"]
    assert (result.code, result.out) == (exit_codes.NOT_FOUND, "")
    assert (error["type"], error["exit_code"]) == ("SessionNotFoundError", exit_codes.NOT_FOUND)


def test_a_mistake_shows_no_traceback_unless_it_is_asked_for(practorflow: Practorflow) -> None:
    """`--debug` shows where an error came from, and nothing else does."""
    without = practorflow("ask", "Hello", LLM_TEMPERATURE="9")
    with_debug = practorflow("ask", "--debug", "Hello", LLM_TEMPERATURE="9")
    assert without.code == with_debug.code == exit_codes.USAGE
    assert "Traceback" not in without.err
    assert "LLM_TEMPERATURE='9' is not allowed" in without.err
    assert "Traceback" in with_debug.err


def test_every_public_error_has_an_exit_code() -> None:
    """No error that is raised on purpose counts as a fault of the program."""
    for name in exceptions.__dict__:
        error = getattr(exceptions, name)
        if isinstance(error, type) and issubclass(error, exceptions.LLMError):
            instance = error.__new__(error)
            assert exit_codes.exit_code(instance) in (2, 3, 4, 5), name


def test_a_fault_of_ours_keeps_what_it_was_about_to_itself(
    practorflow: Practorflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its message may quote a prompt; the class and the place are enough to report it."""

    class Broken:
        @staticmethod
        def isatty() -> bool:
            return False

        @staticmethod
        def write(_: str) -> int:
            raise ZeroDivisionError("the secret prompt")

        flush = isatty

    monkeypatch.setattr("llm.cli.output.sys", type("System", (), {"stdout": Broken, "stderr": sys.stderr}))
    result = practorflow("estimate", "7B")
    assert result.code == exit_codes.FAULT
    assert "secret" not in result.err
    assert "ZeroDivisionError in test_command_line.py" in result.err


class Interrupted:
    """A standard output on which somebody presses Ctrl-C at the first piece of a reply."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return False

    def write(self, _: str) -> int:
        raise KeyboardInterrupt

    def flush(self) -> None: ...


def test_ctrl_c_in_the_middle_of_a_reply_ends_with_130(
    practorflow: Practorflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Generation is stopped, the model closed, and nothing is said but that it stopped."""
    with monkeypatch.context() as patched:
        patched.setattr("sys.stdout", Interrupted())
        result = practorflow("ask", "--quiet", "Explain recursion")
    assert result.code == exit_codes.INTERRUPTED
    assert result.err == ""


def test_ctrl_c_between_two_turns_ends_with_130(tmp_path: Path) -> None:
    """A signal while the chat waits for its person: no traceback, and no waiting for one more line.

    One that comes while the reply's last tokens are computed stops the reply alone, so it is sent until the chat ends.
    """
    with start(
        "chat", "-q", folder=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as p:
        assert p.stdin is not None
        assert p.stdout is not None
        p.stdin.write("Hello\n")
        p.stdin.flush()
        assert "Hello" in p.stdout.readline()
        ended = None
        while ended is None:
            p.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                ended = p.wait(timeout=2)
        assert p.stderr is not None
        err = p.stderr.read()
    assert ended == exit_codes.INTERRUPTED
    assert err == ""


def test_a_reader_that_leaves_is_no_fault(tmp_path: Path) -> None:
    """`practorflow ... | head -1` ends quietly, as other programs do."""
    reading, writing = os.pipe()
    os.close(reading)
    with (
        os.fdopen(writing, "w") as pipe,
        start("estimate", "7B", "-q", folder=tmp_path, stdout=pipe, stderr=subprocess.PIPE) as process,
    ):
        _, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (exit_codes.BROKEN_PIPE, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
@pytest.mark.parametrize("arguments", [("--help",), ("--version",), ("estimate", "7B")], ids=" ".join)
def test_a_full_disk_under_the_result_is_one_line(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """What failed, what was being written, and what to do; the result counts as lost."""
    with (
        open("/dev/full", "w") as full,
        start("-q", *arguments, folder=tmp_path, stdout=full, stderr=subprocess.PIPE) as process,
    ):
        _, err = process.communicate(timeout=120)
    assert process.returncode == exit_codes.FAILED
    assert err.splitlines() == [
        "practorflow: writing 'standard output' failed: No space left on device. Make room there, or name another "
        "place."
    ]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
def test_an_error_that_nobody_can_read_keeps_its_exit_code(tmp_path: Path) -> None:
    """And notes that cannot be written stop nothing."""
    with open("/dev/full", "w") as full:
        with start("estimate", "nothing", folder=tmp_path, stderr=full) as process:
            assert process.wait(timeout=120) == exit_codes.NOT_FOUND
        with start("estimate", "7B", folder=tmp_path, stdout=subprocess.DEVNULL, stderr=full) as process:
            assert process.wait(timeout=120) == exit_codes.OK


@pytest.mark.parametrize(
    ("closed", "arguments", "code"),
    [
        ("<&-", ("ask", "-q", "-"), exit_codes.USAGE),
        ("<&-", ("chat", "-q"), exit_codes.OK),
        (">&-", ("estimate", "7B"), exit_codes.OK),
        ("2>&-", ("estimate", "nothing"), exit_codes.NOT_FOUND),
    ],
)
def test_a_closed_stream_is_empty_or_forgets(
    tmp_path: Path, closed: str, arguments: tuple[str, ...], code: int
) -> None:
    """Some schedulers start programs without them."""
    command = ["sh", "-c", f'exec "$0" -m llm "$@" {closed}', sys.executable, *arguments]
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "LLM_N_CTX": "2048"}
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=120)
    assert done.returncode == code
    assert "fault" not in done.stderr


def test_ctrl_c_before_a_command_has_begun_ends_with_130(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first moments, in which modules are being read, show no traceback either."""

    def interrupted(*_: object, **__: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("llm.cli.main.run", interrupted)
    assert main(["estimate", "7B"]) == exit_codes.INTERRUPTED


@pytest.mark.parametrize("command", [("ask", "-"), ("chat",)], ids=" ".join)
def test_standard_input_that_is_no_text_is_a_mistake_of_its_own(
    practorflow: Practorflow, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    """It is said what it should be, and nothing of what it holds."""
    piped = io.TextIOWrapper(io.BytesIO(b"secret \xff\xfe\n"), encoding="utf-8")
    monkeypatch.setattr("llm.cli.standard_input.sys", SimpleNamespace(stdin=piped))
    result = practorflow(*command, "-q")
    assert (result.code, result.out) == (exit_codes.USAGE, "")
    assert result.err == (
        "practorflow: Standard input is not text in utf-8. Convert it first, for instance with iconv.\n"
    )


@pytest.mark.parametrize(("encoding", "errors"), [("ascii", "strict"), ("utf-8", "surrogateescape")])
def test_json_can_be_parsed_in_every_locale(monkeypatch: pytest.MonkeyPatch, encoding: str, errors: str) -> None:
    """What the encoding cannot say is an escape of JSON; a file name that is no text in UTF-8 is one as well."""
    results, complaints = (io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors=errors) for _ in range(2))
    monkeypatch.setattr("llm.cli.output.sys", SimpleNamespace(stdout=results, stderr=complaints))
    name = "Gr\u00fc\u00dfe \U0001f600 \udcff.txt"
    Output(as_json=True).document({"name": name})
    Output(as_json=True).error(name, kind="SomeError", code=4)
    assert json.loads(results.buffer.getvalue().decode("ascii")) == {"name": name}  # type: ignore[attr-defined]
    complaint = json.loads(complaints.buffer.getvalue().decode("ascii"))  # type: ignore[attr-defined]
    assert complaint["error"]["message"] == name


def test_an_error_is_the_only_line_on_standard_error(practorflow: Practorflow) -> None:
    """No line of a log says the same thing before it."""
    for arguments in (("ask", "-q", "--model", "nothing", "Hello"), ("chat", "--json", "--model", "nothing")):
        result = practorflow(*arguments)
        assert (result.code, len(result.err.splitlines())) == (exit_codes.NOT_FOUND, 1)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (PermissionError(errno.EACCES, "Permission denied", "notes.db"), "Have its permissions changed"),
        (OSError(errno.ENOSPC, "No space left on device", "notes.db"), "Make room there"),
        (OSError(errno.EIO, "Input/output error", "notes.db"), "practorflow doctor"),
    ],
)
def test_what_the_system_refuses_is_said_with_what_helps(
    practorflow: Practorflow, monkeypatch: pytest.MonkeyPatch, error: OSError, words: str
) -> None:
    """The file, the reason in words, and no number of an error."""

    def refuse(*_: object) -> int:
        raise error

    monkeypatch.setattr("llm.cli.estimate.machine_memory", refuse)
    result = practorflow("estimate", "7B")
    assert result.code == exit_codes.FAILED
    assert all(part in result.err for part in ("'notes.db'", str(error.strerror), words))
    assert "Errno" not in result.err


@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps the folder of a process")
def test_a_current_folder_that_is_gone_is_said(tmp_path: Path) -> None:
    """Python only says that there is no such file, and not which."""
    folder = tmp_path / "gone"
    folder.mkdir()
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = ["sh", "-c", 'rmdir "$PWD"; exec "$0" -m llm ask Hello', sys.executable]
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=120)
    assert done.returncode == exit_codes.FAILED
    assert "the current folder is not there any more" in done.stderr


@pytest.mark.parametrize("command", [command.name for command in COMMANDS])
def test_help_names_the_default_of_every_option(command: str) -> None:
    """In brackets at the end: a value, or the variable that has it. A switch is off, and a repeatable option empty."""
    for parser in parsers(build_parser(), command):
        for action in parser._actions:
            takes_a_value = action.option_strings and action.nargs is None and not isinstance(action.default, list)
            if takes_a_value:
                assert (action.help or "").endswith(")"), f"{parser.prog} {action.option_strings}: {action.help}"
            assert action.help or isinstance(action, argparse._SubParsersAction), f"{parser.prog} {action.dest}"


def parsers(parser: argparse.ArgumentParser, name: str) -> Iterator[argparse.ArgumentParser]:
    """A command's parser and those of its words."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for word, further in action.choices.items():
                if name in (word, ""):
                    yield further
                    yield from parsers(further, "")


@pytest.mark.parametrize(
    ("variable", "value", "command", "code"),
    [
        ("SESSION_DATABASE_URL", "postgresql://ada:secret@:port/sessions", ("sessions", "list"), exit_codes.USAGE),
        ("SESSION_DATABASE_URL", "sqlite:///.", ("sessions", "list"), exit_codes.FAILED),
        ("KB_TEXT_ENCODING", "nothing", ("search", "words"), exit_codes.USAGE),
        ("DOCLING_ARTIFACTS_PATH", "/nowhere", ("search", "words"), exit_codes.USAGE),
        ("KB_CHROMA_HOST", "127.0.0.1", ("search", "words"), exit_codes.FAILED),
    ],
)
def test_what_only_shows_when_it_is_used_names_the_variable_too(
    practorflow: Practorflow, variable: str, value: str, command: tuple[str, ...], code: int
) -> None:
    """Whoever set it knows where to look, and no password is shown."""
    port = {"KB_CHROMA_PORT": str(nobody_listens())} if variable == "KB_CHROMA_HOST" else {}
    result = practorflow(*command, **{variable: value}, **port)
    assert (result.code, result.out, variable in result.err) == (code, "", True)
    assert "secret" not in result.err


def test_control_characters_are_shown_on_a_terminal_and_not_obeyed() -> None:
    """A reply or a file name cannot move the cursor, ring, or write into the window's title."""
    assert visible("a\x1b]0;owned\x07b\r\x9b2J") == "a\\x1b]0;owned\\x07b\\x0d\\x9b2J"
    assert visible("Grüße, 日本語\n\tand a tab") == "Grüße, 日本語\n\tand a tab"


def test_a_table_in_a_pipe_has_tabs_and_no_headings(capsys: pytest.CaptureFixture[str]) -> None:
    """Each row is a line whatever its fields hold, so that `cut` finds them."""
    Output().table(("A", "B"), [("one", "two\nthree"), (4, None)])
    assert capsys.readouterr().out == "one\ttwo three\n4\t-\n"


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (117_440_512, "117 MB"), (4.66e12, "4660 GB")]
)
def test_sizes_are_in_powers_of_ten(count: float, text: str) -> None:
    """As disks and hubs write them."""
    assert size(count) == text

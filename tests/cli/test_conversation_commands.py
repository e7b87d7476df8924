"""ask, chat and sessions, on the demo model."""

from __future__ import annotations

import errno
import io
import json
from pathlib import Path
from typing import Any

import pytest

from llm.cli import exit_codes
from llm.cli.session_options import current_owner

from .conftest import Practorflow

QUESTION = "What is Python?"


def test_ask_prints_the_answer_and_nothing_else(practorflow: Practorflow) -> None:
    """The reply is on standard output; that the demo model answers is said on standard error."""
    result = practorflow("ask", QUESTION)
    assert result.code == exit_codes.OK
    assert "programming language" in result.out
    assert result.out.endswith("\n")
    assert "built-in demo model" in result.err
    assert practorflow("ask", QUESTION, "--quiet").err == ""


def test_ask_reads_standard_input_and_answers_as_json(practorflow: Practorflow) -> None:
    """One object with the reply, what it took, and why it ended."""
    piped = practorflow("ask", "-", "--json", stdin=QUESTION)
    answer = json.loads(piped.out)
    assert answer["reply"] in practorflow("ask", QUESTION).out
    assert answer["finish_reason"] == "stop"
    assert answer["usage"]["total_tokens"] == answer["usage"]["prompt_tokens"] + answer["usage"]["completion_tokens"]


def test_ask_keeps_to_a_schema(practorflow: Practorflow, tmp_path: Path) -> None:
    """Whatever the model would like to say, the answer is valid."""
    schema = tmp_path / "schema.json"
    schema.write_text(json.dumps({"type": "object", "properties": {"n": {"enum": [1, 2]}}, "required": ["n"]}))
    result = practorflow("ask", "--schema", str(schema), "Give me a number.")
    assert json.loads(result.out)["n"] in (1, 2)


def test_what_is_wrong_with_a_schema_is_said(practorflow: Practorflow, tmp_path: Path) -> None:
    """A file that is not there, is no JSON or no object."""
    wrong = tmp_path / "wrong.json"
    for text, words in ((None, "cannot be read: No such file"), ("{", "is not JSON"), ("[]", "is not a JSON object")):
        if text is not None:
            wrong.write_text(text)
        result = practorflow("ask", "--schema", str(wrong), "Hello")
        assert result.code == exit_codes.USAGE
        assert words in result.err


def test_an_empty_question_is_refused(practorflow: Practorflow) -> None:
    """Before a model is loaded for it."""
    result = practorflow("ask", "-", stdin="\n")
    assert (result.code, "question is empty" in result.err) == (exit_codes.USAGE, True)


def test_a_cut_reply_says_so(practorflow: Practorflow) -> None:
    """On standard error, because it is not part of the reply."""
    result = practorflow("ask", "Explain recursion", "--max-new-tokens", "3")
    assert "cut off" in result.err
    assert "cut off" not in result.out


def test_chat_answers_each_line_and_stores_nothing(practorflow: Practorflow, tmp_path: Path) -> None:
    """One line of JSON for each line of standard input; no database appears."""
    result = practorflow("chat", "--json", stdin="Hello\n\nWho are you?\n/exit\nnever read\n")
    replies = [json.loads(line) for line in result.out.splitlines()]
    assert len(replies) == 2
    assert "demo model" in replies[1]["reply"]
    assert replies[1]["usage"]["cached_tokens"] > 0
    assert list(tmp_path.iterdir()) == []


def test_a_kept_chat_can_be_listed_gone_on_with_exported_and_deleted(practorflow: Practorflow, tmp_path: Path) -> None:
    """The whole life of a stored conversation."""
    begun = practorflow("chat", "--keep", "--title", "Greetings", stdin="Hello\n")
    assert "chat --session " in begun.err
    practorflow("chat", "--session", "last", stdin="Who are you?\n")
    (listed,) = [json.loads(line) for line in practorflow("sessions", "list", "--json").out.splitlines()]
    assert (listed["title"], listed["messages"], listed["owner"]) == ("Greetings", 4, current_owner())
    shown = practorflow("sessions", "show", listed["id"][:8]).out
    assert shown.startswith("user: Hello\nassistant: ")
    assert "user: Who are you?" in shown
    exported = tmp_path / "session.json"
    assert practorflow("sessions", "export", "last", "-o", str(exported)).code == exit_codes.OK
    assert json.loads(exported.read_text())["title"] == "Greetings"
    again = practorflow("sessions", "export", "last", "-o", str(exported))
    assert (again.code, "exists already and is not written over" in again.err) == (exit_codes.USAGE, True)
    nowhere = practorflow("sessions", "export", "last", "-o", "nowhere/session.json")
    assert (nowhere.code, "No such file or directory. Name another" in nowhere.err) == (exit_codes.USAGE, True)
    assert json.loads(practorflow("sessions", "delete", listed["id"], "--json").out) == {"deleted": listed["id"]}
    assert practorflow("sessions", "show", "last").code == exit_codes.NOT_FOUND


def test_sessions_are_found_by_their_words(practorflow: Practorflow) -> None:
    """Only those in which somebody said all of them."""
    practorflow("chat", "--keep", "--title", "one", stdin="Hello\n")
    practorflow("chat", "--keep", "--title", "two", stdin=f"{QUESTION}\n")
    assert [line.split("\t")[3] for line in practorflow("sessions", "list").out.splitlines()] == ["two", "one"]
    assert practorflow("sessions", "list", "--search", "PYTHON").out.split("\t")[3] == "two\n"


def test_words_that_nobody_said_are_told_from_an_empty_store(practorflow: Practorflow) -> None:
    """A search without a match does not say that there are no sessions, and its limit is checked as any other."""
    practorflow("chat", "--keep", stdin="Hello\n")
    missed = practorflow("sessions", "list", "--search", "helicopter")
    assert (missed.code, missed.out) == (exit_codes.OK, "")
    assert "has a message with all of these words" in missed.err
    assert practorflow("sessions", "list", "--search", "Hello", "--limit", "-1").code == exit_codes.USAGE


def test_a_list_that_is_cut_says_so(practorflow: Practorflow) -> None:
    """Whoever looks for an old session learns that it may be further down."""
    for _ in range(2):
        practorflow("chat", "--keep", stdin="Hello\n")
    for search in ([], ["--search", "Hello"]):
        cut = practorflow("sessions", "list", *search, "--limit", "1")
        assert len(cut.out.splitlines()) == 1
        assert "more than these 1" in cut.err
        assert practorflow("sessions", "list", *search, "--limit", "2").err == ""


@pytest.mark.parametrize("action", ["show", "export", "delete"])
@pytest.mark.parametrize("length", [0, 3])
def test_a_few_characters_name_no_session(practorflow: Practorflow, action: str, length: int) -> None:
    """An empty variable in a script must not delete the only session there is."""
    practorflow("chat", "--keep", stdin="Hello\n")
    (kept,) = [json.loads(line) for line in practorflow("sessions", "list", "--json").out.splitlines()]
    result = practorflow("sessions", action, kept["id"][:length])
    assert (result.code, result.out) == (exit_codes.NOT_FOUND, "")
    assert practorflow("sessions", "list", "--json").out


def test_an_export_that_fails_leaves_no_file(
    practorflow: Practorflow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of a conversation would be taken for all of it, and stand in the way of the next attempt."""
    practorflow("chat", "--keep", stdin="Hello\n")

    class Full(io.StringIO):
        def close(self) -> None:
            if not self.closed:
                super().close()
                raise OSError(errno.ENOSPC, "No space left on device")

    opened = Path.open

    def full(path: Path, mode: str = "r", **options: Any) -> Any:
        file = opened(path, mode, **options)
        if mode != "x":
            return file
        file.close()
        return Full()

    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", full)
        result = practorflow("sessions", "export", "last", "-o", "taken.json")
    assert (result.code, "'taken.json'" in result.err, "Make room" in result.err) == (exit_codes.FAILED, True, True)
    assert not (tmp_path / "taken.json").exists()


def test_a_title_without_a_kept_conversation_is_refused(practorflow: Practorflow) -> None:
    """Who gives one believes that it will be stored."""
    result = practorflow("chat", "--title", "Words", stdin="Hello\n")
    assert (result.code, result.out, "--keep" in result.err) == (exit_codes.USAGE, "", True)


def test_the_owner_may_stand_behind_the_action(practorflow: Practorflow) -> None:
    """`sessions list --owner` is what people try first."""
    practorflow("chat", "--keep", "--owner", "somebody", stdin="Hello\n")
    for line in (["--owner", "somebody", "list"], ["list", "--owner", "somebody"]):
        assert json.loads(practorflow("sessions", *line, "--json").out)["owner"] == "somebody"
    assert practorflow("sessions", "list", "--owner", "").code == exit_codes.USAGE


def test_another_owner_sees_nothing(practorflow: Practorflow) -> None:
    """Somebody else's session is as absent as one that never was."""
    practorflow("chat", "--keep", stdin="Hello\n")
    (mine,) = [json.loads(line) for line in practorflow("sessions", "list", "--json").out.splitlines()]
    other = practorflow("sessions", "--owner", "somebody", "show", mine["id"])
    assert (other.code, other.out) == (exit_codes.NOT_FOUND, "")
    assert practorflow("sessions", "--owner", "somebody", "list").out == ""

"""ask, chat and sessions, on the demo model."""

from __future__ import annotations

import json
from pathlib import Path

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
    assert (again.code, "exists" in again.err) == (exit_codes.FAILED, True)
    assert json.loads(practorflow("sessions", "delete", listed["id"], "--json").out) == {"deleted": listed["id"]}
    assert practorflow("sessions", "show", "last").code == exit_codes.NOT_FOUND


def test_sessions_are_found_by_their_words(practorflow: Practorflow) -> None:
    """Only those in which somebody said all of them."""
    practorflow("chat", "--keep", "--title", "one", stdin="Hello\n")
    practorflow("chat", "--keep", "--title", "two", stdin=f"{QUESTION}\n")
    assert [line.split("\t")[3] for line in practorflow("sessions", "list").out.splitlines()] == ["two", "one"]
    assert practorflow("sessions", "list", "--search", "PYTHON").out.split("\t")[3] == "two\n"


def test_another_owner_sees_nothing(practorflow: Practorflow) -> None:
    """Somebody else's session is as absent as one that never was."""
    practorflow("chat", "--keep", stdin="Hello\n")
    (mine,) = [json.loads(line) for line in practorflow("sessions", "list", "--json").out.splitlines()]
    other = practorflow("sessions", "--owner", "somebody", "show", mine["id"])
    assert (other.code, other.out) == (exit_codes.NOT_FOUND, "")
    assert practorflow("sessions", "--owner", "somebody", "list").out == ""

"""ingest, search and documents, on the store that we ship, with vectors and a loader that need no model."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from llm.cli import exit_codes
from llm.knowledge.chroma_knowledge_store import ChromaKnowledgeStore
from llm.testing.hash_embedder import HashEmbedder
from llm.testing.text_loader import TextLoader

from .conftest import Practorflow, Result

TEXT = "The notice period is three months to the end of a quarter."


@pytest.fixture(autouse=True)
def store_without_models(monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(config: object) -> ChromaKnowledgeStore:
        return ChromaKnowledgeStore(config, loader=TextLoader(), embedder=HashEmbedder())  # type: ignore[arg-type]

    for command in ("ingest", "search", "documents", "knowledge_options"):
        monkeypatch.setattr(f"llm.cli.{command}.open_knowledge", opened)


@pytest.fixture
def papers(tmp_path: Path) -> Path:
    folder = tmp_path / "papers"
    (folder / "old").mkdir(parents=True)
    (folder / "contract.txt").write_text(TEXT)
    (folder / "old" / "memo.txt").write_text("Coffee is in the kitchen.")
    return folder


def rows(result: Result) -> list[dict[str, object]]:
    return [json.loads(line) for line in result.out.splitlines()]


def test_a_folder_is_added_once_and_found(practorflow: Practorflow, papers: Path) -> None:
    """The second time is a resumption: everything is recognized."""
    first = practorflow("ingest", "papers", "--json")
    assert first.code == exit_codes.OK
    assert {(row["path"], row["outcome"]) for row in rows(first)} == {
        ("papers/contract.txt", "added"), ("papers/old/memo.txt", "added"),
    }  # fmt: skip
    assert "2 added." in first.err
    assert "2 there already." in practorflow("ingest", "papers").err
    (papers / "contract.txt").write_text(TEXT.replace("three", "four"))
    assert "1 replaced" in practorflow("ingest", "papers").err
    (found,) = rows(practorflow("search", "notice period", "--mode", "text", "--json"))
    assert (found["filename"], found["source"]) == ("contract.txt", "contract.txt")
    assert "four months" in str(found["text"])


@pytest.mark.usefixtures("papers")
def test_what_fails_is_named_with_its_reason_and_stops_nothing(practorflow: Practorflow) -> None:
    """Code 1 where some failed, the error's own code where all did."""
    some = practorflow("ingest", "papers/contract.txt", "papers/missing.txt")
    outcomes = {line.split("\t")[1]: line.split("\t")[0] for line in some.out.splitlines()}
    assert outcomes == {"papers/contract.txt": "added", "papers/missing.txt": "failed"}
    assert some.code == exit_codes.INCOMPLETE
    assert "1 added" in some.err
    assert "1 failed" in some.err
    assert practorflow("ingest", "papers/missing.txt").code in (exit_codes.USAGE, exit_codes.FAILED)


def test_a_folder_without_documents_says_so(practorflow: Practorflow, tmp_path: Path) -> None:
    """Rather than adding nothing in silence."""
    (tmp_path / "empty").mkdir()
    result = practorflow("ingest", "empty")
    assert (result.code, "no document in 'empty'" in result.err) == (exit_codes.NOT_FOUND, True)


@pytest.mark.usefixtures("papers")
def test_a_search_can_be_narrowed_to_documents(practorflow: Practorflow) -> None:
    """By file name, by id, by the beginning of an id; a name that nothing has is an error, not a wider search."""
    practorflow("ingest", "papers")
    listed = {str(row["filename"]): str(row["id"]) for row in rows(practorflow("documents", "list", "--json"))}
    for name in ("memo.txt", listed["memo.txt"], listed["memo.txt"][:8]):
        found = rows(practorflow("search", "notice period kitchen", "--document", name, "--json"))
        assert {row["filename"] for row in found} == {"memo.txt"}
    assert practorflow("search", "notice", "--document", "nothing.txt").code == exit_codes.NOT_FOUND


@pytest.mark.usefixtures("papers")
def test_a_deleted_document_is_gone(practorflow: Practorflow) -> None:
    """From the list, from the search, and with --purge from the files."""
    practorflow("ingest", "papers")
    assert practorflow("documents", "delete", "contract.txt", "--purge").code == exit_codes.OK
    assert [row["filename"] for row in rows(practorflow("documents", "list", "--json"))] == ["memo.txt"]
    stored = b"".join(path.read_bytes() for path in Path("chroma_db").rglob("*") if path.is_file())
    assert b"notice period" not in stored


def test_a_store_that_somebody_else_has_open_is_busy(practorflow: Practorflow, tmp_path: Path) -> None:
    """Code 5, and who has it."""
    from llm.knowledge import ChromaKnowledgeConfig

    config = ChromaKnowledgeConfig(persist_directory=str(tmp_path / "chroma_db"))
    with ChromaKnowledgeStore(config, loader=TextLoader(), embedder=HashEmbedder()):
        result = practorflow("search", "notice")
    assert (result.code, "is open in" in result.err) == (exit_codes.BUSY, True)


def test_an_empty_store_says_what_to_do(practorflow: Practorflow) -> None:
    """Nothing on standard output, and no error."""
    result = practorflow("search", "notice")
    assert (result.code, result.out) == (exit_codes.OK, "")
    assert "practorflow ingest" in result.err


def test_an_answer_cites_the_passages_that_it_was_given(practorflow: Practorflow, papers: Path) -> None:
    """On standard error for people, as data for programs; the file is added on the way."""
    question = "How long is the notice period?"
    shown = practorflow("ask", "--add", str(papers / "contract.txt"), question)
    assert "three months" in shown.out
    assert "[1] contract.txt" in shown.err
    assert "contract.txt" not in shown.out
    answer = json.loads(practorflow("ask", "--document", "contract.txt", "--json", question).out)
    assert [source["filename"] for source in answer["sources"]] == ["contract.txt"]
    everything = json.loads(practorflow("ask", "--documents", "--json", question).out)
    assert everything["sources"][0]["filename"] == "contract.txt"


@pytest.mark.usefixtures("papers")
def test_a_chat_sees_its_documents_and_no_others(practorflow: Practorflow) -> None:
    """Also when it is gone on with later, without naming them again."""
    practorflow("ingest", "papers")
    practorflow("chat", "--keep", "--document", "memo.txt", stdin="Where is the coffee?\n")
    (later,) = rows(practorflow("chat", "--session", "last", "--json", stdin="How long is the notice period?\n"))
    assert {source["filename"] for source in later["sources"]} <= {"memo.txt"}  # type: ignore[attr-defined]
    assert "three months" not in str(later["reply"])
    (other,) = rows(practorflow("chat", "--json", stdin="How long is the notice period?\n"))
    assert "sources" not in other


def test_a_document_that_is_not_there_is_said_before_a_model_is_loaded(practorflow: Practorflow) -> None:
    """With code 3, as everything that is not there."""
    result = practorflow("ask", "--document", "nothing.pdf", "Hello", LLM_MODEL="not/here")
    assert (result.code, "no document 'nothing.pdf'" in result.err) == (exit_codes.NOT_FOUND, True)


def test_a_file_name_with_a_line_break_begins_no_new_row(
    practorflow: Practorflow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a pipe a row is a line, on a terminal a citation is one."""
    (tmp_path / "line\nbreak.txt").write_text(TEXT)
    (row,) = practorflow("ingest", "line\nbreak.txt").out.splitlines()
    assert row.split("\t")[:2] == ["added", "line break.txt"]
    monkeypatch.setattr("llm.cli.output.Output.to_person", property(lambda _: True))
    assert practorflow("search", "notice", "--mode", "text").out.splitlines()[0].startswith("[1] line break.txt  (")


def test_passages_are_wrapped_to_the_terminal(practorflow: Practorflow, monkeypatch: pytest.MonkeyPatch) -> None:
    """No line is longer than it."""
    Path("contract.txt").write_text(TEXT)
    practorflow("ingest", "contract.txt")
    monkeypatch.setattr("llm.cli.output.Output.to_person", property(lambda _: True))
    monkeypatch.setenv("COLUMNS", "30")
    lines = practorflow("search", "notice", "--mode", "text").out.splitlines()
    assert len(lines) > 2
    assert max(map(len, lines[1:])) <= 30


def test_an_empty_path_is_not_the_current_folder(practorflow: Practorflow) -> None:
    """A script whose variable is empty would add everything that lies around."""
    Path("contract.txt").write_text(TEXT)
    result = practorflow("ingest", "")
    assert (result.code, result.out) == (exit_codes.USAGE, "")
    assert "A path is empty" in result.err
    assert practorflow("search", " ").code == exit_codes.USAGE


def test_a_folder_that_cannot_be_listed_is_a_failure(
    practorflow: Practorflow, papers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What lies in it would be missing from every answer, and nobody would know."""
    listed, opened = os.scandir, os.open

    def refuse(path: object) -> None:
        if str(path) == "papers/old":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))

    def scandir(path: str = ".") -> object:
        refuse(path)
        return listed(path)

    def open_(path: str, flags: int, mode: int = 0o777, **options: int) -> int:
        refuse(path)
        return opened(path, flags, mode, **options)

    with monkeypatch.context() as patched:
        patched.setattr(os, "scandir", scandir)
        patched.setattr(os, "open", open_)
        result = practorflow("ingest", papers.name)
    assert result.code == exit_codes.INCOMPLETE
    assert "failed\tpapers/old\t'papers/old' cannot be read: Permission denied. Have its permissions changed." in (
        result.out.splitlines()
    )
    assert "1 added, 1 failed." in result.err


@pytest.mark.parametrize("path", ["papers/contract.txt/more", "n" * 300])
def test_a_path_that_no_file_can_have_fails_by_itself(practorflow: Practorflow, papers: Path, path: str) -> None:
    """The others are added."""
    result = practorflow("ingest", path, papers.name)
    assert result.code == exit_codes.INCOMPLETE
    assert result.err == "1 failed, 2 added.\n"


def test_an_ingest_that_is_stopped_says_how_to_go_on(
    practorflow: Practorflow, papers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was added before is there, and nothing but two lines is said."""

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    assert practorflow("ingest", f"{papers.name}/contract.txt").code == exit_codes.OK
    with monkeypatch.context() as patched:
        patched.setattr(ChromaKnowledgeStore, "add_documents", interrupt)
        result = practorflow("ingest", papers.name)
    assert (result.code, result.out) == (exit_codes.INTERRUPTED, "")
    assert result.err == "What has been added stays. Give the same command again to go on.\nStopped.\n"
    assert len(practorflow("documents", "list").out.splitlines()) == 1

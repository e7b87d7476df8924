"""The retrieval evaluation counts what it says it counts."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import pytest

RETRIEVAL = runpy.run_path(str(Path(__file__).parents[2] / "evals" / "retrieval.py"))
Question, Found = RETRIEVAL["Question"], RETRIEVAL["Found"]


def test_recall_counts_characters_once() -> None:
    """Characters that two passages share count once, and those of another text not at all."""
    question = Question("?", "a", ((10, 20), (30, 40)))
    found = [Found("a", 0, 15), Found("a", 12, 18), Found("b", 30, 40)]
    assert RETRIEVAL["covered"](question, found) == 0.4
    assert RETRIEVAL["covered"](question, []) == 0
    assert RETRIEVAL["covered"](question, [Found("a", 0, 100)]) == 1


def test_an_answer_is_hit_as_a_whole() -> None:
    """Half an answer in each of two passages is no hit; one of several answers is."""
    question = Question("?", "a", ((10, 20), (50, 55)))
    assert RETRIEVAL["answered"](question, [Found("a", 0, 15), Found("a", 15, 30)]) == 0
    assert RETRIEVAL["answered"](question, [Found("b", 0, 100)]) == 0
    assert RETRIEVAL["answered"](question, [Found("b", 0, 100), Found("a", 50, 55)]) == 1


def test_means_are_by_depth() -> None:
    """Each depth has the mean over the questions."""
    assert RETRIEVAL["means"]([[0, 0, 1, 1], [0, 1, 1, 0.5]]) == {"1": 0, "3": 0.5, "5": 1, "10": 0.75}


def test_articles_become_texts(tmp_path: Path) -> None:
    """Answers of the second paragraph point at its characters, also where two people gave the same one."""
    answers = [{"text": "here", "answer_start": 4}, {"text": "here", "answer_start": 4}]
    paragraphs = [
        {"context": "Nothing.", "qas": [{"question": "Unanswerable?", "answers": []}]},
        {"context": "Now here.", "qas": [{"question": "Where?", "answers": answers}]},
    ]
    file = tmp_path / "squad.json"
    file.write_text(json.dumps({"data": [{"title": "T", "paragraphs": paragraphs}]}), encoding="utf-8")
    texts, questions = RETRIEVAL["read_squad"](file)
    ((name, text),) = texts.items()
    (question,) = questions
    assert (question.text, question.document) == ("Where?", name)
    assert [text[start:end] for start, end in question.answers] == ["here"]


def test_questions_go_with_their_text(tmp_path: Path) -> None:
    """Questions about texts that are not given are left out; a reference that differs is refused."""
    (tmp_path / "a.md").write_text("one two\r\nthree", encoding="utf-8", newline="")
    file = tmp_path / "questions.csv"
    reference = '"[{""content"": ""two"", ""start_index"": 4, ""end_index"": 7}]"'
    file.write_text(f"question,references,corpus_id\nq,{reference},a\nr,{reference},b\n", encoding="utf-8")
    texts, (question,) = RETRIEVAL["read_chunking_evaluation"]([tmp_path / "a.md"], file)
    assert (question.document, question.answers) == ("a", ((4, 7),))
    assert texts["a"] == "one two\nthree"
    (tmp_path / "a.md").write_text("one 2", encoding="utf-8")
    with pytest.raises(SystemExit, match="another text"):
        RETRIEVAL["read_chunking_evaluation"]([tmp_path / "a.md"], file)


def test_offsets_stay_true() -> None:
    """The evaluation's loader changes no character, and names the paragraphs."""
    text = "# A\nb\n\n\n| c |\r\n"
    document = RETRIEVAL["TextAsItStands"]().load_bytes(text.encode(), "a.txt")
    assert document.text == text
    assert [text[item.start : item.end] for item in document.items] == ["# A\nb", "| c |\r"]

"""How well a knowledge store finds what answers a question: ``python evals/retrieval.py --xquad FILE``.

    --corpus FILE... --questions FILE   texts, and a CSV as chunking-evaluation writes it: columns question, references
                                        (JSON with start_index and end_index) and corpus_id, which is a text's name
                                        without its ending. Figure: share of the reference characters inside the first
                                        k passages.
    --xquad FILE...                     JSON as SQuAD and XQuAD write it. Figure: share of the questions of which one of
                                        the first k passages holds a whole answer.

Everything goes through the store as it is configured (KB_... variables), in a folder of its own. Only the loader is
left out: questions point at characters of a file, so its text is taken as it stands. The last line is JSON.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from llm.document.document import DocumentItem, LoadedDocument

DEPTHS = (1, 3, 5, 10)
MODES = ("dense", "text", "hybrid")
_PARAGRAPH = re.compile(r"[^\n]+(?:\n[^\n]+)*")

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Question:
    """A question, and the characters of one text that answer it."""

    text: str
    document: str
    answers: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """A passage that the store has found."""

    document: str
    start: int
    end: int


Score = Callable[[Question, Sequence[Found]], float]


def covered(question: Question, found: Sequence[Found]) -> float:
    """Share of the answers' characters that are inside the passages."""
    wanted = {place for start, end in question.answers for place in range(start, end)}
    seen = {
        place
        for passage in found
        if passage.document == question.document
        for start, end in question.answers
        for place in range(max(start, passage.start), min(end, passage.end))
    }
    return len(seen) / len(wanted)


def answered(question: Question, found: Sequence[Found]) -> float:
    """1.0 when one of the passages holds one of the answers as a whole, else 0.0."""
    return float(
        any(
            passage.document == question.document and passage.start <= start and end <= passage.end
            for passage in found
            for start, end in question.answers
        )
    )


def read_chunking_evaluation(corpora: Iterable[Path], questions: Path) -> tuple[dict[str, str], list[Question]]:
    """Texts by name, and the questions about them. Questions about other texts are left out."""
    texts = {path.stem: path.read_text(encoding="utf-8") for path in corpora}
    asked = []
    with questions.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            name = row["corpus_id"]
            if name not in texts:
                continue
            references = json.loads(row["references"])
            for reference in references:
                there = texts[name][reference["start_index"] : reference["end_index"]]
                if there != reference.get("content", there):
                    raise SystemExit(f"{str(questions)!r} is about another text than {name!r}: a reference differs.")
            spans = tuple((reference["start_index"], reference["end_index"]) for reference in references)
            asked.append(Question(row["question"], name, spans))
    return texts, asked


def read_squad(path: Path) -> tuple[dict[str, str], list[Question]]:
    """Articles as texts, their paragraphs one below the other, and the questions that have an answer."""
    texts: dict[str, str] = {}
    asked = []
    for number, article in enumerate(json.loads(path.read_text(encoding="utf-8"))["data"]):
        name = f"{number}.{article.get('title') or 'article'}"
        text = ""
        for paragraph in article["paragraphs"]:
            for question in paragraph["qas"]:
                starts = [(len(text) + answer["answer_start"], answer["text"]) for answer in question["answers"]]
                spans = tuple(dict.fromkeys((start, start + len(answer)) for start, answer in starts))
                if spans:
                    asked.append(Question(question["question"], name, spans))
            text += paragraph["context"] + "\n\n"
        texts[name] = text
    return texts, asked


class TextAsItStands:
    """Loads bytes as text without changing a character, so that offsets into the file stay true."""

    def load_bytes(self, data: bytes, filename: str) -> LoadedDocument:
        text = data.decode("utf-8")
        items = tuple(DocumentItem("paragraph", *found.span()) for found in _PARAGRAPH.finditer(text))
        return LoadedDocument(filename, "txt", text, items, None, hashlib.sha256(data).hexdigest())


def evaluate(texts: dict[str, str], questions: Sequence[Question], score: Score) -> dict[str, object]:
    """Put the texts into a new store, ask every question in every way, and return the figures."""
    from llm.knowledge import ChromaKnowledgeStore
    from settings.app_settings import appConfiguration

    with tempfile.TemporaryDirectory() as folder:
        config = replace(appConfiguration.KnowledgeChromaConfiguration, persist_directory=folder)
        store = ChromaKnowledgeStore(config, loader=TextAsItStands())
        try:
            started = time.perf_counter()
            names = {
                store.add_document_from_bytes(text.encode("utf-8"), f"{name}.txt")["id"]: name
                for name, text in texts.items()
            }
            seconds = time.perf_counter() - started
            counts = store.counts()
            figures: dict[str, object] = {
                "questions": len(questions),
                "documents": counts["documents"],
                "context_chunks": counts["context_chunks"],
                "retrieval_chunks": counts["retrieval_chunks"],
                "ingest_seconds": round(seconds, 1),
            }
            for mode in MODES:
                scores = []
                for question in questions:
                    passages = store.search(question.text, max(DEPTHS), mode=mode)
                    found = [Found(names[passage.document_id], passage.start, passage.end) for passage in passages]
                    scores.append([score(question, found[:depth]) for depth in DEPTHS])
                figures[mode] = means(scores)
        finally:
            store.close()
    return figures


def means(scores: Sequence[Sequence[float]]) -> dict[str, float]:
    """The mean at each depth; a depth's column is in the order of `DEPTHS`."""
    columns = zip(*scores, strict=True)
    return {str(depth): round(sum(column) / len(column), 4) for depth, column in zip(DEPTHS, columns, strict=True)}


def show(name: str, figure: str, figures: dict[str, object]) -> None:
    """A table for people."""
    print(f"{name}: {figures['questions']} questions, {figures['context_chunks']} context chunks; {figure}")
    print("        " + "".join(f"{f'@{depth}':>8}" for depth in DEPTHS))
    for mode in MODES:
        row = figures[mode]
        assert isinstance(row, dict)
        print(f"{mode:8}" + "".join(f"{row[str(depth)]:8.3f}" for depth in DEPTHS))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, nargs="+", default=[], help="texts that the questions are about")
    parser.add_argument("--questions", type=Path, help="CSV in the form of chunking-evaluation")
    parser.add_argument("--xquad", type=Path, nargs="+", default=[], help="JSON in the form of SQuAD")
    options = parser.parse_args(arguments)
    if bool(options.corpus) != bool(options.questions) or not (options.corpus or options.xquad):
        parser.error("give --corpus and --questions, or --xquad, or both")
    results: dict[str, dict[str, object]] = {}
    if options.corpus:
        texts, questions = read_chunking_evaluation(options.corpus, options.questions)
        if not questions:
            parser.error("no question is about one of these texts; a text's name without its ending is its corpus_id")
        results[options.questions.stem] = {"figure": "recall", **evaluate(texts, questions, covered)}
    for path in options.xquad:
        texts, questions = read_squad(path)
        if not questions:
            parser.error(f"{str(path)!r} holds no question that has an answer")
        results[path.stem] = {"figure": "hit", **evaluate(texts, questions, answered)}
    for name, figures in results.items():
        show(name, str(figures["figure"]), figures)
    print(json.dumps(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())

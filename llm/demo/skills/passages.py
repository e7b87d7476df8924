"""Answers from documents: quote the sentence that answers, or say that none does."""

from __future__ import annotations

import re

from ..sample import Sample, Tool, Turn, assistant, calls, system, tool_result, user
from ..vocabulary import Vocabulary
from ..words import COMMON
from .statements import ABOUT, ACTIONS, AROUND, CHANGES, FACTS, FINDINGS

NOT_FOUND = "The documents do not say that."


def quoted_fact(vocabulary: Vocabulary) -> Sample:
    """A fact of our own making among real sentences; its sentence is the answer."""
    return _fact_among("quoted_fact", vocabulary, vocabulary.one_of((1, 1, 1, 2, 2, 3, 5)))


def _fact_among(skill: str, vocabulary: Vocabulary, count: int) -> Sample:
    fact, question, value = _fact(vocabulary)
    passages = _passages(vocabulary, count=count, hidden=fact)
    return _asked(skill, vocabulary, passages, question, fact, contains=(value,))


def one_passage(vocabulary: Vocabulary) -> Sample:
    """`quoted_fact` with a single passage, for evaluation."""
    return _fact_among("one_passage", vocabulary, 1)


def five_passages(vocabulary: Vocabulary) -> Sample:
    """`quoted_fact` with five passages."""
    return _fact_among("five_passages", vocabulary, 5)


def quoted_sentence(vocabulary: Vocabulary) -> Sample:
    """A real sentence, asked for by some of its words."""
    while True:
        sentence = vocabulary.sentence()
        passages = _sentences_of_passages(vocabulary)
        others = [one for passage in passages for one in passage]
        question = _question_about(vocabulary, sentence, others)
        if question is not None and sentence not in others:
            break
    _insert(vocabulary, vocabulary.one_of(passages), sentence)
    return _asked(
        "quoted_sentence", vocabulary, list(map(" ".join, passages)), question, sentence, contains=(sentence,)
    )


def passage_questions(vocabulary: Vocabulary) -> Sample:
    """The same passages asked several times: for facts, for real sentences, and for what they do not tell."""
    asked: list[tuple[str, str]] = []
    passages = _sentences_of_passages(vocabulary)
    for place in range(vocabulary.integer(2, 5)):
        sentence, question, _ = _fact(vocabulary, finding=0 if place else 0.2)
        _insert(vocabulary, vocabulary.one_of(passages), sentence)
        asked.append((question, sentence))
    everything = [sentence for passage in passages for sentence in passage]
    for sentence in vocabulary.some_of(everything, min(len(everything), vocabulary.integer(0, 3))):
        about = _question_about(vocabulary, sentence, [one for one in everything if one != sentence])
        if about is not None:
            asked.append((about, sentence))
    asked += [(_fact(vocabulary)[1], NOT_FOUND) for _ in range(vocabulary.integer(0, 2))]
    vocabulary.random.shuffle(asked)
    (question, answer), *further = dict(asked).items()
    turns = _asked_in_one_turn(vocabulary, list(map(" ".join, passages)), question)
    turns.append(assistant(answer))
    opening = vocabulary.one_of(("", "", "Question: "))
    for question, answer in further:
        turns += [user(opening + question), assistant(answer)]
    return Sample(skill="passage_questions", messages=tuple(turns))


def sentence_questions(vocabulary: Vocabulary) -> Sample:
    """Real sentences, each asked for by words from anywhere in it: its beginning has to be found from its middle."""
    passages = _sentences_of_passages(vocabulary)
    while sum(map(len, passages)) < 4:
        passages.append(vocabulary.paragraph(3))
    everything = [sentence for passage in passages for sentence in passage]
    asked = {}
    for _ in range(vocabulary.integer(4, 12)):
        sentence = vocabulary.one_of(everything)
        question = _question_about(vocabulary, sentence, [one for one in everything if one != sentence])
        if question is not None:
            asked[question] = sentence
    question, answer = asked.popitem() if asked else (_fact(vocabulary)[1], NOT_FOUND)
    turns = [*_asked_in_one_turn(vocabulary, list(map(" ".join, passages)), question), assistant(answer)]
    for question, answer in asked.items():
        turns += [user(question), assistant(answer)]
    return Sample(skill="sentence_questions", messages=tuple(turns))


def searched_questions(vocabulary: Vocabulary) -> Sample:
    """Several questions with a search tool: each is searched for, and answered from what its own search found."""
    tool = _search_tool(vocabulary)
    turns = _maybe_system(vocabulary)
    for _ in range(vocabulary.integer(1, 4)):
        sentence, question, _ = _fact(vocabulary)
        found = vocabulary.chance(0.85)
        near = _fact(vocabulary, finding=0)[0] if vocabulary.chance(0.6) else None
        listed = _listed(vocabulary, _passages(vocabulary, hidden=sentence if found else near))
        turns += [*_search(tool, question, listed), assistant(sentence if found else NOT_FOUND)]
    return Sample(skill="searched_questions", messages=tuple(turns), tools=(tool,))


def not_in_documents(vocabulary: Vocabulary) -> Sample:
    """The question fits none of the passages; one of them may come close."""
    if vocabulary.chance(0.7):
        _, question, _ = _fact(vocabulary)
        near, _, _ = _fact(vocabulary, finding=0)
        passages = _passages(vocabulary, hidden=near if vocabulary.chance(0.6) else None)
    else:
        passages = _passages(vocabulary, hidden=None)
        words = {word for passage in passages for word in re.findall(r"\w+", passage.lower())}
        keyword = next(word for word in iter(vocabulary.any_word, None) if word not in words)
        question = vocabulary.one_of(ABOUT).format(
            k=f"the {vocabulary.adjective()} {keyword}" if vocabulary.chance(0.5) else keyword
        )
    return _asked("not_in_documents", vocabulary, passages, question, NOT_FOUND)


def _fact(vocabulary: Vocabulary, *, finding: float = 0.2) -> tuple[str, str, str]:
    """A sentence that states something, a question that it answers, and the value that the answer turns on.

    A share `finding` of them are what a report would name once: a passage with two of the kind would have two answers.
    """
    questions, kind = vocabulary.one_of(FINDINGS if vocabulary.chance(finding) else FACTS)
    filling = {
        "a": vocabulary.adjective(),
        "n": vocabulary.noun(),
        "p": vocabulary.person() if vocabulary.chance(0.5) else vocabulary.place(),
        "p2": vocabulary.place(),
        "p3": vocabulary.place(),
        "v": vocabulary.value(),
        "d": vocabulary.spoken_date(),
        "y": vocabulary.integer(1990, 2039),
        "i": vocabulary.integer(2, 5000),
        "j": vocabulary.integer(2, 50),
        "w": vocabulary.one_of(("euro", "dollars", "pounds", "crowns")),
        "c": vocabulary.code(),
        "x": vocabulary.one_of(CHANGES),
        "r": vocabulary.one_of(ACTIONS),
    }
    sentence = kind.format(**filling)
    key = next(name for name in ("v", "d", "i", "c", "p3", "x", "r", "p", "a") if "{" + name + "}" in kind)
    return sentence, vocabulary.one_of(questions).format(**filling), str(filling[key])


def _question_about(vocabulary: Vocabulary, sentence: str, others: list[str]) -> str | None:
    """Some of the sentence's words inside a question; None when they do not tell it from the other sentences."""
    words = sentence.rstrip(".").replace(",", "").split()
    rare = list(dict.fromkeys(word for word in re.findall(r"[a-z]{5,}", sentence) if word not in COMMON))
    if len(rare) < 3 or len(words) < 7:
        return None
    form = vocabulary.random.random()
    if form < 0.35:
        chosen = sorted(vocabulary.some_of(rare, vocabulary.integer(1, 3)), key=sentence.index)
        keywords = ", ".join(chosen[:-1]) + " and " + chosen[-1] if len(chosen) > 1 else chosen[0]
        question = vocabulary.one_of(ABOUT).format(k=keywords)
    else:
        start = vocabulary.integer(0 if form > 0.7 else 1, len(words) - 5)
        span = words[start : start + vocabulary.integer(3, 6 if form < 0.7 else 10)]
        if form > 0.7:  # as people ask: in the sentence's order, but not all of its words
            span = [word for word in span if word in rare or vocabulary.chance(0.6)]
        chosen = [word for word in span if word in rare]
        question = vocabulary.one_of(ABOUT if form < 0.5 else AROUND).format(k=" ".join(span))
    if not any(all(word not in other for other in others) for word in chosen):
        return None
    return question


def _passages(vocabulary: Vocabulary, *, hidden: str | None, count: int = 0) -> list[str]:
    """`count` passages, or one to five; `hidden` stands in one of them, at a random place."""
    passages = _sentences_of_passages(vocabulary, count)
    if hidden is not None:
        passages = [[one for one in sentences if one != hidden] for sentences in passages]
        _insert(vocabulary, vocabulary.one_of(passages), hidden)
    return [" ".join(sentences) for sentences in passages]


def _sentences_of_passages(vocabulary: Vocabulary, count: int = 0) -> list[list[str]]:
    passages = []
    for _ in range(count or vocabulary.one_of((1, 1, 1, 2, 2, 3, 5))):
        sentences = vocabulary.paragraph(vocabulary.one_of((1, 1, 2, 2, 3, 6)))
        for _ in range(vocabulary.one_of((0, 1, 2))):
            _insert(vocabulary, sentences, _fact(vocabulary, finding=0)[0])
        passages.append(sentences)
    return passages


def _insert(vocabulary: Vocabulary, sentences: list[str], sentence: str) -> None:
    sentences.insert(vocabulary.integer(0, len(sentences)), sentence)


def _asked(
    skill: str, vocabulary: Vocabulary, passages: list[str], question: str, answer: str, contains: tuple[str, ...] = ()
) -> Sample:
    """The passages where applications put them: before the question, in the system message, or in a tool's result."""
    if vocabulary.chance(0.8):
        turns = (*_asked_in_one_turn(vocabulary, passages, question), assistant(answer))
        return Sample(skill=skill, messages=turns, contains=contains)
    tool = _search_tool(vocabulary)
    turns = (*_maybe_system(vocabulary), *_search(tool, question, _listed(vocabulary, passages)), assistant(answer))
    return Sample(skill=skill, messages=turns, tools=(tool,), contains=contains)


def _asked_in_one_turn(vocabulary: Vocabulary, passages: list[str], question: str) -> list[Turn]:
    """The passages before the question, or in the system message."""
    listed = _listed(vocabulary, passages)
    if vocabulary.chance(0.75):
        head = vocabulary.one_of(
            (
                "Context:\n",
                "Use these passages:\n",
                "Answer from the documents:\n",
                "Relevant context:\n\n",
                "Documents:\n\n",
                "<context>\n",
                "<documents>\n",
                "Passages from the documents:\n\n",
                "",
            )
        )
        tail = vocabulary.one_of(("\n\nQuestion: ", "\n\nQuestion: ", "\n\n", "\n\nUser question: "))
        if head.startswith("<"):
            tail = "\n</" + head[1:].rstrip() + tail
        return [*_maybe_system(vocabulary), user(f"{head}{listed}{tail}{question}")]
    head = vocabulary.one_of(
        (
            "Answer from these passages.\n\n",
            "You answer questions about documents.\n\nContext:\n",
            "Use the context.\n\nContext:\n\n",
        )
    )
    return [system(head + listed), user(question)]


def _search_tool(vocabulary: Vocabulary) -> Tool:
    name = vocabulary.one_of(("search_knowledge", "knowledge_search", "search_documents"))
    description = vocabulary.one_of(
        (
            "Search the knowledge base for relevant information.",
            "Search the documents",
            "Find passages in the documents.",
        )
    )
    schema = {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]}
    return {"type": "function", "function": {"name": name, "description": description, "parameters": schema}}


def _search(tool: Tool, question: str, found: str) -> list[Turn]:
    """A question, the search for it, and what was found."""
    return [user(question), calls((tool["function"]["name"], {"query": question})), tool_result(found)]


def _maybe_system(vocabulary: Vocabulary) -> list[Turn]:
    if vocabulary.chance(0.5):
        return []
    return [
        system(
            vocabulary.one_of(
                (
                    "You are a secure AI assistant that helps analyze internal documents.",
                    "Answer from the documents.",
                    "You are a helpful assistant.",
                )
            )
        )
    ]


def _listed(vocabulary: Vocabulary, passages: list[str]) -> str:
    style = vocabulary.integer(0, 4)
    if style == 0:
        return "\n\n".join(f"[{number}] {text}" for number, text in enumerate(passages, 1))
    if style == 1:
        return "\n\n---\n\n".join(passages)
    if style == 2:
        return "\n\n".join(passages)
    filename = f"{vocabulary.noun()}_{vocabulary.noun()}.{vocabulary.one_of(('pdf', 'docx', 'txt', 'md'))}"
    sources = [f"{filename}, page {vocabulary.integer(1, 40)}" for _ in passages]
    form = "[{number}] {source}\n{text}" if style == 3 else "[{number}] ({source}) {text}"
    listed = zip(range(1, len(passages) + 1), sources, passages, strict=True)
    return "\n\n".join(form.format(number=number, source=source, text=text) for number, source, text in listed)

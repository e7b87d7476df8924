"""The demo model's samples: fixed by their seed, apart from each other, and right about themselves."""

from __future__ import annotations

import json
import re
from itertools import chain

import pytest

from llm.demo import prose
from llm.demo.evaluation import FIGURES, FIXED, called, expected_calls, samples_of
from llm.demo.generator import evaluation_samples, training_sample
from llm.demo.sample import Sample
from llm.demo.skills import MIXTURE, SKILLS
from llm.demo.skills.functions import near_functions
from llm.demo.skills.passages import NOT_FOUND
from llm.demo.vocabulary import Vocabulary

DRAWN = {"tool_call", "two_calls", "tool_answer", "quoted_fact", "json_fields"}


def test_the_same_seed_and_place_give_the_same_sample() -> None:
    """Nothing but seed and place decides a sample, in whatever order samples are asked for."""
    forward = [training_sample(7, index) for index in range(200)]
    backward = [training_sample(7, index) for index in reversed(range(200))]
    assert forward == backward[::-1]
    assert evaluation_samples(3, "tool_call", 20) == evaluation_samples(3, "tool_call", 20)


def test_another_seed_gives_other_samples() -> None:
    """Two training seeds do not share their samples."""
    first = {training_sample(1, index).rendered() for index in range(500)}
    second = {training_sample(2, index).rendered() for index in range(500)}
    assert len(first & second) < 5  # small talk has few ways to say hello


@pytest.mark.parametrize("skill", sorted(DRAWN))
def test_evaluation_never_repeats_a_training_sample(skill: str) -> None:
    """What is drawn from large spaces does not occur in 4,000 training samples of the default seed."""
    trained_on = {training_sample(1, index).rendered() for index in range(4000)}
    assert not trained_on & {sample.rendered() for sample in evaluation_samples(1000, skill, 50)}


def test_held_out_sentences_are_never_trained_on() -> None:
    """Evaluation quotes sentences that no training sample can hold."""
    assert set(prose.sentences(held_out=True)).isdisjoint(prose.sentences(held_out=False))
    assert len(prose.sentences(held_out=True)) > 20


@pytest.mark.parametrize("skill", sorted(SKILLS))
def test_a_sample_ends_with_the_answer_that_it_asks_for(skill: str) -> None:
    """Conversations end with an assistant's turn that holds what a right answer must; other samples are text."""
    for sample in evaluation_samples(5, skill, 30):
        assert sample.skill
        if sample.text:
            assert sample.text.endswith("\n")
            continue
        assert sample.answer["role"] == "assistant"
        assert sample.messages[0]["role"] in {"system", "user"}
        answer = sample.answer["content"]
        if skill == "json_fields":
            values = [str(value) for value in json.loads(answer).values()]
            assert sorted(values) == sorted(sample.contains)
        else:
            assert all(value in answer for value in sample.contains)


@pytest.mark.parametrize("skill", ["tool_call", "two_calls"])
def test_expected_calls_name_offered_tools_and_keep_to_their_schemas(skill: str) -> None:
    """The right call is always one that was offered, with all required arguments and no unknown ones."""
    for sample in evaluation_samples(6, skill, 60):
        offered = {tool["function"]["name"]: tool["function"]["parameters"] for tool in sample.tools}
        assert len(offered) == len(sample.tools)
        assert len(expected_calls(sample)) == (2 if skill == "two_calls" else 1)
        for name, arguments in expected_calls(sample):
            assert set(offered[name].get("required", ())) <= set(arguments) <= set(offered[name]["properties"])


def test_the_value_that_answers_stands_in_the_passages() -> None:
    """A fact's sentence is in the prompt word for word; for a question without an answer no such sentence is."""
    for sample in evaluation_samples(8, "five_passages", 40):
        assert sample.answer["content"] in _prompt_text(sample)
    for sample in evaluation_samples(8, "not_in_documents", 40):
        assert sample.answer["content"] not in _prompt_text(sample)


def test_every_answer_about_the_same_passages_is_in_them_or_says_that_none_is() -> None:
    """Samples that ask several times quote each time what stands in the passages, and ask nothing twice."""
    asked_again = 0
    asking = [evaluation_samples(8, skill, 60) for skill in ("passage_questions", "sentence_questions")]
    for sample in chain.from_iterable(asking):
        given = sample.messages[0]["content"]
        if sample.messages[1]["role"] == "user":
            given += sample.messages[1]["content"]
        answers = [turn["content"] for turn in sample.messages if turn["role"] == "assistant"]
        assert all((answer in given) != (answer == NOT_FOUND) for answer in answers)
        questions = [turn["content"] for turn in sample.messages if turn["role"] == "user"]
        assert len(set(questions)) == len(questions)
        asked_again += len(answers) > 1
    assert asked_again > 100


def test_near_functions_share_their_words_and_one_alone_fits_a_request() -> None:
    """No two have a subject and what is asked of it in common, though most share one of the two with another."""
    lists = [near_functions(Vocabulary(seed), 8) for seed in range(40)]
    for offered in lists:
        asked = [(one.subject, one.attribute or one.verb) for one in offered if not one.general]
        assert len(set(asked)) == len(asked)
        general = [one.subject for one in offered if one.general]
        assert len(set(general)) == len(general)
    assert sum(len({one.subject for one in offered}) < len(offered) for offered in lists) > 30


def test_a_choice_is_asked_for_once_and_named_as_it_is_offered() -> None:
    """Every function of a list is called or named once, so that none can be copied from an earlier answer."""
    for skill in ("tool_choice", "named_functions"):
        for sample in evaluation_samples(8, skill, 40):
            answers = [turn for turn in sample.messages if turn["role"] == "assistant"]
            named = [call["function"]["name"] for turn in answers for call in turn.get("tool_calls", ())] or [
                turn["content"] for turn in answers
            ]
            assert len(set(named)) == len(named)
            given = sample.rendered_prompt() if skill == "tool_choice" else _prompt_text(sample)
            assert all(name in given for name in named)


def test_one_row_alone_fits_what_is_asked_for_and_the_answer_is_its_beginning() -> None:
    """All words behind the beginning stand in the question, which those of no other row do."""
    for sample in evaluation_samples(8, "records", 60):
        turns = [turn["content"] for turn in sample.messages if turn["role"] != "system"]
        listed, _, first = turns[0].partition("\n\n")
        rows = [re.split(r": | - |[ _]", row) for row in re.split(r"\n|; |, ", listed)]
        fields = min(map(len, rows)) - 1
        for question, answer in zip((first, *turns[2::2]), turns[1::2], strict=True):
            asked = re.split(r"[ ,?.]+", question)
            (row,) = (row for row in rows if set(row[-fields:]) <= set(asked))
            assert re.split(r": | - |[ _]", answer)[: len(row) - fields] == row[:-fields]


def test_what_is_searched_for_is_answered_from_what_that_search_found() -> None:
    """The question is the query, and the answer stands in the result right behind it, or is said to stand in none."""
    found = 0
    for sample in evaluation_samples(8, "searched_questions", 60):
        turns = [turn for turn in sample.messages if turn["role"] != "system"]
        for question, call, result, answer in zip(*(turns[place::4] for place in range(4)), strict=True):
            (called_function,) = (one["function"] for one in call["tool_calls"])
            assert called_function["arguments"] == {"query": question["content"]}
            assert (answer["content"] in result["content"]) != (answer["content"] == NOT_FOUND)
            found += answer["content"] != NOT_FOUND
    assert found > 60


def test_every_call_of_a_longer_conversation_keeps_to_its_schema_and_is_answered() -> None:
    """Each call names an offered function with its required arguments, and as many results follow as calls."""
    for sample in evaluation_samples(8, "tool_conversation", 60):
        offered = {tool["function"]["name"]: tool["function"]["parameters"] for tool in sample.tools}
        for place, turn in enumerate(sample.messages):
            functions = [call["function"] for call in turn.get("tool_calls", ())]
            for function in functions:
                schema, arguments = offered[function["name"]], set(function["arguments"])
                assert set(schema.get("required", ())) <= arguments <= set(schema["properties"])
            roles = [later["role"] for later in sample.messages[place + 1 : place + len(functions) + 2]]
            if functions:
                assert roles == ["tool"] * len(functions) + ["assistant"]


def test_a_quoted_sentence_is_asked_for_by_words_that_no_other_sentence_has() -> None:
    """A question about a sentence of the documentation has one answer among the passages."""
    for sample in evaluation_samples(8, "quoted_sentence", 60):
        asked = set(re.findall(r"[a-z]{5,}", sample.prompt[-1]["content"].rpartition("\n")[2]))
        answer = sample.answer["content"]
        rest = _prompt_text(sample).replace(answer, "", 1)
        assert sample.prompt[-1]["role"] == "tool" or any(word in answer for word in asked)
        assert rest.count(answer) == 0


def test_every_skill_is_trained() -> None:
    """Each figure of the evaluation is taken on a skill that can be drawn, and all weights are positive."""
    assert {skill for skill, _ in FIGURES.values()} <= set(SKILLS) | set(FIXED)
    assert all(weight > 0 for weight in MIXTURE.values())


def test_perfect_replies_score_one_and_empty_ones_do_not() -> None:
    """The checks accept the expected answer and refuse silence, except where silence is no call."""
    for figure, (skill, check) in FIGURES.items():
        for sample in samples_of(skill, seed=9, count=20):
            assert check(sample, _perfect(sample))
            assert check(sample, "") == (figure == "no_needless_call")


def test_calls_are_read_from_text_and_damaged_ones_are_none() -> None:
    """A call is read with its arguments; text that does not parse counts for nothing."""
    text = (
        '<tool_call>\n{"name": "f", "arguments": {"a": {"b": 1}}}\n</tool_call>\n<tool_call>\n{"name": \n</tool_call>'
    )
    assert called(text) == [("f", {"a": {"b": 1}})]


def _prompt_text(sample: Sample) -> str:
    return "\n".join(turn["content"] for turn in sample.prompt)


def _perfect(sample: Sample) -> str:
    if "tool_calls" not in sample.answer:
        return str(sample.answer["content"])
    return "\n".join(
        f"<tool_call>\n{json.dumps({'name': name, 'arguments': arguments})}\n</tool_call>"
        for name, arguments in expected_calls(sample)
    )

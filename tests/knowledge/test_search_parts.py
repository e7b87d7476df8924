"""The pure parts of a search, and the two ways to near chunks."""

from __future__ import annotations

import random
import threading
from typing import Any

import numpy as np
import pytest

from llm.exceptions import KnowledgeStoreError
from llm.knowledge import DocumentScope, dense_search
from llm.knowledge.dense_search import exact_chunks, near_chunks
from llm.knowledge.index_words import indexed_text, match_expression
from llm.knowledge.placement import Content, Placement, place_content
from llm.knowledge.rank_fusion import fused
from llm.testing.small_documents import WORDS, add, documents_of, text_about

OLD, NEW, RECUT = (
    Content(sha256="old", fingerprint="1"),
    Content(sha256="new", fingerprint="1"),
    Content(sha256="old", fingerprint="2"),
)


@pytest.mark.parametrize(
    ("content", "of_source", "shared", "same", "expected"),
    [
        (NEW, None, False, None, Placement("new")),
        (OLD, ("a", OLD), False, ("a", OLD), Placement("there", "a")),
        (OLD, ("a", OLD), True, ("a", OLD), Placement("there", "a")),
        (NEW, ("a", OLD), False, None, Placement("replace", "a")),
        (NEW, ("a", OLD), False, ("b", NEW), Placement("replace", "a")),
        (NEW, ("a", OLD), True, None, Placement("new")),
        (NEW, ("a", OLD), True, ("b", NEW), Placement("there", "b")),
        (RECUT, ("a", OLD), True, ("a", OLD), Placement("replace", "a")),
        (OLD, None, False, ("b", OLD), Placement("there", "b")),
        (RECUT, None, False, ("b", OLD), Placement("replace", "b")),
    ],
)
def test_where_a_content_belongs(
    content: Content, of_source: Any, shared: bool, same: Any, expected: Placement
) -> None:
    """By its source first, then by its bytes; where two sources shared a document, the changed one gets its own."""
    assert place_content(content, of_source=of_source, shared=shared, same=same) == expected


def test_rankings_are_fused_by_rank() -> None:
    """What all put first has 1.0, weights count, and an empty ranking changes no order."""
    assert fused([["a", "b"], ["a", "c"]])[0] == ("a", 1.0)
    assert [key for key, _ in fused([["a", "b"], ["b", "a", "c"]])] == ["a", "b", "c"]
    assert [key for key, _ in fused([["a", "b"], ["b"]], weights=[1, 3])] == ["b", "a"]
    assert [key for key, _ in fused([["a", "b", "a"], []])] == ["a", "b"]
    assert fused([[], []]) == []


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("What is the price of lamps?", '"price" OR "lamps"'),
        ("golden bridge in Oslo", '"golden" OR "bridge" OR "oslo" OR "golden bridge"'),
        ("to be or not", '"to" OR "be" OR "or" OR "not" OR "to be" OR "be or" OR "or not"'),
        ('a "quoted" NEAR* word', '"quoted" OR "near" OR "word" OR "quoted near" OR "near word"'),
        ("橋は青い", '"橋 は 青 い"'),
        ("?! …", None),
        ("", None),
    ],
)
def test_a_question_asks_for_its_telling_words(question: str, expected: str | None) -> None:
    """Each in quotes, so that nothing of it is an operator; neighbours as phrases too."""
    assert match_expression(question) == expected


def test_scripts_without_spaces_are_set_apart() -> None:
    """Character by character, and nothing else is changed."""
    assert indexed_text("The 橋 is 青い.") == "The  橋  is  青  い ."
    assert indexed_text("Zürich") == "Zürich"


@pytest.mark.parametrize("everything", [True, False])
def test_graph_and_comparison_agree(store: Any, monkeypatch: pytest.MonkeyPatch, everything: bool) -> None:
    """For the same scope both ways name the same chunks first, with like similarities."""
    chance = random.Random(5)
    ids = [add(store, text_about(f"topic{number}", paragraphs=6), f"{number}.txt") for number in range(12)]
    scope = DocumentScope.everything() if everything else DocumentScope.only(ids[:5])
    monkeypatch.setattr(dense_search, "EXACT_CHUNKS", 0)
    for _ in range(10):
        question = store._embedder.embed_query(" ".join(chance.choices(WORDS, k=4)))
        graph = near_chunks(store._index, store._vectors, question, scope, 5, aside=store._documents._aside)
        exact = exact_chunks(store._index, question, scope, 5)
        for name in ("pieces", "wholes"):
            assert list(getattr(graph, name))[:5] == list(getattr(exact, name))[:5]
        for key in list(exact.pieces)[:5]:
            assert graph.pieces[key][1] == pytest.approx(exact.pieces[key][1], abs=2e-3)
        for key in list(exact.wholes)[:5]:
            assert graph.wholes[key] == pytest.approx(exact.wholes[key], abs=2e-3)
        assert np.all(np.diff([similarity for _, similarity in exact.pieces.values()]) <= 0)


def test_a_scope_that_the_graph_hardly_sees_is_compared(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where what is near is not in the scope, looking further ends, and the comparison answers."""
    near = [add(store, text_about("zebras", seed=seed), f"{seed}.txt") for seed in range(10)]
    far = add(store, "Completely different words stand here.", "far.txt")
    monkeypatch.setattr(dense_search, "EXACT_CHUNKS", 0)
    monkeypatch.setattr(dense_search, "MOST_NEAR", 16)
    monkeypatch.setattr(dense_search, "_PIECES_EACH", 1)
    (found,) = store.search_scoped("zebras", {far}, 1, mode="dense")
    assert found.document_id == far
    assert {passage.document_id for passage in store.search_scoped("zebras", near[:2], 50, mode="dense")} == set(
        near[:2]
    )


@pytest.mark.parametrize("outside", [1, 60])
def test_words_in_most_documents_are_found_past_those_outside(store: Any, outside: int) -> None:
    """A scope of more than half of the documents gets what it holds, in the same order as all, also where what has the
    words best stands outside of it."""
    inside = [add(store, f"Saffron number {number}. {text_about('tides', seed=number)}") for number in range(70)]
    for number in range(outside):
        add(store, f"Saffron {number}")
    everything = store._index.by_words("saffron", DocumentScope.everything(), 500)
    scope = DocumentScope.only(inside)
    for count in (1, 5, 40):
        found = store._index.by_words("saffron", scope, count)
        assert len(found) == count
        passages = store._index.passages([key for key, _ in found], scope, scores={}, matches={})
        assert {passage.document_id for passage in passages} <= set(inside)
        allowed = {key for key, _ in store._index.by_words("saffron", scope, 500)}
        assert found == [row for row in everything if row[0] in allowed][:count]


def test_a_search_does_not_wait_for_what_goes_on_beside_others(store: Any) -> None:
    """Where all threads beside the callers' are held up, the caller does everything itself."""
    id_ = add(store, text_about("zebras"))
    release = threading.Event()
    held = [store._documents._aside.begin(lambda: release.wait(60)) for _ in range(8)]
    try:
        assert documents_of(store.search("zebras")) == {id_}
    finally:
        release.set()
    assert all(result() for result in held)


def test_a_search_for_words_that_fails_is_the_callers_failure(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever thread it was in."""
    add(store, text_about("zebras"))

    def fail(*_: object) -> Any:
        raise KnowledgeStoreError("The database failed.")

    monkeypatch.setattr(store._index, "by_words", fail)
    with pytest.raises(KnowledgeStoreError, match=r"The database failed\."):
        store.search("zebras")

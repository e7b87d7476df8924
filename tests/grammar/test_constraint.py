"""A constraint as the engine drives it: asked, advanced, taken back, and safe whatever happens."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

from llm.engine.request import ConstraintCompiler, TokenConstraint
from llm.exceptions import GenerationError, SchemaError
from llm.grammar.byte_vocabulary import END_TOKEN, ByteVocabulary
from llm.grammar.constraint import GrammarCompiler, GrammarConstraint
from llm.grammar.json_schema import checked_schema, json_rule
from llm.grammar.native_limits import panics_caught

DATE = "start: " + json_rule(checked_schema({"type": "string", "format": "date"}))


@pytest.fixture(scope="module")
def compiler() -> GrammarCompiler:
    return GrammarCompiler(ByteVocabulary())


def mask_of(constraint: TokenConstraint, size: int = 257) -> list[int]:
    mask = np.full((size + 31) // 32, -1, dtype=np.int32)
    constraint.fill_mask(mask)
    return np.flatnonzero(np.unpackbits(mask.view(np.uint8), bitorder="little")).tolist()


def advance(constraint: TokenConstraint, text: str) -> None:
    for byte in text.encode():
        constraint.advance(byte)


def test_the_engines_protocols_fit() -> None:
    """The engine's contracts are kept without knowing of the engine; the type checker holds this assignment."""
    compile_constraint: ConstraintCompiler = GrammarCompiler(ByteVocabulary())
    constraint: TokenConstraint = compile_constraint('start: "a"')
    assert constraint.allows(ord("a"))


def test_allows_and_mask_agree(compiler: GrammarCompiler) -> None:
    """At every place of a text, a token is allowed exactly if its bit is set."""
    constraint = compiler(DATE)
    for byte in b'"2024-02-29"':
        assert [token for token in range(257) if constraint.allows(token)] == mask_of(constraint)
        constraint.advance(byte)
    assert mask_of(constraint) == [END_TOKEN]


def test_an_end_token_is_allowed_only_at_an_end(compiler: GrammarCompiler) -> None:
    """The end is not allowed inside, allowed beside others where both fit, and alone when all is said."""
    constraint = compiler('start: "a" "b"?')
    assert not constraint.allows(END_TOKEN)
    constraint.advance(ord("a"))
    assert mask_of(constraint) == [ord("b"), END_TOKEN]
    assert not constraint.finished
    constraint.advance(ord("b"))
    assert constraint.finished
    assert mask_of(constraint) == [END_TOKEN]
    constraint.advance(END_TOKEN)
    assert constraint.finished


def test_an_end_token_that_the_grammar_names() -> None:
    """A call's closing mark may itself be an end token: it is allowed where the grammar could not end otherwise."""

    class TwoEnds(ByteVocabulary):
        def __init__(self) -> None:
            super().__init__(["<|call|>"])
            self.end_tokens = frozenset({END_TOKEN, END_TOKEN + 1})

    constraint = GrammarCompiler(TwoEnds())('start: "a" <|call|>')
    constraint.advance(ord("a"))
    assert constraint.allows(END_TOKEN + 1)
    assert not constraint.allows(END_TOKEN)
    assert mask_of(constraint, 258) == [END_TOKEN + 1]


def test_forced_tokens(compiler: GrammarCompiler) -> None:
    """Where there is one way on, all tokens up to the next choice are told at once."""
    constraint = compiler('start: "hello " ("a" | "b")')
    forced = constraint.forced_tokens()
    assert bytes(forced) == b"hello "
    for token in forced:
        constraint.advance(token)
    assert constraint.forced_tokens() == []


def test_forced_tokens_are_the_vocabularys_own() -> None:
    """Forced text is cut as the vocabulary cuts it, so that the model sees what it would have written."""
    vocabulary = ByteVocabulary(words=[b"hel", b"lo"])
    constraint = GrammarCompiler(vocabulary)('start: "hello"')
    assert [vocabulary.piece(token) for token in constraint.forced_tokens()] == [b"hel", b"lo"]


def test_rollback(compiler: GrammarCompiler) -> None:
    """Tokens taken back are as if they had never been, the end token too."""
    constraint = compiler(DATE)
    seen = []
    for byte in b'"2024-02-29"':
        seen.append(mask_of(constraint))
        constraint.advance(byte)
    constraint.advance(END_TOKEN)
    constraint.rollback(1)
    assert constraint.finished
    for count, left in ((1, 11), (3, 8), (5, 3)):
        constraint.rollback(count)
        assert mask_of(constraint) == seen[left]
        assert not constraint.finished
    advance(constraint, "25-01-31")
    assert not constraint.finished


def test_a_token_that_is_not_allowed(compiler: GrammarCompiler) -> None:
    """A wrong token is an error of that generation, and so is all that follows; the message holds no text."""
    constraint = compiler(DATE)
    advance(constraint, '"20')
    with pytest.raises(GenerationError) as caught:
        constraint.advance(ord("x"))
    assert '"20' not in str(caught.value)
    with pytest.raises(GenerationError):
        constraint.allows(ord("2"))
    assert compiler(DATE).allows(ord('"'))


def test_rollback_past_the_beginning(compiler: GrammarCompiler) -> None:
    """More than was taken cannot be taken back."""
    constraint = compiler(DATE)
    constraint.advance(ord('"'))
    with pytest.raises(GenerationError):
        constraint.rollback(2)


def test_masks_of_other_sizes(compiler: GrammarCompiler) -> None:
    """A model may have more logits than tokens; those beyond are never allowed. Fewer is an error."""
    assert mask_of(compiler(DATE), 1000) == [ord('"')]
    constraint = compiler("start: /(?s:.*)/")
    assert not any(constraint.allows(token) for token in (-1, 257, 1000, 2**40))
    assert constraint.allows(ord("a"))
    with pytest.raises(GenerationError):
        constraint.advance(257)
    for wrong in (np.zeros(3, dtype=np.int32), np.zeros(9, dtype=np.int64), np.zeros(18, dtype=np.int32)[::2]):
        with pytest.raises(GenerationError):
            compiler(DATE).fill_mask(wrong)


def test_constraints_are_independent(compiler: GrammarCompiler) -> None:
    """Two generations under one grammar share what is compiled and nothing else."""
    first, second = compiler(DATE), compiler(DATE)
    advance(first, '"2024')
    assert mask_of(second) == [ord('"')]
    assert mask_of(first) == [ord("-")]


@pytest.mark.parametrize(
    "grammar",
    [
        "",
        "begin: /a/",
        "start: undefined",
        "start: /(/",
        'start: "a',
        "start: <|no_such_token|>",
        "%json {",
        "{}",
        "\0",
    ],
)
def test_a_grammar_that_is_none(grammar: str, compiler: GrammarCompiler) -> None:
    """A text that is no grammar is a SchemaError each time, and the next one works."""
    for _ in range(2):
        with pytest.raises(SchemaError):
            compiler(grammar)
    assert compiler(DATE).allows(ord('"'))


def test_the_latest_grammars_are_kept() -> None:
    """The cache is bounded, and what was used lately stays."""
    compiler = GrammarCompiler(ByteVocabulary(), capacity=3)
    compiler("start: /0/")
    for number in range(1, 10):
        compiler(f"start: /{number}/")
        compiler("start: /0/")
    assert "3 grammars" in repr(compiler)
    assert list(compiler._compiled) == ["start: /8/", "start: /9/", "start: /0/"]


def test_a_vocabulary_without_an_end() -> None:
    """A vocabulary in which nothing ends a text cannot be constrained."""
    vocabulary = ByteVocabulary()
    vocabulary.end_tokens = frozenset()
    with pytest.raises(SchemaError, match="end"):
        GrammarCompiler(vocabulary)("start: /a/")


def test_many_threads(compiler: GrammarCompiler) -> None:
    """Threads that compile and walk at once see the same as one alone."""
    grammars = [f"start: /[a-c]{{{count}}}x/" for count in range(1, 9)]
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for turn in range(40):
                count = (number + turn) % len(grammars)
                constraint = compiler(grammars[count])
                advance(constraint, "abcabcabc"[: count + 1])
                assert mask_of(constraint) == [ord("x")]
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_special_tokens_by_any_name() -> None:
    """Control tokens whose texts a grammar could not hold are named all the same, and never match as text."""
    from llm.grammar.lark import special_token

    for text in ("[TOOL_CALLS]", "<a b>", "<>", "<[5]>", 'x"y', "<|é｜>", "<a/b>"):
        vocabulary = ByteVocabulary([text])
        constraint = GrammarCompiler(vocabulary)(f'start: {special_token(text)} "x"')
        assert mask_of(constraint, 258) == [END_TOKEN + 1], text
        constraint.advance(END_TOKEN + 1)
        assert mask_of(constraint, 258) == [ord("x")]
        assert not GrammarCompiler(vocabulary)("start: /(?s:.*)/").allows(END_TOKEN + 1)


def test_a_state_explosion_is_a_generation_error(compiler: GrammarCompiler) -> None:
    """A pattern whose automaton is too large ends its own generation with an error, if it ends at all."""
    pattern = "|".join(f"(?:a|b)*a(?:a|b){{{count}}}c" for count in range(40, 90))
    constraint = compiler("start: " + json_rule(checked_schema({"type": "string", "pattern": pattern})))
    message = ""
    try:
        advance(constraint, '"' + "ab" * 200)
        mask_of(constraint)
    except GenerationError as error:
        message = str(error)
    assert "abab" not in message
    assert compiler(DATE).allows(ord('"'))


def test_a_panic_of_native_code_is_a_schema_error() -> None:
    """What Python would see as a BaseException, past every handler, is a SchemaError; an interrupt stays one."""

    class PanicException(BaseException):
        pass

    with pytest.raises(SchemaError), panics_caught():
        raise PanicException
    with pytest.raises(KeyboardInterrupt), panics_caught():
        raise KeyboardInterrupt


def test_reprs_are_brief(compiler: GrammarCompiler) -> None:
    """What is printed tells sizes and no grammar."""
    assert "tokens" in repr(compiler)
    constraint: Any = GrammarConstraint.__repr__(compiler(DATE))
    assert "date" not in constraint

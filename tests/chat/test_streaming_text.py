"""Text that arrives in pieces: UTF-8 across tokens, stop strings across pieces."""

from __future__ import annotations

import itertools

import pytest

from llm.chat.detokenizer import Detokenizer
from llm.chat.stop_strings import StopScanner
from llm.chat.tokenizer import encode_prompt


class Bytes:
    """A vocabulary of 256 bytes."""

    size = 256
    end_tokens: frozenset[int] = frozenset()
    special_texts: dict[str, int] = {}  # noqa: RUF012 - a protocol's attribute
    bos_token: int | None = None

    def encode(self, text: str, *, special: bool) -> list[int]:
        assert special in (True, False)
        return list(text.encode())

    def piece(self, token: int) -> bytes:
        return bytes([token])


@pytest.mark.parametrize(
    "data",
    [
        "plain", "ä", "€uro", "日本語", "👩‍👩‍👧‍👦 family", "e\u0301", "\u0000x", "🇩🇪🏳️‍🌈",
        b"\xff", b"a\xc0\xafb", b"\xed\xa0\x80", b"\xf0\x9f\x98", b"\xe2\x82", b"ok\xf0\x9f\x98\x80\xff\xfe",
    ],
)  # fmt: skip
def test_any_division_of_the_bytes_gives_the_same_text(data: str | bytes) -> None:
    """Whole characters only, damaged bytes as U+FFFD, the same for each way to cut the bytes."""
    raw = data.encode() if isinstance(data, str) else data
    expected = raw.decode("utf-8", "replace")
    for cuts in itertools.chain(*(itertools.combinations(range(1, len(raw)), n) for n in (0, 1, 2))):
        edges = [0, *cuts, len(raw)]
        detokenizer = Detokenizer(Bytes())
        parts = [detokenizer.feed(raw[a:b]) for a, b in itertools.pairwise(edges)]
        parts.append(detokenizer.finish())
        assert "".join(parts) == expected
    if isinstance(data, str):
        singles = Detokenizer(Bytes())
        assert all("\ufffd" not in singles.feed([byte]) for byte in raw)


STOPS = [
    (["STOP"], "before STOP after", "before "),
    (["STOP"], "ST STO SSTOP", "ST STO S"),
    (["aab"], "aaab", "a"),
    (["abab", "bab"], "xababy", "x"),
    (["längs"], "ein längs", "ein "),
    (["。\n"], "終わり。\nまだ", "終わり"),
    (["###", "\n\n"], "a\nb\n\nc###", "a\nb"),
    (["END"], "never EN", "never EN"),
    (["END"], "EEEND", "EE"),
    ([], "nothing to stop", "nothing to stop"),
    ([f"stop{number}" for number in range(100)], "a stop77 b", "a "),
]


@pytest.mark.parametrize(("stops", "text", "expected"), STOPS)
def test_no_character_of_a_stop_string_gets_out(stops: list[str], text: str, expected: str) -> None:
    """For each way to cut the text in up to three pieces, and character by character."""
    cuts = itertools.chain(*(itertools.combinations(range(1, len(text)), n) for n in (0, 1, 2)), [range(1, len(text))])
    for places in cuts:
        scanner, seen = StopScanner(stops), ""
        for start, end in itertools.pairwise([0, *places, len(text)]):
            seen += scanner.feed(text[start:end])
            assert expected.startswith(seen)
        stopped = scanner.stopped
        seen += scanner.finish()
        assert seen == expected
        assert stopped == (expected != text)


def test_only_what_may_become_a_stop_string_is_held_back() -> None:
    """Text comes through at once otherwise."""
    scanner = StopScanner(["</answer>"])
    assert scanner.feed("fine") == "fine"
    assert scanner.feed(" <") == " "
    assert scanner.feed("b>") == "<b>"


def test_a_prompt_begins_with_the_vocabularys_first_token_once() -> None:
    """The template may have written it already."""

    class WithStart(Bytes):
        bos_token = 1

    assert encode_prompt(WithStart(), [("ab", True)]) == [1, 97, 98]
    assert encode_prompt(WithStart(), [("\x01ab", True)]) == [1, 97, 98]

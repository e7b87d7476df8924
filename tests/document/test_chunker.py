"""The chunker keeps its promises for every text, and it cuts where a reader would."""

from __future__ import annotations

import unicodedata
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm.document.chunk import ContextChunk
from llm.document.chunker import ChunkSizes, chunk_document
from llm.document.document import DocumentItem, LoadedDocument
from llm.document.graphemes import is_between_characters
from llm.exceptions import ConfigError
from llm.knowledge.chroma_knowledge_config import ChromaKnowledgeConfig

SHARED_CORPORA = Path(__file__).resolve().parents[3] / "shared" / "eval-data" / "chunking-evaluation" / "corpora"
KINDS = ("title", "heading", "paragraph", "list_item", "table", "code", "caption", "note")
DEFAULT = ChunkSizes()


def document_of(text: str, items: tuple[DocumentItem, ...] = ()) -> LoadedDocument:
    return LoadedDocument("a.txt", "txt", text, items, None, "0" * 64)


def built(*parts: tuple[str, DocumentItem]) -> LoadedDocument:
    """A document of these texts, each an item made after its example, with a blank line behind it."""
    text, items = "", []
    for part, example in parts:
        items.append(replace(example, start=len(text), end=len(text) + len(part)))
        text += part + "\n\n"
    return document_of(text, tuple(items))


def item(kind: str = "paragraph", page: int | None = None, part: str | None = None, level: int = 0) -> DocumentItem:
    assert kind in KINDS
    return DocumentItem(kind, 0, 0, page, part, level)  # type: ignore[arg-type]


def check(document: LoadedDocument, sizes: ChunkSizes, chunks: list[ContextChunk]) -> None:
    """Everything that holds for every document."""
    text = document.text
    spans = [(chunk.start, chunk.end) for chunk in chunks]
    check_spans(text, 0, len(text), spans, sizes.context, sizes.context_overlap)
    for chunk in chunks:
        assert text[chunk.start : chunk.end] == chunk.text
        for piece in chunk.retrieval:
            assert text[piece.start : piece.end] == piece.text
        pieces = [(piece.start, piece.end) for piece in chunk.retrieval]
        check_spans(text, chunk.start, chunk.end, pieces, sizes.retrieval, sizes.retrieval_overlap)


def check_spans(text: str, start: int, end: int, spans: list[tuple[int, int]], size: int, overlap: int) -> None:
    position = start
    for low, high in spans:
        assert start <= low < high <= end
        assert high - low <= size
        assert not text[low].isspace()
        assert not text[high - 1].isspace()
        assert not text[position:low].strip()
        position = high
    assert not text[position:end].strip()
    for (low, high), (next_low, next_high) in pairwise(spans):
        assert low < next_low
        assert high < next_high
        assert high - next_low <= overlap


@st.composite
def sizes(draw: st.DrawFn) -> ChunkSizes:
    retrieval = draw(st.one_of(st.integers(16, 40), st.integers(16, 300)))
    context = draw(st.integers(retrieval, 1200))
    return ChunkSizes(
        context=context,
        context_overlap=draw(st.integers(0, context // 2)),
        retrieval=retrieval,
        retrieval_overlap=draw(st.integers(0, retrieval // 2)),
    )


fragments = st.one_of(
    st.text(max_size=60),
    st.text(alphabet="ab. \n", max_size=400),
    st.sampled_from(
        [
            "A sentence with seven words in it. ",
            "x" * 700,
            "日本語の文章です。とても長い文章であり、区切りがありません",
            "👩‍👩‍👧‍👦🇩🇪👍🏽" * 5,
            "e\u0301" * 90,
            " " * 500,
            "\r\n\t\u3000\u2028",
            "| a | b | c |\n| 1 | 2 | 3 |\n",
            "1,2,3;4,5,6\n" * 30,
            "\ud800",
        ]
    ),
)
texts = st.lists(fragments, max_size=12).map("".join)


@st.composite
def documents(draw: st.DrawFn) -> LoadedDocument:
    text = draw(texts)
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=8)))
    items = []
    for low, high in zip(cuts[::2], cuts[1::2], strict=False):
        kind = draw(st.sampled_from(KINDS))
        level = draw(st.integers(1, 4)) if kind == "heading" else 0
        part = draw(st.sampled_from([None, "a", "b"]))
        items.append(DocumentItem(kind, low, high, draw(st.sampled_from([None, 1, 2])), part, level))  # type: ignore[arg-type]
    return document_of(text, tuple(items))


@settings(max_examples=400, deadline=None)
@given(documents(), sizes())
def test_promises_hold_for_every_document(document: LoadedDocument, chosen: ChunkSizes) -> None:
    """Sizes, overlaps, offsets and coverage hold whatever the text, its items and the sizes are."""
    check(document, chosen, chunk_document(document, chosen))


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.sampled_from(["e\u0301\u0323", "👩‍👩‍👧‍👦", "🇩🇪", "👍🏽", "각", "가\u11a8", "क्षि", "a"]), max_size=200)
)
def test_what_a_reader_sees_as_one_character_is_not_cut(characters: list[str]) -> None:
    """Letters with accents, emoji of several code points, flags and syllables stay whole where they fit a chunk."""
    text = "".join(characters)
    edges = {0}
    for character in characters:
        edges.add(max(edges) + len(character))
    small = ChunkSizes(context=40, context_overlap=8, retrieval=20, retrieval_overlap=4)
    for chunk in chunk_document(document_of(text), small):
        for piece in (chunk, *chunk.retrieval):
            assert {piece.start, piece.end} <= edges


def test_visible_characters_are_those_of_unicode() -> None:
    """On mixed scripts and emoji, allowed cuts are the boundaries that Unicode's own rules give."""
    regex = pytest.importorskip("regex")
    text = "a\u0301b👩‍👩‍👧‍👦🇩🇪🇫🇷🇦c👍🏽1️⃣한국어각\u1100\u1161\u11a8கிกำ\r\n\n e\u0323\u0301"
    expected = {match.start() for match in regex.finditer(r"\X", text)} - {0}
    assert {at for at in range(1, len(text)) if is_between_characters(text, at, 0)} == expected


def test_a_character_longer_than_a_chunk_is_cut() -> None:
    """A letter under 500 accents does not fit, so it is cut at the size rather than refused."""
    document = document_of("e" + "\u0301" * 500)
    small = ChunkSizes(context=64, context_overlap=10, retrieval=16, retrieval_overlap=3)
    check(document, small, chunk_document(document, small))


def test_nothing_makes_no_chunks() -> None:
    """An empty text and one of white space have no chunks."""
    for text in ("", " \n\t\u3000" * 100):
        assert chunk_document(document_of(text), DEFAULT) == []


def test_sentences_end_chunks() -> None:
    """Where sentences fit, each retrieval chunk ends with one, and abbreviations and numbers end none."""
    sentence = "Dr. A. Smith paid approx. 3.5 million, i.e. too much, for item no. 7 of U.S. Steel. "
    chunks = chunk_document(document_of(sentence * 40), DEFAULT)
    ends = {piece.text[-9:] for chunk in chunks for piece in chunk.retrieval}
    assert ends == {"S. Steel."}


def test_words_are_not_cut() -> None:
    """In running text, chunks begin and end where words do."""
    words = [f"word{number}" for number in range(3000)]
    text = " ".join(words)
    for chunk in chunk_document(document_of(text), DEFAULT):
        for piece in (chunk, *chunk.retrieval):
            assert set(piece.text.split()) <= set(words)


def test_neighbours_share_text() -> None:
    """Running text overlaps by at least a word and at most the configured number of characters."""
    chunks = chunk_document(document_of("some words without any stop " * 400), DEFAULT)
    assert len(chunks) > 5
    for chunk, following in pairwise(chunks):
        assert 0 < chunk.end - following.start <= DEFAULT.context_overlap


def test_japanese_ends_with_its_own_stops() -> None:
    """A text without spaces is cut behind 。 and its retrieval chunks are nearly full."""
    chunks = chunk_document(document_of("これは日本語の文章です。" * 300), DEFAULT)
    assert all(piece.text.endswith("。") for chunk in chunks for piece in chunk.retrieval)
    assert all(len(chunk.text) > 900 for chunk in chunks[:-1])


def test_a_word_that_fits_is_not_cut_for_the_overlap() -> None:
    """A link of 120 characters stands whole in one retrieval chunk, though it does not fit behind an overlap."""
    link = "https://" + "x" * 112
    text = ("some words before it " * 8 + link + " ") * 6
    found = [piece.text for chunk in chunk_document(document_of(text), DEFAULT) for piece in chunk.retrieval]
    assert sum(link in piece for piece in found) >= 6


def test_table_rows_stay_whole_where_they_fit() -> None:
    """A table that is longer than a chunk is cut between rows."""
    rows = [f"| row {number} | {number * 7} | some text |" for number in range(200)]
    document = built(("\n".join(rows), item("table")))
    for chunk in chunk_document(document, DEFAULT):
        assert chunk.text.split("\n")[-1] in rows


@pytest.mark.parametrize("before", [1, 5, 12, 20])
def test_a_table_that_fits_is_not_cut(before: int) -> None:
    """A table of 900 characters stands whole in a context chunk, heading and all, however much is before it."""
    table = "\n".join(["| berth | depth |", *(f"| {number:04} | {number * 7:08} |" for number in range(45))])
    assert 850 < len(table) < 920
    document = built(
        ("This is a sentence of the text. " * before, item()),
        ("Depths", item("heading", level=2)),
        (table, item("table")),
        (table, item("table")),
        ("This is a sentence of the text. " * before, item()),
    )
    chunks = chunk_document(document, DEFAULT)
    check(document, DEFAULT, chunks)
    assert sum(table in chunk.text for chunk in chunks) == 2
    assert any("Depths\n\n" + table in chunk.text for chunk in chunks)


def test_a_heading_stays_with_its_text() -> None:
    """No context chunk ends with a heading that has text below it."""
    parts = []
    for number in range(60):
        parts.append((f"Heading {number}", item("heading", level=2)))
        parts.append((f"Paragraph {number} has a sentence. " * (number % 17 + 1), item()))
    for chunk in chunk_document(built(*parts), DEFAULT):
        assert not chunk.text.rsplit("\n", 1)[-1].startswith("Heading")


def test_chunks_name_page_and_headings() -> None:
    """A chunk knows the page where it begins, the one where it ends, and the headings above its beginning."""
    long = "This is a sentence of the text. " * 30
    document = built(
        ("Report", item("title", page=1)),
        ("Results", item("heading", page=1, level=1)),
        ("First  year", item("heading", page=1, level=2)),
        (long, item(page=1)),
        (long, item(page=2)),
        ("Outlook", item("heading", page=3, level=1)),
        (long, item(page=3)),
    )
    chunks = chunk_document(document, DEFAULT)
    assert (chunks[0].page, chunks[0].last_page, chunks[0].headings) == (1, 1, ("Report",))
    second = next(chunk for chunk in chunks if chunk.page == 2)
    assert second.headings == ("Report", "Results", "First year")
    assert chunks[-1].last_page == 3
    assert chunks[-1].headings == ("Report", "Outlook")
    assert all(chunk.page <= chunk.last_page for chunk in chunks)  # type: ignore[operator]


def test_sheets_are_not_mixed() -> None:
    """A chunk belongs to one sheet, whose name it carries, and headings of one do not stand above the next."""
    document = built(
        ("Totals", item("heading", page=1, part="Income", level=1)),
        ("| a | 1 |", item("table", page=1, part="Income")),
        ("| b | 2 |", item("table", page=2, part="Costs")),
    )
    chunks = chunk_document(document, DEFAULT)
    assert [(chunk.part, chunk.page, chunk.headings) for chunk in chunks] == [
        ("Income", 1, ("Totals",)),
        ("Costs", 2, ()),
    ]


def test_text_outside_of_items_is_kept() -> None:
    """What stands between the items of a document is cut like everything else."""
    document = document_of("before  inside after", (DocumentItem("paragraph", 8, 14, 4),))
    (chunk,) = chunk_document(document, DEFAULT)
    assert chunk.text == document.text


def test_sizes_come_from_the_settings() -> None:
    """A store's four numbers make the chunks' sizes."""
    config = ChromaKnowledgeConfig(
        retrieval_chunk_size=64, retrieval_chunk_overlap=8, context_chunk_size=512, context_chunk_overlap=50
    )
    assert ChunkSizes.of(config) == ChunkSizes(context=512, context_overlap=50, retrieval=64, retrieval_overlap=8)


@pytest.mark.parametrize("wrong", [{"context": 1}, {"retrieval_overlap": 65}, {"context_overlap": -1}])
def test_impossible_sizes_are_refused(wrong: dict[str, int]) -> None:
    """An overlap of more than half a chunk, or a chunk of no size, is an error that names the number."""
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        ChunkSizes(**wrong)


@pytest.mark.parametrize(
    "unit",
    [
        "x",
        "日",
        "e\u0301",
        "word ",
        "A sentence. ",
        "a\n",
        "\n",
        " ",
        ".",
        ". ",
        '!"',
        "🇩🇪",
        "👩‍👩‍👧‍👦",
        "(",
        "\u0301",
        "z.b.",
    ],
)
def test_work_is_in_proportion_to_the_text(unit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten times the text takes about ten times the steps, counted where each step looks at one character or window."""
    from llm.document import boundaries, graphemes

    steps = 0
    original = unicodedata.category

    def counted(character: str) -> str:
        nonlocal steps
        steps += 1
        return original(character)

    monkeypatch.setattr(graphemes.unicodedata, "category", counted)
    best_end = boundaries.Boundaries.best_end

    def counted_end(self: boundaries.Boundaries, floor: int, lowest: int, limit: int, *, size: int) -> int | None:
        nonlocal steps
        steps += limit - lowest
        return best_end(self, floor, lowest, limit, size=size)

    monkeypatch.setattr(boundaries.Boundaries, "best_end", counted_end)
    text = unit * (100_000 // len(unit))
    check(document_of(text), DEFAULT, chunk_document(document_of(text), DEFAULT))
    assert steps < 12 * len(text)


@pytest.mark.skipif(not SHARED_CORPORA.is_dir(), reason="the corpora do not lie beside this checkout")
def test_promises_hold_for_real_texts() -> None:
    """Annual reports, papers and chats keep the promises, and context chunks are well filled."""
    for path in sorted(SHARED_CORPORA.glob("*.md")):
        document = document_of(path.read_text(encoding="utf-8"))
        chunks = chunk_document(document, DEFAULT)
        check(document, DEFAULT, chunks)
        assert sum(len(chunk.text) for chunk in chunks) / len(chunks) > 700

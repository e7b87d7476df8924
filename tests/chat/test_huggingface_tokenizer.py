"""Vocabularies of Hugging Face models: bytes of tokens, control tokens, prompts in pieces."""

from __future__ import annotations

import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, processors

from llm.chat.huggingface_tokenizer import HuggingFaceTokenizer
from llm.chat.tokenizer import encode_prompt
from llm.demo import HF_PATH

TEXTS = (
    "Hello, world!", " leading and trailing ", "line\nbreak\n\n\ttab", "Zürich, 日本, 👩‍🚀 and é",
    "{\"a\": [1, 2.5]}",
    "a", " ", "\n", "\x00\x7f",
)  # fmt: skip


def byte_level() -> Tokenizer:
    return Tokenizer.from_file(str(HF_PATH / "tokenizer.json"))


def sentence_piece() -> Tokenizer:
    """What the Llama family has: blocks for blanks, one before each text, and bytes for what has no token."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    specials = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    vocabulary = {text: number for number, text in enumerate([*specials, *"▁abcdefghijklmnopqrstuvwxyz"])}
    tokenizer.model = models.BPE(vocab=vocabulary, merges=[], unk_token="<unk>", byte_fallback=True, fuse_unk=True)
    tokenizer.decoder = decoders.Sequence([
        decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0),
    ])  # fmt: skip
    tokenizer.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in specials[:3]])
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return tokenizer


@pytest.fixture(params=["byte level", "sentence piece"])
def tokenizer(request: pytest.FixtureRequest) -> HuggingFaceTokenizer:
    if request.param == "byte level":
        return HuggingFaceTokenizer(byte_level(), end_tokens=[2041])
    return HuggingFaceTokenizer(sentence_piece(), end_tokens=[2], bos_token=1)


@pytest.mark.parametrize("text", TEXTS)
def test_the_bytes_of_a_text_s_tokens_are_its_bytes(tokenizer: HuggingFaceTokenizer, text: str) -> None:
    """Joined, and also where the text is encoded in two pieces."""
    tokens = tokenizer.encode(text, special=False)
    assert b"".join(map(tokenizer.piece, tokens)) == text.encode()
    for cut in range(len(text)):
        pieces = encode_prompt(tokenizer, [(text[:cut], True), (text[cut:], False)])
        rest = pieces[1:] if tokenizer.bos_token is not None else pieces
        assert b"".join(map(tokenizer.piece, rest)) == text.encode()


def test_only_trusted_text_becomes_control_tokens(tokenizer: HuggingFaceTokenizer) -> None:
    """Every control text of the vocabulary, alone and amid words."""
    assert tokenizer.special_texts
    for control, token in tokenizer.special_texts.items():
        text = f"a{control}b"
        assert token in tokenizer.encode(text, special=True)
        plain = tokenizer.encode(text, special=False)
        assert not set(plain) & set(tokenizer.special_texts.values())
        assert b"".join(map(tokenizer.piece, plain)) == text.encode()
        assert tokenizer.piece(token) == control.encode()


def test_a_prompt_begins_as_the_vocabulary_wants() -> None:
    """With its first token where the tokenizer itself puts one there, and once only."""
    llama = HuggingFaceTokenizer(sentence_piece(), end_tokens=[2], bos_token=1)
    assert encode_prompt(llama, [("hello", True)])[0] == 1
    assert encode_prompt(llama, [("<s>hello", True)]).count(1) == 1
    demo = HuggingFaceTokenizer(byte_level(), end_tokens=[2041], bos_token=2039)
    assert demo.bos_token is None


def test_lone_surrogates_become_the_replacement_character(tokenizer: HuggingFaceTokenizer) -> None:
    """They cannot be written as bytes; pairs of them are the character that they mean."""
    for text, meant in (("a\ud800b", "a\ufffdb"), ("\ud83d\ude00", "😀")):
        assert b"".join(map(tokenizer.piece, tokenizer.encode(text, special=False))).decode() == meant


def test_ids_beyond_the_vocabulary_stand_for_nothing(tokenizer: HuggingFaceTokenizer) -> None:
    """Models have more logits than tokens, for the sake of round numbers."""
    assert tokenizer.piece(tokenizer.size + 5) == b""
    assert all(isinstance(tokenizer.piece(token), bytes) for token in range(tokenizer.size))

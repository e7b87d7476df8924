"""The tokenizer: byte-level BPE in which a word is the same tokens wherever it stands.

A small model copies a word best when it is spelled alike after a space, a quotation mark or an underscore. Merges are
therefore learned within runs of one character class, and tokens never mix letters with spaces or marks; only the most
common words get a second token with their leading space. At run time the pre-tokenizer is Qwen2's, which every backend
knows; it splits coarser, and the merges leave it nothing to add.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from itertools import islice

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from .generator import training_stream

VOCABULARY_SIZE = 2048
END_OF_TEXT, TURN_START, TURN_END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
CONTROL_TOKENS = (END_OF_TEXT, TURN_START, TURN_END)
MARKER_TOKENS = ("<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>", "<tools>", "</tools>")

_QWEN2 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_ONE_CLASS = r"\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+"
_SPACED_WORDS = 160
_TRAINING_SAMPLES = 6000


def train_tokenizer(seed: int) -> Tokenizer:
    """Learn the merges from the samples that the model will be trained on."""
    corpus = [sample.rendered() for sample in islice(training_stream(seed), _TRAINING_SAMPLES)]
    for token in (*CONTROL_TOKENS, *MARKER_TOKENS):
        corpus = [text.replace(token, "\n") for text in corpus]
    learner = Tokenizer(models.BPE())
    learner.pre_tokenizer = _byte_level(_ONE_CLASS)
    learned = VOCABULARY_SIZE - _SPACED_WORDS - len(CONTROL_TOKENS) - len(MARKER_TOKENS)
    trainer = trainers.BpeTrainer(
        vocab_size=learned, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False
    )
    learner.train_from_iterator(corpus, trainer)
    vocabulary, merges = _with_spaced_words(learner, corpus)
    return _assemble(vocabulary, merges)


def token_id(tokenizer: Tokenizer, token: str) -> int:
    """The id of a token that is known to be there."""
    found = tokenizer.token_to_id(token)
    assert found is not None, token
    return found


def _with_spaced_words(learner: Tokenizer, corpus: Iterable[str]) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Add tokens such as `Ġthe` for the commonest words that are one token already."""
    model = json.loads(learner.to_str())["model"]
    vocabulary: dict[str, int] = model["vocab"]
    merges = [tuple(merge) if isinstance(merge, list) else tuple(merge.split(" ")) for merge in model["merges"]]
    counts: Counter[str] = Counter()
    for text in corpus:
        counts.update(re.findall(r"(?<= )[A-Za-z]+", text))
    known = [word for word, _ in counts.most_common() if word in vocabulary and len(word) > 1]
    for word in known[:_SPACED_WORDS]:
        vocabulary["Ġ" + word] = len(vocabulary)
        merges.append(("Ġ", word))
    return vocabulary, merges


def _assemble(vocabulary: dict[str, int], merges: list[tuple[str, str]]) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    tokenizer.normalizer = normalizers.NFC()  # transformers does so for this family whatever is written here
    tokenizer.pre_tokenizer = _byte_level(_QWEN2)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in CONTROL_TOKENS])
    tokenizer.add_tokens([AddedToken(token, special=False, normalized=False) for token in MARKER_TOKENS])
    return tokenizer


def _byte_level(pattern: str) -> pre_tokenizers.PreTokenizer:
    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(pattern), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )

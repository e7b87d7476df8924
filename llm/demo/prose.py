"""Real English for the passages: the documentation that every Python installation carries.

The language reference and the docstrings of the standard library are the Python Software Foundation's, under the PSF
licence; only prose sentences are taken, without code and markup. A tenth of the texts is held out: evaluation draws its
passages from those alone.
"""

from __future__ import annotations

import functools
import re
import sysconfig
import zlib
from collections.abc import Iterator
from pathlib import Path
from pydoc_data.topics import topics

_SENTENCE = re.compile(r"[A-Z][A-Za-z0-9 ,;()'\-\n]{30,210}[a-z)]\.(?=\s|$)")
_INLINE_MARKUP = re.compile(r"[`\"]{1,2}|\*\*?(?=\w)|(?<=\w)\*\*?")
_DOCSTRING = re.compile(r'"""(.*?)"""', re.DOTALL)
_HOLDOUT = 10


def _texts() -> Iterator[tuple[str, str]]:
    """Names and texts: each topic of the reference, and each module's docstrings."""
    yield from sorted(topics.items())
    for path in sorted(Path(sysconfig.get_path("stdlib")).glob("[a-z]*.py")):
        yield path.stem, "\n\n".join(_DOCSTRING.findall(path.read_text(encoding="utf-8", errors="ignore")))


@functools.cache
def paragraphs(*, held_out: bool) -> tuple[tuple[str, ...], ...]:
    """Runs of consecutive sentences of one text, in the documentation's order."""
    chosen = []
    for name, text in _texts():
        if (zlib.crc32(name.encode()) % _HOLDOUT == 0) != held_out:
            continue
        for block in re.split(r"\n\s*\n", _INLINE_MARKUP.sub("", text)):
            sentences = tuple(" ".join(match.group().split()) for match in _SENTENCE.finditer(block))
            if sentences:
                chosen.append(sentences)
    return tuple(dict.fromkeys(chosen))


@functools.cache
def sentences(*, held_out: bool) -> tuple[str, ...]:
    """All prose sentences, each once. A sentence that stands in a topic of each kind counts as trained on."""
    own = dict.fromkeys(sentence for paragraph in paragraphs(held_out=held_out) for sentence in paragraph)
    if held_out:
        trained_on = set(sentences(held_out=False))
        return tuple(sentence for sentence in own if sentence not in trained_on)
    return tuple(own)


@functools.cache
def words() -> tuple[str, ...]:
    """The reference's lower-case words of 4 to 11 letters, most frequent first: a vocabulary of some thousands."""
    counts: dict[str, int] = {}
    for sentence in sentences(held_out=False):
        for word in re.findall(r"\b[a-z]{4,11}\b", sentence):
            counts[word] = counts.get(word, 0) + 1
    return tuple(sorted(counts, key=lambda word: (-counts[word], word)))

"""From the bytes of a text file to its text, without guessing.

A byte order mark says what the encoding is; without one it is UTF-8, or else what the file itself declares, or else
what the caller said. Guessing an encoding turns names into other names, so a text that none of these fits is refused.
"""

from __future__ import annotations

import codecs
import re

from ..exceptions import DocumentEncodingError

# The marks of UTF-32 begin with those of UTF-16, so they are tried first.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_DECLARED = re.compile(
    rb"""<(?:meta[^>]{0,200}?charset|\?xml[^>]{0,100}?encoding)\s*=\s*["']?([A-Za-z0-9_.:-]{2,40})""", re.I
)


def has_mark(data: bytes) -> bool:
    """Whether the text begins with a byte order mark."""
    return data.startswith(tuple(mark for mark, _ in _MARKS))


def decode(data: bytes, *, filename: str, declares: bool = False, fallback: str | None = None) -> str:
    """The text of a file.

    Args:
        data: its bytes.
        filename: for the error.
        declares: whether files of this kind may declare their encoding, as HTML does.
        fallback: an encoding to use for what is not UTF-8.

    Raises:
        DocumentEncodingError: it is in no encoding that we can know.
    """
    encodings = [encoding for mark, encoding in _MARKS if data.startswith(mark)][:1]
    if not encodings:
        encodings = ["utf-8"]
        if declares and (declared := _DECLARED.search(data, 0, 4096)):
            encodings.append(declared[1].decode("ascii"))
        if fallback is not None:
            encodings.append(fallback)
    for encoding in encodings:
        try:
            return data.decode(encoding)
        except (UnicodeDecodeError, LookupError):
            continue
    raise DocumentEncodingError(
        f"{filename!r} is not {' or '.join(encodings)}. Save it as UTF-8, or give the loader its encoding, for "
        "instance DocumentLoader(encoding='cp1252').",
        filename=filename,
    )

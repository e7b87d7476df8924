"""Text off pictures of pages, by an engine that is installed on this machine; nothing is downloaded.

RapidOCR brings its models in its package; tesseract is a program of the system, with a model for each language.
"""

from __future__ import annotations

import csv
import importlib.util
import io
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from ..privacy import require_private

if TYPE_CHECKING:
    from PIL.Image import Image

ENGLISH = ("eng",)
LEAST_CONFIDENCE = 0.5
MOST_SECONDS = 60.0  # for one page
_WORD = "5"  # level of a row of tesseract's table


@dataclass(frozen=True, slots=True)
class OcrLine:
    """A line of text and where it stands in the picture, in pixels."""

    text: str = field(repr=False)
    left: float
    top: float
    right: float
    bottom: float


class OcrEngine(Protocol):
    """What reads text off a picture."""

    def read(self, picture: Image) -> list[OcrLine]:
        """The lines of text in it; none where there is none or the engine failed."""


def find_engine(languages: Sequence[str] = ENGLISH) -> OcrEngine | None:
    """An engine that is installed, or None.

    Args:
        languages: as tesseract names them. Where they are not just English and tesseract is there, it is preferred,
            because it has a model for each.
    """
    program = shutil.which("tesseract")
    if program is not None and tuple(languages) != ENGLISH:
        return Tesseract(program, languages)
    if importlib.util.find_spec("rapidocr") is not None:
        return RapidOcr()
    return None if program is None else Tesseract(program, languages)


class RapidOcr:
    """RapidOCR with the models of its package."""

    def __init__(self) -> None:
        require_private("onnxruntime")  # with which it computes
        from rapidocr import RapidOCR

        self._engine: Any = RapidOCR()

    def read(self, picture: Image) -> list[OcrLine]:
        import numpy

        result = self._engine(numpy.asarray(picture.convert("RGB")))
        if result.boxes is None:
            return []
        lines = []
        for box, text, score in zip(result.boxes, result.txts, result.scores, strict=True):
            if score >= LEAST_CONFIDENCE and text.strip():
                across, down = [float(point[0]) for point in box], [float(point[1]) for point in box]
                lines.append(OcrLine(text, min(across), min(down), max(across), max(down)))
        return lines


class Tesseract:
    """The program of the system."""

    def __init__(self, program: str, languages: Sequence[str]) -> None:
        self._program = program
        self._languages = "+".join(languages)

    def read(self, picture: Image) -> list[OcrLine]:
        file = io.BytesIO()
        picture.convert("RGB").save(file, "PNG")
        result = subprocess.run(
            [self._program, "stdin", "stdout", "-l", self._languages, "tsv"],
            input=file.getvalue(),
            capture_output=True,
            timeout=MOST_SECONDS,
            check=True,
        )
        return lines_of_table(result.stdout.decode("utf-8", "replace"))


def lines_of_table(table: str) -> list[OcrLine]:
    """The lines of tesseract's table of words."""
    words: dict[tuple[str, ...], list[dict[str, str]]] = {}
    for row in csv.DictReader(io.StringIO(table), delimiter="\t", quoting=csv.QUOTE_NONE):
        if row["level"] == _WORD and float(row["conf"]) >= 100 * LEAST_CONFIDENCE and row["text"].strip():
            key = (row["page_num"], row["block_num"], row["par_num"], row["line_num"])
            words.setdefault(key, []).append(row)
    return [
        OcrLine(
            text=" ".join(word["text"].strip() for word in line),
            left=min(float(word["left"]) for word in line),
            top=min(float(word["top"]) for word in line),
            right=max(float(word["left"]) + float(word["width"]) for word in line),
            bottom=max(float(word["top"]) + float(word["height"]) for word in line),
        )
        for line in words.values()
    ]

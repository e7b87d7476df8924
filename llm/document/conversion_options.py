"""What a conversion is told besides its document."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ConversionOptions:
    """How documents are read; see DocumentLoader."""

    encoding: str | None = None
    artifacts_path: str | None = None
    ocr: bool = True
    ocr_languages: tuple[str, ...] = ("eng",)

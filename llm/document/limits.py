"""How much a document may cost: one frozen value, validated once.

Every limit is there because a file of a few kilobytes can be made to pass it: what unpacks to gigabytes, what takes
hours to parse, what fills the memory.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from ..exceptions import ConfigError

MEGABYTE = 1_000_000


@dataclass(frozen=True, kw_only=True)
class DocumentLimits:
    """What one document may cost. Sizes are bytes, unless it says otherwise.

    Args:
        max_file_size: of the file.
        max_archive_members: files inside an office document.
        max_unpacked_size: of all of them together.
        max_compression_ratio: unpacked size of one of them in relation to its packed size; counts above 10 MB.
        max_pages: pages, slides or sheets.
        max_image_pixels: of an image, and of a page that is drawn to read text off it.
        max_text_characters: characters of the document's text.
        max_memory: that the conversion may take on top of what its process needs anyway.
        timeout: seconds of wall clock.

    Raises:
        ConfigError: names the field, its value and what is allowed.
    """

    max_file_size: int = 50 * MEGABYTE
    max_archive_members: int = 2_000
    max_unpacked_size: int = 200 * MEGABYTE
    max_compression_ratio: int = 100
    max_pages: int = 2_000
    max_image_pixels: int = 50_000_000
    max_text_characters: int = 20 * MEGABYTE
    max_memory: int = 2_000 * MEGABYTE
    timeout: float = 120.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name == "timeout":
                if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
                    raise ConfigError(field.name, value, "a number of seconds above 0")
            elif isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ConfigError(field.name, value, "a whole number from 1")

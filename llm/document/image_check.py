"""What can be said about an image before it is unpacked: whether it opens, and how many pixels it has."""

from __future__ import annotations

import io
import warnings

from PIL import Image

from ..exceptions import DocumentDamagedError, DocumentTooLargeError
from .limits import DocumentLimits


def check_image(data: bytes, limits: DocumentLimits, *, filename: str) -> None:
    """Refuse an image that cannot be read. Only its header is looked at.

    Raises:
        DocumentDamagedError: it does not open.
        DocumentTooLargeError: it has more pixels or pages than allowed.
    """
    try:
        with warnings.catch_warnings():
            # The limit below is ours.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            Image.MAX_IMAGE_PIXELS = None
            with Image.open(io.BytesIO(data)) as image:
                pixels = image.width * image.height
                pages = getattr(image, "n_frames", 1) if image.format == "TIFF" else 1
    except (OSError, ValueError, SyntaxError) as exc:
        raise DocumentDamagedError(
            f"{filename!r} is torn or damaged. Save or copy it again.", filename=filename
        ) from exc
    if pixels > limits.max_image_pixels:
        raise DocumentTooLargeError(
            f"{filename!r} has {pixels} pixels; {limits.max_image_pixels} are allowed (max_image_pixels).",
            filename=filename,
            limit="max_image_pixels",
        )
    if pages > limits.max_pages:
        raise DocumentTooLargeError(
            f"{filename!r} has {pages} pages; {limits.max_pages} are allowed (max_pages).",
            filename=filename,
            limit="max_pages",
        )

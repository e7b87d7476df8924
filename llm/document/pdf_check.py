"""What can be said about a PDF file before it is read: whether it opens, is kept under a password, how long it is."""

from __future__ import annotations

import pypdfium2  # type: ignore[import-untyped]

from ..exceptions import DocumentDamagedError, DocumentEncryptedError, DocumentTooLargeError
from .limits import DocumentLimits

_PASSWORD_ERROR = 4


def check_pdf(data: bytes, limits: DocumentLimits, *, filename: str) -> None:
    """Refuse a file that cannot be read.

    Raises:
        DocumentEncryptedError: it opens with a password only.
        DocumentDamagedError: it does not open.
        DocumentTooLargeError: it has more pages than allowed.
    """
    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as exc:
        if getattr(exc, "err_code", None) == _PASSWORD_ERROR:
            raise DocumentEncryptedError(
                f"{filename!r} is kept under a password. Save it without one.", filename=filename
            ) from None
        raise DocumentDamagedError(
            f"{filename!r} is torn or damaged. Save or copy it again.", filename=filename
        ) from None
    try:
        pages = len(document)
    finally:
        document.close()
    if pages > limits.max_pages:
        raise DocumentTooLargeError(
            f"{filename!r} has {pages} pages; {limits.max_pages} are allowed (max_pages).",
            filename=filename,
            limit="max_pages",
        )
    if pages == 0:
        raise DocumentDamagedError(f"{filename!r} has no pages.", filename=filename)

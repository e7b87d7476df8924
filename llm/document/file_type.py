"""Which kind of document a file is: its name says so, its content says so, and both must agree.

Only the beginning of the content is looked at here; what is inside an office document's archive is `archive`'s matter.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Literal

from ..exceptions import (
    DocumentEmptyError,
    DocumentEncryptedError,
    DocumentTypeError,
    UnsupportedDocumentError,
)
from .text_decoding import has_mark

FileType = Literal["pdf", "docx", "pptx", "xlsx", "html", "md", "csv", "txt", "image"]
# What the first bytes tell apart; `zip` and `ole` are containers of office documents.
Content = Literal["pdf", "zip", "ole", "image", "text", "other"]

EXTENSIONS: dict[str, FileType] = {
    **dict.fromkeys(("pdf",), "pdf"),
    **dict.fromkeys(("docx", "docm", "dotx", "dotm"), "docx"),
    **dict.fromkeys(("pptx", "pptm", "ppsx", "ppsm", "potx", "potm"), "pptx"),
    **dict.fromkeys(("xlsx", "xlsm", "xltx", "xltm"), "xlsx"),
    **dict.fromkeys(("html", "htm", "xhtml"), "html"),
    **dict.fromkeys(("md", "markdown"), "md"),
    **dict.fromkeys(("csv", "tsv"), "csv"),
    **dict.fromkeys(("txt", "text", "log"), "txt"),
    **dict.fromkeys(("png", "jpg", "jpeg", "tif", "tiff", "bmp", "webp", "gif"), "image"),
}
OFFICE: tuple[FileType, ...] = ("docx", "pptx", "xlsx")
_EXPECTED: dict[FileType, Content] = {
    "pdf": "pdf",
    "docx": "zip",
    "pptx": "zip",
    "xlsx": "zip",
    "html": "text",
    "md": "text",
    "csv": "text",
    "txt": "text",
    "image": "image",
}
_SAID: dict[Content, str] = {
    "pdf": "a PDF",
    "zip": "a ZIP archive, as office documents are",
    "ole": "an old Office file",
    "image": "an image",
    "text": "text",
    "other": "nothing that is known here",
}
_IMAGES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\0", b"MM\0*", b"GIF87a", b"GIF89a", b"BM")
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_BEGINNING = 4096  # bytes


def recognise(data: bytes, filename: str) -> FileType:
    """The kind of document that name and content agree on; the content alone where the name has no extension.

    Raises:
        DocumentEmptyError: there are no bytes.
        UnsupportedDocumentError: a kind that is not read.
        DocumentTypeError: name and content do not agree.
        DocumentEncryptedError: an office document that is kept under a password.
    """
    if not data.strip(b"\0 \t\r\n"):
        raise DocumentEmptyError(f"{filename!r} is empty.", filename=filename)
    content = content_of(data)
    extension = PurePosixPath(filename.replace("\\", "/")).suffix.lower().lstrip(".")
    if not extension:
        return _without_extension(content, filename)
    expected = EXTENSIONS.get(extension)
    if expected is None:
        raise UnsupportedDocumentError(
            f"{filename!r} is of a kind that is not read. Read are: {', '.join(sorted(EXTENSIONS))}.", filename=filename
        )
    if expected in OFFICE and content == "ole":
        # Office wraps a document that has a password into the container of its old format.
        if "EncryptedPackage".encode("utf-16-le") in data:
            raise DocumentEncryptedError(
                f"{filename!r} is kept under a password. Save it without one.", filename=filename
            )
        raise DocumentTypeError(
            f"{filename!r} is an Office file of before 2007 with a new name. Save it as .docx, .pptx or .xlsx.",
            filename=filename,
        )
    if content != _EXPECTED[expected]:
        raise DocumentTypeError(
            f"{filename!r} holds something else than its name says: {_SAID[content]}. Rename it, or save "
            "or copy it again.",
            filename=filename,
        )
    return expected


def content_of(data: bytes) -> Content:
    """What the first bytes say."""
    beginning = data[:_BEGINNING]
    if b"%PDF-" in beginning[:1024]:
        return "pdf"
    if beginning.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return "zip"
    if beginning.startswith(_OLE):
        return "ole"
    if beginning.startswith(_IMAGES[:-1]) or (beginning[:4] == b"RIFF" and beginning[8:12] == b"WEBP"):
        return "image"
    if beginning.startswith(b"BM") and b"\0" in beginning[2:18]:
        return "image"
    return "text" if has_mark(data) or b"\0" not in beginning else "other"


def _without_extension(content: Content, filename: str) -> FileType:
    if content == "pdf" or content == "image":
        return content
    if content == "text":
        return "txt"
    raise UnsupportedDocumentError(
        f"{filename!r} has no extension, and its content does not say what it is. Give it one.", filename=filename
    )

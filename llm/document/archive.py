"""Looks into an office document before any parser does: what it would unpack to, and whether it is what it says.

Invariant: after `check_archive`, unpacking every member costs no more than the limits say, and no member declares
entities, which are the way to make a few kilobytes of XML expand to gigabytes. zipfile refuses a member that is longer
than the directory says, so the sizes in the directory can be relied on.
"""

from __future__ import annotations

import re
import struct
import zipfile
import zlib
from io import BytesIO

from ..exceptions import (
    DocumentDamagedError,
    DocumentEncryptedError,
    DocumentError,
    DocumentTooLargeError,
    DocumentTypeError,
)
from .file_type import FileType
from .limits import DocumentLimits

_END_OF_DIRECTORY = b"PK\x05\x06"
_RATIO_COUNTS_ABOVE = 10_000_000  # bytes; a small file of blanks may compress as well as it likes
_ARCHIVES = (".zip", ".rar", ".7z", ".gz", ".bz2", ".xz", ".tar")
# How the main part of each kind is called, as a standard document and as one that may hold macros.
_MAIN_PART = re.compile(rb"application/vnd\.(?:openxmlformats-officedocument\.|ms-)([a-z]+)\.[A-Za-z.]*main\+xml")
_PAGE = re.compile(r"ppt/slides/[^/]+\.xml|xl/worksheets/[^/]+\.xml")
_KINDS: dict[bytes, FileType] = {
    b"wordprocessingml": "docx",
    b"word": "docx",
    b"presentationml": "pptx",
    b"powerpoint": "pptx",
    b"spreadsheetml": "xlsx",
    b"excel": "xlsx",
}


def check_archive(data: bytes, file_type: FileType, limits: DocumentLimits, *, filename: str) -> None:
    """Refuse what is no office document of this kind, or costs too much.

    Raises:
        DocumentDamagedError: it is torn, or declares entities.
        DocumentTypeError: an archive of another kind.
        DocumentEncryptedError: its members have a password.
        DocumentTooLargeError: one of the limits is passed.
    """
    _check_member_count(data, limits, filename)
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            members = archive.infolist()
            _check_sizes(members, limits, filename)
            _check_kind(archive, file_type, filename)
            _check_pages(members, limits, filename)
            for member in members:
                if member.filename.lower().endswith((".xml", ".rels", ".vml")):
                    _check_declarations(archive, member, filename)
    except DocumentError:
        raise
    except (zipfile.BadZipFile, zlib.error, EOFError, struct.error, NotImplementedError, ValueError, OSError) as exc:
        raise _damaged(filename) from exc


def _check_member_count(data: bytes, limits: DocumentLimits, filename: str) -> None:
    """By the end record, because the directory of millions of members would be read into memory."""
    end = data.rfind(_END_OF_DIRECTORY, max(0, len(data) - 66_000))
    if end < 0 or len(data) < end + 22:
        raise _damaged(filename)
    (size,) = struct.unpack_from("<I", data, end + 12)
    # Each member takes 46 bytes there and the length of its name.
    if size // 46 > limits.max_archive_members * 10 or size == 0xFFFFFFFF:
        raise _too_many(limits, filename)


def _check_sizes(members: list[zipfile.ZipInfo], limits: DocumentLimits, filename: str) -> None:
    if len(members) > limits.max_archive_members:
        raise _too_many(limits, filename)
    if sum(member.file_size for member in members) > limits.max_unpacked_size:
        raise DocumentTooLargeError(
            f"{filename!r} unpacks to more than {limits.max_unpacked_size} bytes (max_unpacked_size).",
            filename=filename,
            limit="max_unpacked_size",
        )
    for member in members:
        if member.flag_bits & 1:
            raise DocumentEncryptedError(
                f"{filename!r} is kept under a password. Save it without one.", filename=filename
            )
        packed = max(member.compress_size, 1)
        if member.file_size > _RATIO_COUNTS_ABOVE and member.file_size / packed > limits.max_compression_ratio:
            raise DocumentTooLargeError(
                f"A part of {filename!r} unpacks to more than {limits.max_compression_ratio} times its size "
                "(max_compression_ratio).",
                filename=filename,
                limit="max_compression_ratio",
            )
        if member.filename.lower().endswith(_ARCHIVES):
            raise DocumentDamagedError(f"{filename!r} holds another archive, which is not read.", filename=filename)


def _check_kind(archive: zipfile.ZipFile, file_type: FileType, filename: str) -> None:
    try:
        types = archive.read("[Content_Types].xml")
    except KeyError:
        raise DocumentTypeError(
            f"{filename!r} is an archive, but no office document of the kind that its name says.", filename=filename
        ) from None
    if file_type not in [_KINDS.get(name) for name in _MAIN_PART.findall(types)]:
        raise DocumentTypeError(
            f"{filename!r} is an office document of another kind than its name says.", filename=filename
        )


def _check_pages(members: list[zipfile.ZipInfo], limits: DocumentLimits, filename: str) -> None:
    pages = sum(1 for member in members if _PAGE.fullmatch(member.filename))
    if pages > limits.max_pages:
        raise DocumentTooLargeError(
            f"{filename!r} has {pages} slides or sheets; {limits.max_pages} are allowed (max_pages).",
            filename=filename,
            limit="max_pages",
        )


def _check_declarations(archive: zipfile.ZipFile, member: zipfile.ZipInfo, filename: str) -> None:
    """Office documents have no document type, so nothing is lost where one is refused."""
    with archive.open(member) as part:
        beginning = part.read(65_536)
    # In UTF-16 every other byte is zero.
    if b"<!DOCTYPE" in beginning.replace(b"\0", b"") or b"<!ENTITY" in beginning.replace(b"\0", b""):
        raise DocumentDamagedError(
            f"{filename!r} declares a document type, which no office program writes.", filename=filename
        )


def _damaged(filename: str) -> DocumentDamagedError:
    return DocumentDamagedError(f"{filename!r} is torn or damaged. Save or copy it again.", filename=filename)


def _too_many(limits: DocumentLimits, filename: str) -> DocumentTooLargeError:
    return DocumentTooLargeError(
        f"{filename!r} has more than {limits.max_archive_members} parts (max_archive_members).",
        filename=filename,
        limit="max_archive_members",
    )

"""Whether a content is new, known already, or another version of a document. Pure."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from ..document.chunk import ContextChunk
from ..document.document import LoadedDocument


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """A document's content as this store would keep it: the same bytes, cut the same way, are the same."""

    sha256: str
    fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NewVersion:
    """A document that is about to be stored.

    Attributes:
        uid: names this version in Chroma.
        document_id: for a document that is new; one that is replaced keeps its own.
        source: what tells whether it is another version of a document; None where nothing does.
    """

    uid: str
    document_id: str
    content: Content
    source: str | None = field(repr=False)
    document: LoadedDocument
    chunks: Sequence[ContextChunk] = field(repr=False)

    @property
    def pieces(self) -> list[int]:
        return [len(chunk.retrieval) for chunk in self.chunks]


@dataclass(frozen=True, slots=True)
class Placement:
    """What adding a content comes to.

    Attributes:
        kind: it is there already, it replaces a document's content, or it is a new document.
        document_id: that is there, or that is replaced.
    """

    kind: Literal["there", "replace", "new"]
    document_id: str | None = None


def new_id() -> str:
    """An id that no other document or version has."""
    return secrets.token_hex(12)


def place_content(
    content: Content, *, of_source: tuple[str, Content] | None, shared: bool, same: tuple[str, Content] | None
) -> Placement:
    """Where a content belongs. Pure.

    Args:
        content: that is added.
        of_source: the document that its source has led to until now, with its content.
        shared: whether another source leads to that document as well.
        same: a document with the same bytes, wherever it came from, with its content.
    """
    if of_source is not None:
        document_id, there = of_source
        if there == content:
            return Placement("there", document_id)
        # Where two files were the same and one of them has changed, the other's document stays as it is.
        if not shared or there.sha256 == content.sha256:
            return Placement("replace", document_id)
    if same is not None:
        document_id, there = same
        return Placement("there" if there == content else "replace", document_id)
    return Placement("new")

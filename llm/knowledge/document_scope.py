"""Which documents a search may see: all of them, or exactly these.

Invariant: a scope never widens. None, an empty set and a set of unknown ids are three different things here, and only
`DocumentScope.everything()` means everything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ..exceptions import RequestError


@dataclass(frozen=True, slots=True)
class DocumentScope:
    """All documents, or exactly some. Made by `everything` and `only`.

    Attributes:
        ids: the documents that may be seen; None means all of them.
    """

    ids: frozenset[str] | None = field(repr=False)

    @classmethod
    def everything(cls) -> DocumentScope:
        """Every document there is."""
        return cls(None)

    @classmethod
    def only(cls, ids: Iterable[str]) -> DocumentScope:
        """Exactly these documents; none at all where `ids` is empty.

        An id that no document has adds nothing.

        Raises:
            RequestError: `ids` is not a collection, or something in it is not text.
        """
        if ids is None or isinstance(ids, (str, bytes, Mapping)) or not isinstance(ids, Iterable):
            raise RequestError(f"A document scope is a set of document ids, not {type(ids).__name__}.")
        collected = tuple(ids)
        for id_ in collected:
            if type(id_) is not str:
                raise RequestError(f"A document scope holds ids as text, not {type(id_).__name__}.")
        return cls(frozenset(collected))

    @property
    def is_everything(self) -> bool:
        """Whether it leaves no document out, those that are added later included."""
        return self.ids is None

    @property
    def is_empty(self) -> bool:
        """Whether it can see nothing, so that nobody needs to be asked."""
        return self.ids is not None and not self.ids

    def __contains__(self, document_id: object) -> bool:
        return self.ids is None or document_id in self.ids

    def __repr__(self) -> str:
        return "<DocumentScope everything>" if self.ids is None else f"<DocumentScope {len(self.ids)} documents>"

"""From a file to text that can be searched and cited: loading, cutting, embedding.

    from llm.document import DocumentLoader

The parsers are loaded in a process of their own, with the first document that needs them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..names_on_demand import names_on_demand

if TYPE_CHECKING:
    from .document import DocumentItem, LoadedDocument
    from .document_loader import DocumentLoader
    from .limits import DocumentLimits

__all__ = ["DocumentItem", "DocumentLimits", "DocumentLoader", "LoadedDocument"]

_ON_DEMAND = {
    "DocumentItem": ".document",
    "DocumentLimits": ".limits",
    "DocumentLoader": ".document_loader",
    "LoadedDocument": ".document",
}

__getattr__ = names_on_demand(globals(), _ON_DEMAND)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

"""Families whose output differs from what their template shows. One file each: a marker in the template's text that
tells the family, and what has to be changed in the derived syntax.
"""

from __future__ import annotations

from typing import Protocol

from ...base.call_syntax import CallSyntax
from . import granite, harmony, lfm2


class Override(Protocol):
    """What a file in this folder holds."""

    NAME: str
    MARKER: str

    def apply(self, syntax: CallSyntax) -> CallSyntax:
        """The syntax, put right."""


OVERRIDES: tuple[Override, ...] = (granite, harmony, lfm2)

"""How wide a bar on standard error may be."""

from __future__ import annotations

import os
import sys

USUAL_COLUMNS = 80


def bar_columns() -> int | None:
    """Columns for tqdm: None lets it ask the terminal itself.

    Serial consoles and some containers' terminals say that they have no columns, and a bar that believes it is empty.
    """
    try:
        columns = os.get_terminal_size(sys.stderr.fileno()).columns
    except (OSError, ValueError):
        return None
    return None if columns else USUAL_COLUMNS

"""Rows of Chroma's index file that hold nothing yet.

Chroma (1.5) makes the file of an index with room for a hundred vectors before there is one, and writes that room as the
process's memory happens to be: whatever was freed lately, a document's text perhaps. Once vectors are written there,
the file has exactly their rows. So as long as its header counts no rows, all of the file is such room.

Invariant: rows that the header counts are never touched.
"""

from __future__ import annotations

import struct
from pathlib import Path

_HEADER = struct.Struct("<i4Q")  # version, offset, rows there is room for, rows in use, bytes of a row
_ROWS = "data_level0.bin"


def wipe_unused_rows(folder: Path) -> int:
    """Write zeros over every index file below `folder` that has no rows yet; returns how many there were.

    Nothing may be added meanwhile: the caller is the store's only writer.
    """
    wiped = 0
    for rows in folder.glob(f"*/{_ROWS}"):
        try:
            header = (rows.parent / "header.bin").read_bytes()
            in_use = _HEADER.unpack_from(header)[3]
        except (FileNotFoundError, struct.error):  # not an index, or one that is not finished
            continue
        if in_use == 0:
            with rows.open("r+b") as file:
                file.write(bytes(rows.stat().st_size))
            wiped += 1
    return wiped

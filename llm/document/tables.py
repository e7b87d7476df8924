"""Tables as text: one line for each row, cells separated by bars.

A long table becomes several blocks, and each begins with the table's first row, because a passage from the middle of a
table says little without the names of its columns.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

BLOCK_SIZE = 900  # characters; a block then fits the context chunks of the default settings


def row_text(cells: Iterable[str]) -> str:
    """One line; empty when no cell has text."""
    texts = [" ".join(cell.split()).replace("|", "\\|") for cell in cells]
    while texts and not texts[-1]:
        texts.pop()
    return " | ".join(texts)


def table_blocks(rows: Iterable[Sequence[str]], *, block_size: int = BLOCK_SIZE) -> Iterator[str]:
    """The table as texts of at most `block_size` characters, each with the first row on top.

    A row that is longer than that is a block by itself. A first row that would take more than a quarter of each
    block is not repeated.
    """
    lines = filter(None, map(row_text, rows))
    head = next(lines, None)
    if head is None:
        return
    repeated = len(head) <= block_size // 4
    block = [head]
    size = len(head)
    for line in lines:
        if size + 1 + len(line) > block_size and (len(block) > 1 or not repeated):
            yield "\n".join(block)
            block = [head] if repeated else []
            size = len(head) if repeated else 0
        block.append(line)
        size += len(line) + 1
    yield "\n".join(block)

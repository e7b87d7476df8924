"""Accounts of cells: shared ones are counted once, and what nobody names is free."""

from __future__ import annotations

import random

import pytest

from llm.engine.cell_table import CellTable


def test_a_shared_prefix_takes_no_cells() -> None:
    """Both sequences name the same cells; what each appends is its own."""
    table = CellTable(16, 4)
    table.extend(0, 6)
    table.share(0, 1, 4)
    assert table.free == 10
    table.extend(1, 2)
    assert table.cells(1)[:4].tolist() == table.cells(0)[:4].tolist()
    assert not set(table.cells(1)[4:]) & set(table.cells(0))
    assert table.free == 8


def test_a_cell_is_free_when_its_last_holder_gives_it_up() -> None:
    """In whatever order the holders go."""
    table = CellTable(8, 3)
    table.extend(0, 8)
    table.share(0, 1, 5)
    table.truncate(0, 0)
    assert table.free == 3
    table.truncate(1, 2)
    assert table.free == 6
    table.truncate(1, 0)
    assert table.free == 8


def test_cells_beyond_the_memory_are_never_handed_out() -> None:
    """Asking for more than is free is a fault of the caller."""
    table = CellTable(4, 1)
    with pytest.raises(AssertionError):
        table.extend(0, 5)


def test_random_changes_keep_the_accounts() -> None:
    """After each of a thousand steps, a model of lists says the same."""
    random_numbers = random.Random(5)
    table, model = CellTable(200, 6), {sequence: [] for sequence in range(6)}
    for _ in range(1000):
        sequence = random_numbers.randrange(6)
        step = random_numbers.randrange(3)
        if step == 0 and table.free:
            model[sequence] += table.extend(sequence, random_numbers.randint(1, min(20, table.free))).tolist()
        elif step == 1:
            length = random_numbers.randint(0, len(model[sequence]))
            table.truncate(sequence, length)
            del model[sequence][length:]
        elif not model[sequence]:
            source = (sequence + 1) % 6
            length = random_numbers.randint(0, len(model[source]))
            table.share(source, sequence, length)
            model[sequence] = model[source][:length]
        for one, cells in model.items():
            assert table.cells(one).tolist() == cells
            assert table.length(one) == len(cells)
        assert table.free == 200 - len(set().union(*map(set, model.values())))

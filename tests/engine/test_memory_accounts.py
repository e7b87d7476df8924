"""Ledger and prefix index against plain models of themselves."""

from __future__ import annotations

import random

from llm.engine.key_value_ledger import KeyValueLedger
from llm.engine.prefix_index import BLOCK, PrefixIndex


def test_the_ledger_counts_like_sets_of_cells() -> None:
    """2,000 random operations: used, live and free equal what sets of cells say."""
    random_numbers = random.Random(0)
    ledger = KeyValueLedger(5_000, 40)
    cells: dict[int, list[object]] = {}
    retired: list[int] = []
    for _ in range(2_000):
        live = [sequence for sequence in cells if sequence not in retired]
        choice = random_numbers.random()
        if choice < 0.25 and ledger.can_open:
            sequence = ledger.open()
            assert sequence not in cells
            cells[sequence] = []
            sources = [other for other in cells if cells[other]]
            if sources and random_numbers.random() < 0.7:
                source = random_numbers.choice(sources)
                length = random_numbers.randint(1, len(cells[source]))
                ledger.share(source, sequence, length)
                cells[sequence] = cells[source][:length]
                if source in retired:
                    retired.remove(source)
                    retired.append(source)
        elif choice < 0.6 and live:
            sequence, count = random_numbers.choice(live), random_numbers.randint(0, 30)
            if count <= ledger.free:
                ledger.extend(sequence, count)
                cells[sequence] = cells[sequence] + [object() for _ in range(count)]
        elif choice < 0.75 and live:
            sequence = random_numbers.choice(live)
            length = random_numbers.randint(0, len(cells[sequence]))
            ledger.truncate(sequence, length)
            cells[sequence] = cells[sequence][:length]
        elif choice < 0.88 and live:
            sequence = random_numbers.choice(live)
            ledger.retire(sequence)
            retired.append(sequence)
        elif cells:
            sequence = random_numbers.choice(list(cells))
            ledger.drop(sequence)
            del cells[sequence]
            if sequence in retired:
                retired.remove(sequence)
        ledger.check_integrity()
        assert ledger.used == len({id(cell) for held in cells.values() for cell in held})
        in_use = {id(cell) for sequence, held in cells.items() if sequence not in retired for cell in held}
        assert ledger.used_live == len(in_use)
        assert ledger.retired == retired
        assert {sequence: ledger.length(sequence) for sequence in cells} == {s: len(held) for s, held in cells.items()}


def test_the_index_finds_the_longest_prefix() -> None:
    """Against a comparison with every sequence, on texts that share much; below one block nothing is promised."""
    random_numbers = random.Random(1)
    index, held = PrefixIndex(), {}
    for step in range(600):
        choice = random_numbers.random()
        if choice < 0.4 or not held:
            base = list(random_numbers.choice(list(held.values()))) if held and random_numbers.random() < 0.8 else []
            kept = base[: random_numbers.randint(0, len(base))]
            tokens = [*kept, *(random_numbers.randrange(3) for _ in range(random_numbers.randrange(60)))]
            index.add(step, tokens)
            held[step] = tokens
        elif choice < 0.6:
            sequence = random_numbers.choice(list(held))
            more = [random_numbers.randrange(3) for _ in range(random_numbers.randrange(40))]
            index.extend(sequence, more)
            held[sequence] = [*held[sequence], *more]
        elif choice < 0.7:
            sequence = random_numbers.choice(list(held))
            length = random_numbers.randint(0, len(held[sequence]))
            index.truncate(sequence, length)
            held[sequence] = held[sequence][:length]
        elif choice < 0.8:
            sequence = random_numbers.choice(list(held))
            index.remove(sequence)
            del held[sequence]
        index.check_integrity()
        if held:
            wanted = [*held[random_numbers.choice(list(held))][: random_numbers.randint(0, 200)], 1, 2]
            found = index.longest(wanted, computed=lambda _: 10**9)
            best = max(common(wanted, tokens) for tokens in held.values())
            if best >= BLOCK:
                assert found is not None
                assert found[1] == best == common(wanted, held[found[0]])
            else:
                assert found is None


def test_of_equal_matches_the_computed_one_wins() -> None:
    """Two sequences with the same tokens: the one whose tokens are in memory is shared."""
    index = PrefixIndex()
    tokens = list(range(40))
    index.add(1, tokens)
    index.add(2, tokens)
    assert index.longest(tokens, computed={1: 0, 2: 40}.__getitem__) == (2, 40)
    assert index.longest(tokens, computed={1: 30, 2: 20}.__getitem__) == (1, 40)


def common(left: list[int], right: list[int]) -> int:
    for place, (one, other) in enumerate(zip(left, right, strict=False)):
        if one != other:
            return place
    return min(len(left), len(right))

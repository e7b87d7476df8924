"""Damaged models are refused in Python, or survive native code: no file of several hundred ends the process."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from llm.exceptions import ModelFormatError
from llm.hub.gguf_header import check_gguf
from llm.hub.gguf_reader import read_gguf

GGUFBuilder = Callable[..., Path]
LOADER = Path(__file__).with_name("load_models.py")
LONGEST_CHECK_SECONDS = 5.0

NUMBERS = [bytes(4), b"\1\0\0\0", b"\2\0\0\0", b"\3\0\0\0", b"\xff\xff\xff\x7f", b"\0\0\0\x80", b"\xff\xff\xff\xff"]
PLACES = [b".attention", b".block_count", b"_length", b"tokenizer.ggml.", b"general.", b"blk.", b"token_embd", b"the"]


def truncations(model: bytes, header: int) -> Iterator[bytes]:
    """The file cut at every hundredth of its length, and of its header's."""
    for percent in range(100):
        yield model[: len(model) * percent // 100]
        yield model[: header * percent // 100]


def flipped_bits(model: bytes, header: int, chance: random.Random, count: int) -> Iterator[bytes]:
    """One to three bits of the header, the other way round."""
    for _ in range(count):
        changed = bytearray(model)
        for _ in range(chance.choice((1, 1, 2, 3))):
            changed[chance.randrange(header)] ^= 1 << chance.randrange(8)
        yield bytes(changed)


def replaced_numbers(model: bytes, header: int, chance: random.Random, count: int) -> Iterator[bytes]:
    """Telling numbers in places where counts, lengths, dimensions and values stand."""
    for _ in range(count):
        changed = bytearray(model)
        word = chance.choice(PLACES)
        places = [place for place in range(header) if model.startswith(word, place)]
        place = chance.choice(places) + chance.randrange(-12, 48)
        changed[place : place + 4] = chance.choice(NUMBERS)
        yield bytes(changed)


def run(mutants: Iterator[bytes], folder: Path) -> Counter[str]:
    """Check every mutant, load those that pass in one process of its own, and count what happened."""
    outcomes: Counter[str] = Counter()
    accepted: list[Path] = []
    for index, mutant in enumerate(mutants):
        path = folder / f"{index}.gguf"
        path.write_bytes(mutant)
        started = time.process_time()
        try:
            check_gguf(path)
        except ModelFormatError:
            outcomes["typed error"] += 1
            path.unlink()
        else:
            accepted.append(path)
        assert time.process_time() - started < LONGEST_CHECK_SECONDS
    done = subprocess.run(
        [sys.executable, LOADER],
        input="".join(f"{path}\n" for path in accepted),
        capture_output=True,
        text=True,
        timeout=3000,
        check=False,
    )
    loaded = done.stdout.split()
    survivors = len(loaded)
    assert done.returncode == 0, f"{accepted[survivors]} ended the process: {done.stderr[-500:]}"
    assert survivors == len(accepted)
    outcomes.update(loaded)
    return outcomes


def test_several_hundred_damaged_models_harm_nobody(tmp_path: Path, write_gguf: GGUFBuilder) -> None:
    """Truncations, flipped bits and replaced numbers; some still load, none kills."""
    path = write_gguf(tmp_path / "sound.gguf")
    model, header = path.read_bytes(), read_gguf(path).data_start
    chance = random.Random(20)
    mutants = [
        *truncations(model, header),
        *flipped_bits(model, header, chance, 120),
        *replaced_numbers(model, header, chance, 80),
    ]
    outcomes = run(iter([*mutants, model]), tmp_path)
    assert len(mutants) >= 300
    assert outcomes.total() == len(mutants) + 1
    assert outcomes["typed error"] >= 200  # every truncation at least
    assert outcomes["loaded"] >= 10  # so the loading half of the test is not empty


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(8))
def test_thousands_of_damaged_models_harm_nobody(tmp_path: Path, write_gguf: GGUFBuilder, seed: int) -> None:
    """The same with many more mutants, of two architectures."""
    architecture = ("qwen2", "llama")[seed % 2]
    path = write_gguf(tmp_path / "sound.gguf", architecture=architecture)
    model, header = path.read_bytes(), read_gguf(path).data_start
    chance = random.Random(seed)
    mutants = [*flipped_bits(model, header, chance, 1500), *replaced_numbers(model, header, chance, 1500)]
    assert run(iter(mutants), tmp_path).total() == len(mutants)

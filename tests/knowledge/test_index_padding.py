"""Chroma's index files before they have rows."""

from __future__ import annotations

import struct
from pathlib import Path

import chromadb
import numpy as np
import pytest
from chromadb.config import Settings

from llm.knowledge.index_padding import wipe_unused_rows


def index(folder: Path, *, in_use: int, rows: bytes) -> Path:
    folder.mkdir()
    (folder / "header.bin").write_bytes(struct.pack("<i4Q", 1, 0, 100, in_use, 8) + bytes(64))
    (folder / "data_level0.bin").write_bytes(rows)
    return folder / "data_level0.bin"


def test_room_is_wiped_and_rows_are_not(tmp_path: Path) -> None:
    """Only a file whose header counts no rows is written over; its size stays."""
    room = index(tmp_path / "room", in_use=0, rows=b"secret!!" * 100)
    rows = index(tmp_path / "rows", in_use=3, rows=b"vectors!" * 3)
    assert wipe_unused_rows(tmp_path) == 1
    assert room.read_bytes() == bytes(800)
    assert rows.read_bytes() == b"vectors!" * 3


@pytest.mark.parametrize("header", [None, b"", b"short"])
def test_what_is_no_index_is_left_alone(tmp_path: Path, header: bytes | None) -> None:
    """A folder without a header, or with half of one, is somebody else's or not finished."""
    rows = index(tmp_path / "some", in_use=0, rows=b"content")
    (rows.parent / "header.bin").unlink()
    if header is not None:
        (rows.parent / "header.bin").write_bytes(header)
    assert wipe_unused_rows(tmp_path) == 0
    assert rows.read_bytes() == b"content"


def test_chroma_writes_its_header_as_it_is_read(tmp_path: Path) -> None:
    """A new index counts no rows in a file that has room; one that was saved has exactly the rows it counts."""
    client = chromadb.PersistentClient(str(tmp_path), settings=Settings(anonymized_telemetry=False))
    collection = client.create_collection("vectors", embedding_function=None)
    vectors = np.random.default_rng(0).normal(size=(1_200, 16)).astype(np.float32)
    collection.add(ids=["first"], embeddings=vectors[:1])
    (file,) = tmp_path.glob("*/data_level0.bin")
    assert wipe_unused_rows(tmp_path) == 1
    assert not any(file.read_bytes())
    for start in range(0, 1_200, 100):
        collection.add(ids=[str(start + row) for row in range(100)], embeddings=vectors[start : start + 100])
    found = collection.query(query_embeddings=vectors[700:701], n_results=1)
    assert found["ids"] == [["700"]]
    assert wipe_unused_rows(tmp_path) == 0
    _, _, _, in_use, size = struct.unpack_from("<i4Q", (file.parent / "header.bin").read_bytes())
    assert in_use
    assert file.stat().st_size == in_use * size
    client.close()

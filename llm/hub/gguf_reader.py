"""Reads the table of contents of a GGUF file without trusting a byte of it.

A damaged or hostile file may kill the process once native code reads it, and then every user of every model is
gone. So the whole header is walked here first. Invariants: nothing is read outside the file, no number from the
file decides how much memory is taken, and every refusal is a ModelFormatError that says what is wrong.

    offset 0   magic "GGUF", version u32, tensor count u64, metadata count u64
               metadata: key, type u32, value           (strings are u64 length + bytes)
               tensors:  name, dimensions, type u32, offset into the data section
               padding to `alignment`
    data_start the tensors' bytes, one after the other, each padded to `alignment`
"""

from __future__ import annotations

import mmap
import os
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from ..exceptions import ModelFormatError
from .gguf_format import TENSOR_TYPES, ArrayShape, GGUFContents, SkippedText, TensorEntry, Value

MAX_METADATA = 1 << 16
MAX_TENSORS = 1 << 17
MAX_KEY_BYTES = 1 << 16
MAX_TENSOR_NAME_BYTES = 63
MAX_DIMENSIONS = 4
MAX_STRING_BYTES = 1 << 26
MAX_ARRAY_STRINGS = 1 << 21
MAX_ARRAY_NUMBERS = 1 << 26
MAX_ALIGNMENT = 1 << 20

# Longer texts and arrays are stepped over: nothing that decides about loading is longer.
KEPT_STRING_BYTES = 1 << 20
KEPT_ARRAY_NUMBERS = 512

VOCABULARY = "tokenizer.ggml.tokens"  # the one list of texts that has to be looked at

_U32 = struct.Struct("<I")
_U64 = struct.Struct("<Q")
_STRING, _ARRAY = 8, 9
_SCALARS = {
    0: struct.Struct("<B"),
    1: struct.Struct("<b"),
    2: struct.Struct("<H"),
    3: struct.Struct("<h"),
    4: struct.Struct("<I"),
    5: struct.Struct("<i"),
    6: struct.Struct("<f"),
    7: struct.Struct("<?"),
    10: struct.Struct("<Q"),
    11: struct.Struct("<q"),
    12: struct.Struct("<d"),
}


def read_gguf(path: Path) -> GGUFContents:
    """Walk the whole header of a GGUF file.

    Raises:
        ModelFormatError: it is not a regular file, or not a sound GGUF file.
    """
    with _mapped(path) as data:
        return _Reader(data, path).contents()


@contextmanager
def _mapped(path: Path) -> Iterator[mmap.mmap]:
    # O_NONBLOCK: opening a pipe must not wait for a writer that never comes.
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except OSError as exc:
        raise ModelFormatError(
            f"{str(path)!r} cannot be opened: {exc.strerror or exc}. Have that changed, or take another file."
        ) from exc
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ModelFormatError(f"{str(path)!r} is not a regular file, so it is not read as a model.")
        if status.st_size < 24:
            raise ModelFormatError(
                f"{str(path)!r} has {status.st_size} bytes; a GGUF file has more. Download it again."
            )
        data = mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ)
    finally:
        os.close(descriptor)
    with data:
        yield data


class _Reader:
    """A position in the mapped file that only moves forward."""

    def __init__(self, data: mmap.mmap, path: Path) -> None:
        self._data = data
        self._length = len(data)
        self._position = 0
        self._path = path

    def contents(self) -> GGUFContents:
        if self._take(4) != b"GGUF":
            self._refuse("it does not begin with 'GGUF'")
        version = self._number(_U32)
        if version & 0xFFFF == 0:
            self._refuse("it is written for big-endian machines")
        if version not in (2, 3):
            self._refuse(f"its version is {version}, and versions 2 and 3 are read")
        tensor_count = self._number(_U64)
        metadata_count = self._number(_U64)
        # The smallest metadata entry and tensor entry take 13 and 24 bytes.
        self._check_count("metadata entries", metadata_count, MAX_METADATA, smallest=13)
        self._check_count("tensors", tensor_count, MAX_TENSORS, smallest=24)
        metadata = self._metadata(metadata_count)
        alignment = self._alignment(metadata)
        tensors = self._tensors(tensor_count, alignment)
        data_start = _pad(self._position, alignment)
        if tensors:
            occupied = sum(_pad(tensor.size, alignment) for tensor in tensors[:-1]) + tensors[-1].size
            if data_start + occupied > self._length:
                self._refuse(f"its tensors end at byte {data_start + occupied} and the file at {self._length}")
        return GGUFContents(self._path, version, metadata, tensors, data_start)

    def _metadata(self, count: int) -> dict[str, Value]:
        metadata: dict[str, Value] = {}
        for index in range(count):
            key = self._text(f"the key of metadata entry {index}", MAX_KEY_BYTES)
            if not key:
                self._refuse(f"the key of metadata entry {index} is empty")
            if key in metadata:
                self._refuse(f"the metadata key {key!r} stands in it twice")
            metadata[key] = self._value(key)
        return metadata

    def _value(self, key: str) -> Value:
        kind = self._number(_U32)
        if kind == _STRING:
            return self._string_value(key)
        if kind == _ARRAY:
            return self._array(key, self._number(_U32), self._number(_U64))
        if kind not in _SCALARS:
            self._refuse(f"the metadata key {key!r} has the unknown type {kind}")
        value: int | float | bool = self._number(_SCALARS[kind])
        return value

    def _string_value(self, key: str) -> Value:
        size = self._number(_U64)
        if size > MAX_STRING_BYTES:
            self._refuse(f"the value of {key!r} has {size} bytes, more than the {MAX_STRING_BYTES} allowed")
        text = self._take(size)
        return text if size <= KEPT_STRING_BYTES else SkippedText(size)

    def _array(self, key: str, kind: int, count: int) -> Value:
        if kind == _STRING:
            self._check_count(f"strings in {key!r}", count, MAX_ARRAY_STRINGS, smallest=8)
            if key == VOCABULARY:
                return self._strings(key, count)
            self._skip_strings(key, count)
            return ArrayShape(kind, count)
        if kind not in _SCALARS:
            self._refuse(f"the array {key!r} has the unknown element type {kind}")
        item = _SCALARS[kind]
        self._check_count(f"numbers in {key!r}", count, MAX_ARRAY_NUMBERS, smallest=item.size)
        if count > KEPT_ARRAY_NUMBERS:
            self._position += count * item.size
            return ArrayShape(kind, count)
        raw = self._take(count * item.size)
        return tuple(value for (value,) in item.iter_unpack(raw))

    def _skip_strings(self, key: str, count: int) -> None:
        # A vocabulary has some 150,000 of these: the loop is bare, and running off the end is noticed by
        # unpack_from, whose offset check is the bound.
        position, data, unpack = self._position, self._data, _U64.unpack_from
        try:
            for _ in range(count):
                position += 8 + unpack(data, position)[0]
        except (struct.error, OverflowError):
            self._refuse_overrun(f"a string in {key!r}")
        self._advance_to(position, f"a string in {key!r}")

    def _strings(self, key: str, count: int) -> tuple[bytes, ...]:
        position, data, unpack = self._position, self._data, _U64.unpack_from
        texts: list[bytes] = []
        try:
            for _ in range(count):
                start = position + 8
                position = start + unpack(data, position)[0]
                texts.append(data[start:position])
        except (struct.error, OverflowError):
            self._refuse_overrun(f"a string in {key!r}")
        self._advance_to(position, f"a string in {key!r}")
        return tuple(texts)

    def _tensors(self, count: int, alignment: int) -> tuple[TensorEntry, ...]:
        tensors: list[TensorEntry] = []
        names: set[str] = set()
        expected_offset = 0
        for index in range(count):
            name = self._text(f"the name of tensor {index}", MAX_TENSOR_NAME_BYTES)
            if not name or name in names:
                self._refuse(f"tensor {index} has {'the name of another' if name else 'no name'}")
            names.add(name)
            tensor = self._tensor(name)
            offset = self._number(_U64)
            if offset != expected_offset:
                self._refuse(f"tensor {name!r} is at offset {offset} where {expected_offset} is expected")
            expected_offset += _pad(tensor.size, alignment)
            tensors.append(tensor)
        return tuple(tensors)

    def _tensor(self, name: str) -> TensorEntry:
        dimension_count = self._number(_U32)
        if not 1 <= dimension_count <= MAX_DIMENSIONS:
            self._refuse(f"tensor {name!r} has {dimension_count} dimensions; 1 to {MAX_DIMENSIONS} are allowed")
        dimensions = tuple(self._number(_U64) for _ in range(dimension_count))
        kind = self._number(_U32)
        if kind not in TENSOR_TYPES:
            self._refuse(f"tensor {name!r} has the unknown type {kind}")
        type_name, block, block_bytes = TENSOR_TYPES[kind]
        weights = 1
        for dimension in dimensions:
            if not 1 <= dimension <= self._length * block:
                self._refuse(f"tensor {name!r} has a dimension of {dimension}")
            weights *= dimension
        if dimensions[0] % block:
            self._refuse(f"tensor {name!r} of type {type_name} has rows of {dimensions[0]}, not a multiple of {block}")
        size = weights // block * block_bytes
        if size > self._length:
            self._refuse(f"tensor {name!r} takes {size} bytes and the file has {self._length}")
        return TensorEntry(name, dimensions, kind, size)

    def _alignment(self, metadata: dict[str, Value]) -> int:
        alignment = metadata.get("general.alignment", 32)
        valid = isinstance(alignment, int) and not isinstance(alignment, bool) and 1 <= alignment <= MAX_ALIGNMENT
        if not valid or alignment & (alignment - 1):  # type: ignore[operator]
            self._refuse(f"its alignment is {alignment!r}, not a power of two up to {MAX_ALIGNMENT}")
        return alignment  # type: ignore[return-value]

    def _text(self, what: str, longest: int) -> str:
        size = self._number(_U64)
        if size > longest:
            self._refuse(f"{what} has {size} bytes; up to {longest} are allowed")
        try:
            return self._take(size).decode("utf-8")
        except UnicodeDecodeError:
            self._refuse(f"{what} is not text")

    def _check_count(self, what: str, count: int, most: int, *, smallest: int) -> None:
        if count > most:
            self._refuse(f"it announces {count} {what}; up to {most} are allowed")
        if count * smallest > self._length - self._position:
            self._refuse(f"it announces {count} {what}, more than the file can hold")

    def _number(self, item: struct.Struct) -> int:
        value: int
        try:
            (value,) = item.unpack_from(self._data, self._position)
        except struct.error:
            self._refuse_overrun("a number")
        self._position += item.size
        return value

    def _take(self, size: int) -> bytes:
        start = self._position
        self._advance_to(start + size, "a text")
        return self._data[start : start + size]

    def _advance_to(self, position: int, what: str) -> None:
        if position > self._length:
            self._refuse_overrun(what)
        self._position = position

    def _refuse_overrun(self, what: str) -> NoReturn:
        self._refuse(f"{what} reaches past its end at byte {self._length}; the file is cut short or damaged")

    def _refuse(self, reason: str) -> NoReturn:
        raise ModelFormatError(
            f"{str(self._path)!r} is not a GGUF file that can be loaded safely: {reason}. "
            "Download it again, or take another file."
        )


def _pad(size: int, alignment: int) -> int:
    return (size + alignment - 1) // alignment * alignment

"""What a safetensors file says about its tensors, checked against its length before anything is read from it.

The format: eight bytes with the length of a JSON text, that text (for each tensor its type, shape and place), the data.
"""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass
from pathlib import Path

from ..exceptions import ModelFormatError

MAX_HEADER_BYTES = 100_000_000
ITEM_BITS = {
    "F64": 64, "F32": 32, "F16": 16, "BF16": 16, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "F4": 4,
    "I64": 64, "I32": 32, "I16": 16, "I8": 8, "U64": 64, "U32": 32, "U16": 16, "U8": 8, "BOOL": 8,
}  # fmt: skip
FLOATING = frozenset(("F64", "F32", "F16", "BF16"))


@dataclass(frozen=True, slots=True)
class TensorHeader:
    """One tensor of a file."""

    name: str
    type: str
    shape: tuple[int, ...]

    @property
    def count(self) -> int:
        """Numbers in the tensor."""
        return math.prod(self.shape)


def read_safetensors_header(path: Path) -> list[TensorHeader]:
    """The tensors of a file.

    Raises:
        ModelFormatError: the file is damaged, or not what its name says.
    """
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            length = int.from_bytes(file.read(8), "little")
            if not 2 <= length <= min(size - 8, MAX_HEADER_BYTES):
                raise _damaged(path, "its header does not fit the file")
            header = json.loads(file.read(length))
    except (ValueError, RecursionError) as exc:
        raise _damaged(path, "its header is not JSON text") from exc
    if not isinstance(header, dict):
        raise _damaged(path, "its header is not a JSON object")
    return [_tensor(path, name, entry, size - 8 - length) for name, entry in header.items() if name != "__metadata__"]


def _tensor(path: Path, name: str, entry: object, data_bytes: int) -> TensorHeader:
    fields = entry if isinstance(entry, dict) else {}
    kind, shape, place = fields.get("dtype"), fields.get("shape"), fields.get("data_offsets")
    sizes, places = _sizes(shape), _sizes(place)
    if not isinstance(kind, str) or sizes is None or places is None or len(places) != 2:
        raise _damaged(path, f"the entry of {name[:100]!r} is not one of a tensor")
    tensor = TensorHeader(name, kind, sizes)
    begin, end = places
    if not begin <= end <= data_bytes:
        raise _damaged(path, f"{name[:100]!r} lies outside the file")
    if kind in ITEM_BITS and -(-tensor.count * ITEM_BITS[kind] // 8) != end - begin:
        raise _damaged(path, f"{name[:100]!r} has another length than its shape says")
    return tensor


def _sizes(value: object) -> tuple[int, ...] | None:
    if isinstance(value, list) and all(type(item) is int and 0 <= item < 1 << 48 for item in value):
        return tuple(value)
    return None


def _damaged(path: Path, what: str) -> ModelFormatError:
    return ModelFormatError(f"{str(path)!r} is damaged: {what}. Download the model again.")

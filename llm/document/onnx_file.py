"""Writes the ONNX format: nodes, weights, inputs and outputs as the bytes that onnxruntime reads.

ONNX is a handful of protocol buffer messages. The numbers here are their field numbers, which never change; this writes
only what `onnx_graph` needs.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

OPSET = 17
MICROSOFT = "com.microsoft"
_IR_VERSION = 8
_ELEMENT_TYPES = {"float32": 1, "uint8": 2, "int8": 3, "int32": 6, "int64": 7}

Attribute = int | float


def tensor(name: str, array: npt.NDArray[np.generic]) -> bytes:
    """A constant of the graph, such as a weight."""
    content = np.asarray(array, order="C")
    return b"".join(
        (
            *(_number(1, dimension) for dimension in content.shape),
            _number(2, _ELEMENT_TYPES[content.dtype.name]),
            _text(8, name),
            _field(9, content.tobytes()),
        )
    )


def node(
    operator: str, inputs: Sequence[str], outputs: Sequence[str], attributes: Mapping[str, Attribute], domain: str = ""
) -> bytes:
    """One operation. An input that is left out has an empty name."""
    return b"".join(
        (
            *(_text(1, name) for name in inputs),
            *(_text(2, name) for name in outputs),
            _text(4, operator),
            *(_field(5, _attribute(name, value)) for name, value in attributes.items()),
            _text(7, domain) if domain else b"",
        )
    )


def value(name: str, element_type: str, shape: Sequence[int | str]) -> bytes:
    """An input or output; a dimension with a name may have any size."""
    dimensions = b"".join(_field(1, _text(2, size) if isinstance(size, str) else _number(1, size)) for size in shape)
    return _text(1, name) + _field(2, _field(1, _number(1, _ELEMENT_TYPES[element_type]) + _field(2, dimensions)))


def model(nodes: Iterable[bytes], weights: Iterable[bytes], inputs: Iterable[bytes], outputs: Iterable[bytes]) -> bytes:
    """A whole file."""
    graph = b"".join(
        (
            *(_field(1, part) for part in nodes),
            _text(2, "embedding"),
            *(_field(5, part) for part in weights),
            *(_field(11, part) for part in inputs),
            *(_field(12, part) for part in outputs),
        )
    )
    opsets = _field(8, _text(1, "") + _number(2, OPSET)) + _field(8, _text(1, MICROSOFT) + _number(2, 1))
    return _number(1, _IR_VERSION) + _text(2, "practorflow") + _field(7, graph) + opsets


def _attribute(name: str, content: Attribute) -> bytes:
    if isinstance(content, float):
        return _text(1, name) + _key(2, 5) + struct.pack("<f", content) + _number(20, 1)
    return _text(1, name) + _number(3, content) + _number(20, 2)


def _text(field: int, content: str) -> bytes:
    return _field(field, content.encode())


def _field(field: int, content: bytes) -> bytes:
    return _key(field, 2) + _varint(len(content)) + content


def _number(field: int, content: int) -> bytes:
    return _key(field, 0) + _varint(content & 0xFFFF_FFFF_FFFF_FFFF)


def _key(field: int, wire_type: int) -> bytes:
    return _varint(field << 3 | wire_type)


def _varint(content: int) -> bytes:
    encoded = bytearray()
    while content > 0x7F:
        encoded.append(content & 0x7F | 0x80)
        content >>= 7
    encoded.append(content)
    return bytes(encoded)

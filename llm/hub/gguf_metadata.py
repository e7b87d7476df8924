"""Metadata of a GGUF file, read key by key with the values that are allowed."""

from __future__ import annotations

import re
from typing import NoReturn

from ..exceptions import ModelFormatError
from .gguf_format import ArrayShape, GGUFContents, Value

_ARCHITECTURE = re.compile(rb"[a-z0-9][a-z0-9_.-]{0,63}")


class ModelMetadata:
    """One file's metadata. In a key, ``{}`` stands for the architecture."""

    def __init__(self, contents: GGUFContents) -> None:
        self.contents = contents
        self.architecture = ""

    def check_kind(self) -> None:
        kind = self.value("general.type", b"model")
        if kind != b"model":
            self.refuse(f"it holds {shown(kind)} and not a language model")

    def read_architecture(self) -> None:
        name = self.value("general.architecture")
        if not isinstance(name, bytes) or not _ARCHITECTURE.fullmatch(name):
            self.refuse(f"its architecture is {shown(name)}, which is not a name")
        self.architecture = name.decode("ascii")

    def value(self, key: str, default: Value | None = None) -> Value | None:
        return self.contents.metadata.get(key.format(self.architecture), default)

    def integer(self, key: str, low: int, high: int, *, default: int | None = None) -> int:
        value = self.value(key)
        if value is None and default is not None:
            return default
        return self._whole(key, value, low, high)

    def per_layer(self, key: str, layers: int, high: int, *, default: tuple[int, ...] = (0,)) -> tuple[int, ...]:
        """A whole number of each layer; a file gives one for all of them or a list."""
        value = self.value(key)
        if value is None:
            return default if len(default) == layers else default * layers
        if isinstance(value, ArrayShape):
            self.refuse(f"{key.format(self.architecture)!r} has {value.length} values for {layers} layers")
        if not isinstance(value, tuple):
            return (self._whole(key, value, 0, high),) * layers
        if len(value) != layers:
            self.refuse(f"{key.format(self.architecture)!r} has {len(value)} values for {layers} layers")
        return tuple(self._whole(key, item, 0, high) for item in value)

    def _whole(self, key: str, value: Value | None, low: int, high: int) -> int:
        key = key.format(self.architecture)
        if value is None:
            self.refuse(f"its metadata has no {key!r}")
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            self.refuse(f"{key!r} is {shown(value)}; a whole number from {low} to {high} is allowed")
        return value

    def refuse(self, reason: str) -> NoReturn:
        raise ModelFormatError(
            f"{str(self.contents.path)!r} is not a model that can be loaded safely: {reason}. "
            "Download it again, or take another file."
        )


def shown(value: object) -> str:
    """A value for an error message; metadata can be megabytes of anything."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."

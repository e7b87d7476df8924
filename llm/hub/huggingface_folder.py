"""A folder with a model for transformers, looked at before transformers reads it.

Everything that decides what code runs is read here first: a folder that brings Python of its own is refused unless
the configuration trusts it, and weights must be files that are data.
"""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

from ..exceptions import ModelFormatError, ModelNotFoundError
from .repository import choose_huggingface

MAX_JSON_BYTES = 1 << 26
_NAMING_CODE = ("config.json", "tokenizer_config.json", "processor_config.json", "preprocessor_config.json")
_IMPLEMENTATIONS = ("attn_implementation", "experts_implementation")
_INDEX = "model.safetensors.index.json"


def check_huggingface_folder(folder: Path, *, trust_remote_code: bool) -> None:
    """Refuse a folder that is not a whole and harmless model.

    Raises:
        ModelNotFoundError: it holds no model for transformers, or files of it are missing.
        ModelFormatError: it holds what is never loaded.
    """
    name = str(folder)
    chosen = choose_huggingface(os.listdir(folder), model_name=name, trust_remote_code=trust_remote_code)
    for file in chosen:
        if not _is_regular_file(folder / file):
            raise ModelFormatError(f"{str(folder / file)!r} is not a regular file, so it is not read as a model.")
    for file in chosen:
        if file in _NAMING_CODE and not trust_remote_code and "auto_map" in _read_object(folder / file):
            raise ModelFormatError(
                f"{str(folder / file)!r} names Python code that comes with the model ('auto_map'). Take a model that "
                "transformers knows by itself, or set trust_remote_code if you trust its authors."
            )
    if _names_a_repository(_read_object(folder / "config.json")):
        raise ModelFormatError(
            f"{str(folder / 'config.json')!r} asks for code from a repository of the hub to compute with "
            "('attn_implementation'), and such code is never fetched. Remove that entry."
        )
    if _INDEX in chosen:
        _check_index(folder, set(chosen))


def _names_a_repository(value: object, *, chooses: bool = False) -> bool:
    """Whether an entry that chooses an implementation, at any depth, has the form of a repository's name."""
    if isinstance(value, dict):
        return any(
            _names_a_repository(item, chooses=chooses or any(name in key for name in _IMPLEMENTATIONS))
            for key, item in value.items()
        )
    if isinstance(value, list):
        return any(_names_a_repository(item, chooses=chooses) for item in value)
    return chooses and isinstance(value, str) and "/" in value


def _check_index(folder: Path, present: set[str]) -> None:
    weight_map = _read_object(folder / _INDEX).get("weight_map")
    if not isinstance(weight_map, dict) or not all(isinstance(file, str) for file in weight_map.values()):
        raise ModelFormatError(f"{str(folder / _INDEX)!r} does not say in which file each weight is.")
    missing = sorted(set(weight_map.values()) - present)
    if missing:
        raise ModelNotFoundError(
            f"{str(folder)!r} lacks {len(missing)} of its weight files, the first of them {missing[0]!r}. "
            "Download the model again."
        )


def _is_regular_file(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return False


def _read_object(path: Path) -> dict[str, object]:
    if path.stat().st_size > MAX_JSON_BYTES:
        raise ModelFormatError(f"{str(path)!r} is larger than the {MAX_JSON_BYTES} bytes allowed.")
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as exc:
        raise ModelFormatError(f"{str(path)!r} is not JSON text. Download the model again.") from exc
    if not isinstance(content, dict):
        raise ModelFormatError(f"{str(path)!r} does not hold a JSON object. Download the model again.")
    return content

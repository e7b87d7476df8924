"""Which files of a repository or a folder make up the model: pure decisions about lists of names.

Weights are taken in formats that are data. Pickled weights run code when they are read, so they are never chosen,
and a repository that holds nothing else is refused with that reason.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePosixPath

from ..exceptions import ConfigError, ModelFormatError, ModelNotFoundError
from .gguf_header import part_names

_NOT_LANGUAGE_MODELS = ("mmproj", "imatrix")  # companions of a model that are GGUF files too
_PICKLED = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".h5", ".msgpack")
_TEXTS = (".json", ".jinja", ".model")
_TOKEN_LISTS = ("merges.txt", "vocab.txt")
_STANDARD_WEIGHTS = re.compile(r"model(-\d{5}-of-\d{5})?\.safetensors")
_MOST_SHOWN = 30


def choose_gguf(names: Iterable[str], *, model_name: str) -> tuple[str, ...]:
    """The files of the only GGUF model among `names`, the first part first.

    Raises:
        ModelNotFoundError: there is none.
        ConfigError: there are several; lists them.
    """
    models = complete_models(names)
    if len(models) == 1:
        return models[0]
    if models:
        choices = [f"{model_name}/{model[0]}" for model in models]
        shown = ", ".join(map(repr, choices[:_MOST_SHOWN])) + (", ..." if len(choices) > _MOST_SHOWN else "")
        raise ConfigError("model_name", model_name, f"it holds {len(choices)} models, so name one of {shown}")
    raise ModelNotFoundError(
        f"{model_name!r} holds no complete GGUF model. With backend='transformers' it may hold one for that."
    )


def complete_models(names: Iterable[str]) -> list[tuple[str, ...]]:
    """The GGUF models among `names` of which no part is missing, each as the list of its files."""
    present = {name for name in names if name.endswith(".gguf")}
    models = []
    for name in sorted(present):
        path = PurePosixPath(name)
        if any(word in path.name.lower() for word in _NOT_LANGUAGE_MODELS):
            continue
        parts = tuple(str(path.with_name(part)) for part in part_names(path.name))
        if parts[0] == name and present.issuperset(parts):
            models.append(parts)
    return models


def choose_huggingface(names: Iterable[str], *, model_name: str, trust_remote_code: bool) -> tuple[str, ...]:
    """The files that transformers needs, ``config.json`` last: a folder that has one is whole.

    Raises:
        ModelNotFoundError: this is not a model for transformers.
        ModelFormatError: its weights are there in formats only that are never loaded.
    """
    top = sorted(name for name in names if "/" not in name)
    weights = [name for name in top if name.endswith(".safetensors")]
    standard = [name for name in weights if _STANDARD_WEIGHTS.fullmatch(name)]
    if not weights:
        pickled = [name for name in top if name.endswith(_PICKLED)]
        if pickled:
            raise ModelFormatError(
                f"{model_name!r} holds its weights only as {pickled[0]!r}. Files of that kind can run code when they "
                "are read, so they are never loaded. Take a model with .safetensors files."
            )
        raise ModelNotFoundError(
            f"{model_name!r} holds no .safetensors file. With backend='llama_cpp' it may hold a .gguf file."
        )
    if "config.json" not in top:
        raise ModelNotFoundError(f"{model_name!r} holds no config.json, so it is not a model for transformers.")
    texts = [name for name in top if name.endswith(_TEXTS) or name in _TOKEN_LISTS]
    code = [name for name in top if name.endswith(".py")] if trust_remote_code else []
    return (*code, *(name for name in texts if name != "config.json"), *(standard or weights), "config.json")

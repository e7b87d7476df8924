"""What the folder of an embedding model says about itself, read and checked before any library loads it.

A folder is data: weights are safetensors, the modules are those of sentence-transformers and of no other package, and
nothing names Python code that comes with the model.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ..exceptions import ModelFormatError
from ..hub.huggingface_folder import MAX_JSON_BYTES, check_huggingface_folder

Pooling = Literal["mean", "cls", "other"]

_IDENTIFYING = (".json", ".safetensors", ".txt", ".model")
_MODULE_PATH = re.compile(r"\d+_\w+")
_TRUSTED = "sentence_transformers."
_DEFAULT_MAX_TOKENS = 512


@dataclass(frozen=True, slots=True)
class EmbeddingFolder:
    """A checked folder.

    Attributes:
        path: the folder.
        digest: SHA-256 over all files that decide what the model computes, in hexadecimal.
        architecture: `model_type` of its configuration, such as "bert".
        max_tokens: what is longer is cut off.
        pooling: how tokens become one vector; "other" for whatever we do not compute ourselves.
        query_prompt, document_prompt: what is written before a query and before a text of a document.
        config: the model's configuration.
    """

    path: Path
    digest: str
    architecture: str
    max_tokens: int
    pooling: Pooling
    query_prompt: str
    document_prompt: str
    config: dict[str, object] = field(repr=False)


def read_embedding_folder(path: Path) -> EmbeddingFolder:
    """Look at a folder.

    Raises:
        ModelNotFoundError: it holds no model, or files of it are missing.
        ModelFormatError: it holds what is never loaded.
    """
    check_huggingface_folder(path, trust_remote_code=False)
    modules = _modules(path)
    config = _read_object(path / "config.json")
    query, document = _prompts(path)
    return EmbeddingFolder(
        path=path,
        digest=_digest(path, modules),
        architecture=str(config.get("model_type", "")),
        max_tokens=_max_tokens(path, config),
        pooling=_pooling(path, modules),
        query_prompt=query,
        document_prompt=document,
        config=config,
    )


def file_digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _modules(path: Path) -> list[tuple[str, str]]:
    """Kind and folder of each module, in order; empty where the folder does not say."""
    file = path / "modules.json"
    if not file.exists():
        return []
    content = _read_json(file)
    modules = []
    for module in content if isinstance(content, list) else [None]:
        kind, folder = (module.get("type"), module.get("path")) if isinstance(module, dict) else (None, None)
        if not isinstance(kind, str) or not kind.startswith(_TRUSTED):
            raise ModelFormatError(
                f"{str(file)!r} names a module that is not one of sentence-transformers, so code of others would run. "
                "Take another model."
            )
        if not isinstance(folder, str) or (folder and not _MODULE_PATH.fullmatch(folder)):
            raise ModelFormatError(f"{str(file)!r} names a folder of a module that is not below the model's own.")
        pickled = bool(folder) and (path / folder / "pytorch_model.bin").exists()
        if pickled and not (path / folder / "model.safetensors").is_file():
            raise ModelFormatError(
                f"{str(path / folder)!r} holds weights only as 'pytorch_model.bin'. Files of that kind can run code "
                "when they are read, so they are never loaded. Take a model with .safetensors files."
            )
        modules.append((kind.rpartition(".")[2], folder))
    return modules


def _pooling(path: Path, modules: list[tuple[str, str]]) -> Pooling:
    if not modules:
        return "mean"  # what sentence-transformers makes of a plain model
    kinds = [kind for kind, _ in modules]
    if kinds[:2] != ["Transformer", "Pooling"] or not set(kinds[2:]) <= {"Normalize"}:
        return "other"
    settings = _read_object(path / modules[1][1] / "config.json")
    mode = settings.get("pooling_mode")
    if mode is None:
        chosen = [name for name, value in settings.items() if name.startswith("pooling_mode_") and value is True]
        mode = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls"}.get("".join(chosen))
    return mode if mode in ("mean", "cls") else "other"


def _max_tokens(path: Path, config: dict[str, object]) -> int:
    limits = []
    for file, key in (("sentence_bert_config.json", "max_seq_length"), ("tokenizer_config.json", "model_max_length")):
        if (path / file).exists():
            limits.append(_read_object(path / file).get(key))
    positions = config.get("max_position_embeddings")
    if isinstance(positions, int):
        # The models of the RoBERTa family count positions from behind their padding token.
        limits.append(positions - 2 if "roberta" in str(config.get("model_type")) else positions)
    usable = [limit for limit in limits if isinstance(limit, int) and not isinstance(limit, bool) and limit > 0]
    return min([*usable, 1 << 20]) if usable else _DEFAULT_MAX_TOKENS


def _prompts(path: Path) -> tuple[str, str]:
    file = path / "config_sentence_transformers.json"
    settings = _read_object(file) if file.exists() else {}
    prompts = settings.get("prompts")
    if not isinstance(prompts, dict):
        return "", ""
    default = prompts.get(settings.get("default_prompt_name"), "")
    query = prompts.get("query", default)
    document = next((prompts[name] for name in ("document", "passage", "corpus") if name in prompts), default)
    if not isinstance(query, str) or not isinstance(document, str):
        raise ModelFormatError(f"{str(file)!r} names a prompt that is not a text.")
    return query, document


def _digest(path: Path, modules: list[tuple[str, str]]) -> str:
    folders = {path, *(path / folder for _, folder in modules if folder and (path / folder).is_dir())}
    files = [folder / name for folder in folders for name in os.listdir(folder) if name.endswith(_IDENTIFYING)]
    digest = hashlib.sha256()
    for file in sorted(files):
        digest.update(f"{file.relative_to(path).as_posix()}\0{file_digest(file)}\n".encode())
    return digest.hexdigest()


def _read_json(path: Path) -> object:
    if path.stat().st_size > MAX_JSON_BYTES:
        raise ModelFormatError(f"{str(path)!r} is larger than the {MAX_JSON_BYTES} bytes allowed.")
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError) as exc:
        raise ModelFormatError(f"{str(path)!r} is not JSON text. Download the model again.") from exc


def _read_object(path: Path) -> dict[str, object]:
    try:
        content = _read_json(path)
    except FileNotFoundError as exc:
        raise ModelFormatError(f"{str(path)!r} is missing. Download the model again.") from exc
    if not isinstance(content, dict):
        raise ModelFormatError(f"{str(path)!r} does not hold a JSON object. Download the model again.")
    return content

"""`practorflow models`: which models are here, how another one gets here, and whether it is sound."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import estimate, exit_codes
from .command import Command, Context, add_action, add_actions
from .model_options import add_model_choice, add_model_place, chosen_model
from .output import size

if TYPE_CHECKING:
    from ..llm_config import LLMConfig

_DESCRIPTION = """\
List, fetch, verify and estimate models. A real model instead of the demo one:

  practorflow models fetch bartowski/Qwen2.5-7B-Instruct-GGUF/Qwen2.5-7B-Instruct-Q4_K_M.gguf   (4.7 GB, once)
  LLM_MODEL=bartowski/Qwen2.5-7B-Instruct-GGUF/Qwen2.5-7B-Instruct-Q4_K_M.gguf practorflow chat

A file that was copied here goes into LLM_MODELS_DIR, or is named by its path.
"""


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = add_actions(parser)
    add_model_choice(add_action(actions, "list", "the models in LLM_MODELS_DIR, and the demo model", _list))
    fetch = add_action(
        actions, "fetch", "bring a model from the hub here; goes on where an earlier attempt ended", _fetch
    )
    fetch.add_argument("model", metavar="MODEL", help="owner/repo or owner/repo/file.gguf")
    add_model_place(fetch)
    verify = add_action(actions, "verify", "check a model's files and print their digests", _verify)
    verify.add_argument("model", nargs="?", metavar="MODEL", help="a model on this machine (LLM_MODEL)")
    verify.add_argument("--hub", action="store_true", help="compare the digests with those that the hub publishes")
    add_model_place(verify)
    guess = add_action(actions, "estimate", estimate.COMMAND.help, estimate.COMMAND.run)
    estimate.COMMAND.add_arguments(guess)


def _run(options: argparse.Namespace, context: Context) -> int:
    code: int = options.action(options, context)
    return code


def _config(options: argparse.Namespace, context: Context) -> LLMConfig:
    if getattr(options, "model", None) is not None:
        options.model_name = options.model
    return chosen_model(context.configuration().ModelConfiguration, options)


def _list(options: argparse.Namespace, context: Context) -> int:
    config = _config(options, context)
    folder = Path(config.models_dir).expanduser()
    models = [_demo(), *(_entry(folder, names) for names in _found(folder))]
    for model in models:
        model["configured"] = model["name"] == config.model_name
    if context.output.as_json:
        for model in models:
            context.output.document(model)
        return exit_codes.OK
    context.output.table(
        ("MODEL", "KIND", "SIZE", "ARCHITECTURE", "CONTEXT", ""),
        [
            (
                model["name"],
                model["kind"],
                size(model["bytes"]),
                model["architecture"],
                model["context_length"],
                model["problem"] or ("<- LLM_MODEL" if model["configured"] else ""),
            )
            for model in models
        ],
    )
    if len(models) == 1:
        context.output.note(
            f"{str(folder)!r} holds no models yet. `practorflow models --help` says how one gets there."
        )
    return exit_codes.OK


def _found(folder: Path) -> list[tuple[str, ...]]:
    """Names of the files of each model below a folder; of a Hugging Face folder, its weights and its config."""
    from ..hub.local_models import files_below
    from ..hub.repository import complete_models

    if not folder.is_dir():
        return []
    names = list(files_below(folder))
    weights = sorted(name for name in names if name.endswith(".safetensors"))
    folders = sorted({str(Path(name).parent) for name in weights if str(Path(name).with_name("config.json")) in names})
    transformers = [tuple(name for name in weights if str(Path(name).parent) == place) for place in folders]
    return [*complete_models(names), *transformers]


def _entry(folder: Path, names: tuple[str, ...]) -> dict[str, Any]:
    length = sum((folder / name).stat().st_size for name in names)
    if names[0].endswith(".gguf"):
        return {"name": names[0], "kind": "gguf", "bytes": length, **_header(folder / names[0])}
    place = Path(names[0]).parent
    return {"name": str(place), "kind": "transformers", "bytes": length, **_huggingface(folder / place)}


def _demo() -> dict[str, Any]:
    from ..demo import GGUF_PATH

    return {"name": "demo", "kind": "gguf", "bytes": GGUF_PATH.stat().st_size, **_header(GGUF_PATH)}


def _header(path: Path) -> dict[str, Any]:
    from ..exceptions import ModelFormatError
    from ..hub.gguf_header import check_gguf

    try:
        header = check_gguf(path)
    except ModelFormatError:
        return {"architecture": None, "context_length": None, "problem": "not sound: see `models verify`"}
    return {"architecture": header.architecture, "context_length": header.context_length, "problem": None}


def _huggingface(folder: Path) -> dict[str, Any]:
    import json

    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        facts = {"architecture": config.get("model_type"), "context_length": config.get("max_position_embeddings")}
    except (OSError, ValueError, AttributeError):
        return {"architecture": None, "context_length": None, "problem": "its config.json cannot be read"}
    return {**facts, "problem": None}


def _fetch(options: argparse.Namespace, context: Context) -> int:
    from ..hub.resolve import resolve_model

    config = _config(options, context)
    progress = None if context.output.watched else (lambda _: None)
    model = resolve_model(config, progress=progress)
    if context.output.as_json:
        context.output.document({"model": config.model_name, "path": str(model.path), "kind": model.kind})
    else:
        context.output.line(str(model.path))
    return exit_codes.OK


def _verify(options: argparse.Namespace, context: Context) -> int:
    from ..hub.integrity import check_files
    from ..hub.resolve import resolve_model

    config = _config(options, context)
    model = resolve_model(config, offline=True)
    checks = check_files(model, config, ask_hub=options.hub)
    changed = [check for check in checks if check.same is False]
    if context.output.as_json:
        context.output.document(
            {
                "model": config.model_name,
                "sound": True,
                "files": [
                    {"path": str(one.path), "bytes": one.size, "sha256": one.sha256, "same_as_hub": one.same}
                    for one in checks
                ],
            }
        )
    else:
        words = {True: "as in the hub", False: "NOT as in the hub", None: "sound"}
        context.output.table(
            ("SHA-256", "SIZE", "FILE", ""),
            [(one.sha256, size(one.size), one.path, words[one.same]) for one in checks],
        )
    if changed:
        context.output.note(
            f"{len(changed)} of {len(checks)} files differ from the hub: another revision, or damaged. Remove them and "
            "run `practorflow models fetch`."
        )
        return exit_codes.INCOMPLETE
    return exit_codes.OK


COMMAND = Command("models", "list, fetch, verify, estimate models", _DESCRIPTION, _add_arguments, _run)

"""Whether the files of a model are what they were: their digests, and what the hub says these should be."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from ..exceptions import ConfigError, OfflineError
from ..llm_config import LLMConfig
from .download import Downloader
from .hub_client import HubClient, RemoteFile
from .model_name import hub_location, is_explicit_path, relative_parts
from .policy import download_policy
from .repository import choose_huggingface
from .resolve import ResolvedModel

_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class FileCheck:
    """One file of a model.

    Attributes:
        path: where it is.
        size: its length in bytes.
        sha256: digest of its bytes.
        same: whether the hub has the same file under that name now; None where the hub was not asked or says nothing.
    """

    path: Path
    size: int
    sha256: str
    same: bool | None


def check_files(model: ResolvedModel, config: LLMConfig, *, ask_hub: bool) -> list[FileCheck]:
    """Read every byte of a model.

    Args:
        model: as `resolve_model` returned it, which has checked its header or its folder.
        config: what it was resolved from.
        ask_hub: compare with the hub; only digests come from there.

    Raises:
        ConfigError: the hub cannot know this model, because its name is no hub name.
        OfflineError: the hub would have to be asked, and that is forbidden.
        DownloadError: the hub does not answer.
    """
    root, paths = _files(model, config)
    announced = _announced(config) if ask_hub else {}
    return [_check(path, announced.get(path.relative_to(root).as_posix()), asked=ask_hub) for path in paths]


def _files(model: ResolvedModel, config: LLMConfig) -> tuple[Path, list[Path]]:
    if model.header is not None:
        paths = list(model.header.parts)
        root = model.path.parent
    else:
        root = model.path
        names = choose_huggingface(
            (path.name for path in root.iterdir()),
            model_name=config.model_name,
            trust_remote_code=config.trust_remote_code,
        )
        paths = [root / name for name in names]
    location = None if is_explicit_path(config.model_name) else hub_location(relative_parts(config.model_name))
    if location is not None:
        root = Path(config.models_dir).expanduser().joinpath(*location[0].split("/"))
        if not all(path.is_relative_to(root) for path in paths):
            root = Path(*location[0].split("/"))  # found below the current folder
    return root, paths


def _announced(config: LLMConfig) -> dict[str, RemoteFile]:
    name = config.model_name
    location = None if is_explicit_path(name) else hub_location(relative_parts(name))
    if location is None:
        raise ConfigError("model_name", name, "'owner/repo' or 'owner/repo/file.gguf' to be compared with the hub")
    policy = download_policy()
    if policy.offline:
        raise OfflineError(f"LLM_OFFLINE forbids asking the hub about {name!r}. Set LLM_OFFLINE=0 to compare with it.")
    downloader = Downloader(HubClient(policy.endpoint), report=lambda _: None)
    return {file.name: file for file in downloader.repository(location[0]).files}


def _check(path: Path, announced: RemoteFile | None, *, asked: bool) -> FileCheck:
    size = path.stat().st_size
    sha256 = hashlib.sha256()
    git = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            sha256.update(block)
            git.update(block)
    same: bool | None = None
    if announced is not None and announced.sha256 is not None:
        same = sha256.hexdigest() == announced.sha256
    elif announced is not None and announced.git_sha1 is not None:
        same = git.hexdigest() == announced.git_sha1
    elif asked and announced is None:
        same = False  # the hub has no file of that name
    return FileCheck(path, size, sha256.hexdigest(), same)

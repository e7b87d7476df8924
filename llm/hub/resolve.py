"""From a model's name to files on this machine, downloading them where that is allowed.

    demo                       the model that comes with the package
    a path                     begins with '/', './', '../' or '~/': a .gguf file or a folder
    any other name             below models_dir; else, as it stands, below the current folder
    owner/repo, owner/repo/x   the hub, when nothing of that name is on disk; kept in models_dir/owner/repo

What is on disk is never asked for again. The result has been looked at: a GGUF header that could harm the process, a
folder with pickled weights or Python code of its own is refused here.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from ..exceptions import ConfigError, ModelFormatError, ModelNotFoundError, OfflineError
from ..llm_config import Backend, LLMConfig
from .download import Downloader
from .gguf_header import GGUFHeader, check_gguf, part_names
from .hub_client import HubClient, RemoteFile, RemoteRepository
from .huggingface_folder import check_huggingface_folder
from .local_models import files_below, find_under, require_file_or_folder, require_inside
from .model_lock import check_lock
from .model_name import hub_location, is_explicit_path, relative_parts
from .policy import download_policy
from .progress import ProgressCallback, progress_reporter
from .remote_header import remote_gguf_header
from .repository import choose_gguf, choose_huggingface, complete_models

ModelKind = Literal["gguf", "huggingface"]
DEMO = "demo"


@dataclass(frozen=True, slots=True)
class ResolvedModel:
    """Where a model is.

    Attributes:
        path: the ``.gguf`` file (the first, where there are several) or the Hugging Face folder.
        kind: which of the two.
        header: what the GGUF file says about itself; None for a Hugging Face folder.
    """

    path: Path
    kind: ModelKind
    header: GGUFHeader | None = field(default=None, compare=False, repr=False)


def resolve_model(
    model: LLMConfig | str,
    *,
    backend: Backend | None = None,
    models_dir: str | Path | None = None,
    offline: bool | None = None,
    progress: ProgressCallback | None = None,
) -> ResolvedModel:
    """Find a model on this machine, or bring it here. Blocks while it downloads.

    Args:
        model: a configuration, or a model's name.
        backend: which kind of files to look for; None takes that of the configuration.
        models_dir: where to look and to keep downloads; None takes that of the configuration.
        offline: forbid asking the hub; None follows the process's download policy.
        progress: called while something is downloaded; None shows a bar where standard error is a terminal.

    Raises:
        ConfigError: the name is not one, or names several models.
        ModelNotFoundError: there is no such model.
        ModelFormatError: its files are not safe to load, or not those that models_dir's SHA256SUMS lists.
        OfflineError: it would have to be downloaded, and that is forbidden.
        DownloadError: it could not be downloaded.
    """
    config = model if isinstance(model, LLMConfig) else LLMConfig(model_name=model)
    if backend is not None:
        config = config.replace(backend=backend)
    if models_dir is not None:
        config = config.replace(models_dir=str(models_dir))
    found = _on_disk(config) or _from_hub(config, offline, progress)
    if found.kind == "gguf":
        header = check_gguf(found.path)
        check_lock(_models_dir(config), header.parts)
        return replace(found, header=header)
    check_huggingface_folder(found.path, trust_remote_code=config.trust_remote_code)
    check_lock(_models_dir(config), (found.path / name for name in files_below(found.path)))
    return found


def gguf_header_of(config: LLMConfig) -> GGUFHeader:
    """What a GGUF model says about itself; of one that is not on this machine, only the header is fetched.

    Raises:
        ConfigError, ModelNotFoundError, ModelFormatError, OfflineError, DownloadError: as `resolve_model`.
    """
    found = _on_disk(config)
    if found is not None:
        return check_gguf(found.path)
    repository_name, file = _hub_location(config, None)
    client = HubClient(download_policy().endpoint)
    downloader = Downloader(client, report=lambda _: None)
    repository = downloader.repository(repository_name)
    return remote_gguf_header(client, repository, _choose(config, repository, file))


def _on_disk(config: LLMConfig) -> ResolvedModel | None:
    name = config.model_name
    if name == DEMO:
        return _demo(config)
    if is_explicit_path(name):
        return _local(config, require_file_or_folder(Path(name).expanduser()))
    parts = relative_parts(name)
    for folder in (_models_dir(config), Path()):
        path = find_under(folder, parts)
        # What a download left unfinished is finished by the hub.
        if path is not None and (hub_location(parts) is None or _is_whole(config, path)):
            return _local(config, path)
    return None


def _demo(config: LLMConfig) -> ResolvedModel:
    from ..demo import GGUF_PATH, HF_PATH

    model = ResolvedModel(GGUF_PATH, "gguf") if config.backend == "llama_cpp" else ResolvedModel(HF_PATH, "huggingface")
    if not model.path.exists():
        raise ModelNotFoundError(f"The demo model is not in this installation ({str(model.path)!r} is missing).")
    return model


def _local(config: LLMConfig, path: Path) -> ResolvedModel:
    if config.backend == "transformers":
        if not path.is_dir():
            raise _wrong_kind(config)
        return ResolvedModel(path, "huggingface")
    if path.is_dir():
        if path.name.endswith(".gguf"):
            raise ModelFormatError(f"{str(path)!r} is a folder with the name of a model file, so it is not read.")
        path /= choose_gguf(files_below(path), model_name=config.model_name)[0]
    return ResolvedModel(path.with_name(part_names(path.name)[0]), "gguf")


def _is_whole(config: LLMConfig, path: Path) -> bool:
    if not path.is_dir():
        return all(path.with_name(name).is_file() for name in part_names(path.name))
    if config.backend == "transformers":
        return (path / "config.json").is_file()
    return bool(complete_models(files_below(path)))


def _hub_location(config: LLMConfig, offline: bool | None) -> tuple[str, str | None]:
    """Repository and file in the hub, where asking it is allowed."""
    name = config.model_name
    location = hub_location(relative_parts(name))
    if location is None:
        raise ModelNotFoundError(
            f"There is no model {name!r} in {config.models_dir!r} or the current folder. Give a path, a name below "
            "models_dir, 'owner/repo/file.gguf' or 'owner/repo' of the hub, or 'demo'."
        )
    if download_policy().offline if offline is None else offline:
        raise OfflineError(
            f"{name!r} is not in {config.models_dir!r} and LLM_OFFLINE forbids downloads. Put it there, or set "
            "LLM_OFFLINE=0."
        )
    if location[1] is not None and config.backend == "transformers":
        raise _wrong_kind(config)
    return location


def _from_hub(config: LLMConfig, offline: bool | None, progress: ProgressCallback | None) -> ResolvedModel:
    repository_name, file = _hub_location(config, offline)
    folder = _models_dir(config).joinpath(*repository_name.split("/"))
    with progress_reporter(progress) as report:
        downloader = Downloader(HubClient(download_policy().endpoint), report=report)
        repository = downloader.repository(repository_name)
        chosen = _choose(config, repository, file)
        for remote in chosen:
            require_inside(_models_dir(config), folder.joinpath(*relative_parts(remote.name)))
        downloader.fetch(repository, chosen, folder)
    if config.backend == "transformers":
        return ResolvedModel(folder, "huggingface")
    return ResolvedModel(folder / chosen[0].name, "gguf")


def _choose(config: LLMConfig, repository: RemoteRepository, file: str | None) -> list[RemoteFile]:
    files = {remote.name: remote for remote in repository.files}
    if config.backend == "transformers":
        names = choose_huggingface(files, model_name=config.model_name, trust_remote_code=config.trust_remote_code)
    elif file is None:
        names = choose_gguf(files, model_name=config.model_name)
    else:
        names = next((model for model in complete_models(files) if file in model), ())
        if not names:
            there = ", ".join(repr(model[0]) for model in complete_models(files)) or "none"
            raise ModelNotFoundError(f"{repository.name!r} holds no model {file!r}. There are: {there}.")
    return [files[name] for name in names]


def _models_dir(config: LLMConfig) -> Path:
    return Path(config.models_dir).expanduser()


def _wrong_kind(config: LLMConfig) -> ConfigError:
    return ConfigError(
        "model_name",
        config.model_name,
        "a folder or a repository with backend='transformers'; a .gguf file goes with backend='llama_cpp'",
    )

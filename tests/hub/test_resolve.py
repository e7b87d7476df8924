"""From names to files: on disk first, then from the hub, once."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from llm.exceptions import ConfigError, DownloadError, ModelFormatError, ModelNotFoundError, OfflineError
from llm.hub.policy import DownloadPolicy, download_policy, set_download_policy
from llm.hub.progress import DownloadProgress
from llm.hub.resolve import ResolvedModel, resolve_model
from llm.llm_config import LLMConfig
from llm.testing.hub_stand_in import HubStandIn

GGUFBuilder = Callable[..., Path]

REPOSITORY = "acme/tiny-GGUF"
WEIGHTS = b"\x02\0\0\0\0\0\0\0{}"


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty models_dir, with the current folder elsewhere."""
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    return tmp_path / "models"


@pytest.fixture(autouse=True)
def policy(hub: HubStandIn) -> Iterator[None]:
    """Downloads go to the stand-in."""
    before = download_policy()
    set_download_policy(DownloadPolicy(endpoint=hub.endpoint))
    yield
    set_download_policy(before)


@pytest.fixture
def model(tmp_path: Path, write_gguf: GGUFBuilder) -> bytes:
    """The bytes of a small sound model."""
    return write_gguf(tmp_path / "sound.gguf").read_bytes()


def index_of(file: object) -> dict[str, bytes]:
    return {"model.safetensors.index.json": json.dumps({"weight_map": {"a": file}}).encode()}


def huggingface_files(**config: object) -> dict[str, bytes]:
    return {
        "config.json": json.dumps({"model_type": "qwen2", **config}).encode(),
        "tokenizer.json": b"{}",
        "tokenizer_config.json": b"{}",
        "model.safetensors": WEIGHTS,
    }


def write_folder(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def put(folder: Path, name: str, data: bytes) -> Path:
    return write_folder(folder, {name: data}) / name


def test_the_demo_needs_nothing_but_the_package(hub: HubStandIn, models: Path) -> None:
    """'demo' means the files of the package, one kind for each backend."""
    from llm.demo import GGUF_PATH, HF_PATH

    if not GGUF_PATH.exists() or not HF_PATH.exists():
        pytest.skip("the demo model has not been built in this checkout")
    assert resolve_model("demo", models_dir=models) == ResolvedModel(GGUF_PATH, "gguf")
    assert resolve_model("demo", models_dir=models, backend="transformers") == ResolvedModel(HF_PATH, "huggingface")
    assert hub.requests == []


def test_a_path_is_taken_at_its_word(
    models: Path, tmp_path: Path, model: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Absolute, relative with a dot, and below the home folder."""
    path = put(tmp_path / "elsewhere", "m.gguf", model)
    expected = ResolvedModel(path, "gguf")
    assert resolve_model(str(path), models_dir=models) == expected
    assert resolve_model("../elsewhere/m.gguf", models_dir=models).path.resolve() == path
    monkeypatch.setenv("HOME", str(tmp_path))
    assert resolve_model("~/elsewhere/m.gguf", models_dir=models) == expected


def test_a_path_that_leads_nowhere(models: Path) -> None:
    """The error has the path and never asks the hub."""
    with pytest.raises(ModelNotFoundError, match=r"no model at 'absent\.gguf'|no model at '\./absent"):
        resolve_model("./absent.gguf", models_dir=models)


def test_a_name_is_looked_for_in_models_dir_first(hub: HubStandIn, models: Path, model: bytes) -> None:
    """models_dir, then the current folder."""
    here = put(Path(), "m.gguf", model)
    assert resolve_model("m.gguf", models_dir=models).path == here
    kept = put(models, "m.gguf", model)
    assert resolve_model("m.gguf", models_dir=models).path == kept
    assert hub.requests == []


def test_a_configuration_says_it_all(models: Path, model: bytes) -> None:
    """Given a configuration, nothing else is needed; a keyword overrides it."""
    kept = put(models, "m.gguf", model)
    resolved = resolve_model(LLMConfig(model_name="m.gguf", models_dir=str(models)))
    assert resolved.path == kept
    assert resolved.header is not None
    assert resolved.header.block_count == 2
    config = LLMConfig(model_name="m.gguf", models_dir="elsewhere")
    assert resolve_model(config, models_dir=models).path == kept


def test_a_file_is_downloaded_once(hub: HubStandIn, models: Path, model: bytes) -> None:
    """The second time there is not a single request, and none is needed offline."""
    hub.repositories[REPOSITORY] = {"tiny-Q4.gguf": model, "tiny-Q8.gguf": b"other", "README.md": b"hello"}
    name = f"{REPOSITORY}/tiny-Q4.gguf"
    first = resolve_model(name, models_dir=models)
    assert first == ResolvedModel(models / name, "gguf")
    asked = len(hub.requests)
    assert resolve_model(name, models_dir=models) == first
    assert resolve_model(name, models_dir=models, offline=True) == first
    assert resolve_model(REPOSITORY, models_dir=models) == first
    assert len(hub.requests) == asked
    assert [path.name for path in models.rglob("*") if path.is_file()] == ["tiny-Q4.gguf"]


def test_a_repository_with_one_model_needs_no_file_name(hub: HubStandIn, models: Path, model: bytes) -> None:
    """Companions of a model that are GGUF files too are not counted."""
    hub.repositories[REPOSITORY] = {"tiny.gguf": model, "mmproj-tiny.gguf": b"x", "imatrix_tiny.gguf": b"x"}
    assert resolve_model(REPOSITORY, models_dir=models).path == models / REPOSITORY / "tiny.gguf"


def test_a_repository_with_several_models_asks_which(hub: HubStandIn, models: Path, model: bytes) -> None:
    """The error lists the names that can be written instead, and nothing was downloaded."""
    hub.repositories[REPOSITORY] = {"tiny-Q4.gguf": model, "big/tiny-Q8.gguf": model}
    with pytest.raises(ConfigError) as caught:
        resolve_model(REPOSITORY, models_dir=models)
    assert "'acme/tiny-GGUF/big/tiny-Q8.gguf', 'acme/tiny-GGUF/tiny-Q4.gguf'" in str(caught.value)
    assert hub.file_requests == []
    chosen = resolve_model(f"{REPOSITORY}/big/tiny-Q8.gguf", models_dir=models)
    assert chosen.path == models / REPOSITORY / "big" / "tiny-Q8.gguf"


def test_a_file_that_is_not_there_is_answered_with_those_that_are(hub: HubStandIn, models: Path, model: bytes) -> None:
    """A misspelt quantization is mended from the message alone."""
    hub.repositories[REPOSITORY] = {"tiny-Q4.gguf": model}
    with pytest.raises(ModelNotFoundError, match=r"no model 'tiny-Q5\.gguf'\. There are: 'tiny-Q4\.gguf'"):
        resolve_model(f"{REPOSITORY}/tiny-Q5.gguf", models_dir=models)


def test_a_model_in_several_files_comes_with_all_of_them(
    hub: HubStandIn, models: Path, tmp_path: Path, write_gguf: GGUFBuilder
) -> None:
    """Whichever part is named, all are downloaded and the first is returned; a missing one is fetched again."""
    (tmp_path / "made").mkdir()
    write_gguf(tmp_path / "made" / "m.gguf", split_max_tensors=12)
    files = {path.name: path.read_bytes() for path in (tmp_path / "made").iterdir()}
    assert len(files) == 3
    hub.repositories[REPOSITORY] = files
    first = resolve_model(f"{REPOSITORY}/m-00002-of-00003.gguf", models_dir=models)
    assert first.path == models / REPOSITORY / "m-00001-of-00003.gguf"
    assert len(hub.file_requests) == 3
    (models / REPOSITORY / "m-00003-of-00003.gguf").unlink()
    assert resolve_model(REPOSITORY, models_dir=models) == first
    assert [name for name, _ in hub.file_requests[3:]] == ["m-00003-of-00003.gguf"]


def test_a_repository_that_lacks_a_part_is_refused(hub: HubStandIn, models: Path) -> None:
    """An upload that is not finished is not a model."""
    hub.repositories[REPOSITORY] = {"m-00001-of-00002.gguf": b"x"}
    with pytest.raises(ModelNotFoundError, match="holds no complete GGUF model"):
        resolve_model(REPOSITORY, models_dir=models)


def test_an_interrupted_download_is_continued_by_the_next_call(hub: HubStandIn, models: Path, model: bytes) -> None:
    """What arrived before Ctrl-C is not asked for again."""
    hub.repositories[REPOSITORY] = {"m.gguf": model}
    hub.cuts = [1000]

    def stop(progress: DownloadProgress) -> None:
        if progress.received:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        resolve_model(REPOSITORY, models_dir=models, progress=stop)
    seen: list[DownloadProgress] = []
    resolve_model(REPOSITORY, models_dir=models, progress=seen.append)
    assert hub.file_requests == [("m.gguf", ""), ("m.gguf", "bytes=1000-")]
    assert (seen[0].received, seen[-1].received) == (1000, len(model))


def test_offline_forbids_every_request(hub: HubStandIn, models: Path) -> None:
    """The policy of the process, or the argument of one call; the message names the variable."""
    hub.repositories[REPOSITORY] = {"m.gguf": b"x"}
    with pytest.raises(OfflineError, match=r"'acme/tiny-GGUF' is not in .* LLM_OFFLINE forbids downloads"):
        resolve_model(REPOSITORY, models_dir=models, offline=True)
    set_download_policy(DownloadPolicy(offline=True, endpoint=hub.endpoint))
    for backend in ("llama_cpp", "transformers"):
        with pytest.raises(OfflineError):
            resolve_model(REPOSITORY, models_dir=models, backend=backend)  # type: ignore[arg-type]
    assert hub.requests == []


def test_a_damaged_download_is_never_returned(hub: HubStandIn, models: Path, model: bytes) -> None:
    """A file that arrives with another digest is an error, and the next call is not fooled by it."""
    hub.repositories[REPOSITORY] = {"m.gguf": model}
    hub.corrupt = True
    with pytest.raises(DownloadError, match="arrived damaged"):
        resolve_model(REPOSITORY, models_dir=models)
    hub.corrupt = False
    assert resolve_model(REPOSITORY, models_dir=models).path.read_bytes() == model


def test_a_file_that_is_no_model_is_refused_wherever_it_comes_from(hub: HubStandIn, models: Path) -> None:
    """The header is checked on disk and after a download alike."""
    hub.repositories[REPOSITORY] = {"m.gguf": b"<html>" * 100}
    for name in (REPOSITORY, str(put(models, "page.gguf", b"<html>" * 100)), "page.gguf"):
        with pytest.raises(ModelFormatError, match="does not begin with 'GGUF'"):
            resolve_model(name, models_dir=models)


def test_hostile_names_in_a_listing_write_nothing(hub: HubStandIn, models: Path, tmp_path: Path) -> None:
    """A hub cannot place files outside models_dir."""
    for hostile in ("../../../evil.gguf", "/evil.gguf", "a/../../evil.gguf", "..\\evil.gguf", "a\nb.gguf"):
        hub.repositories[REPOSITORY] = {hostile: b"x"}
        with pytest.raises(ConfigError):
            resolve_model(REPOSITORY, models_dir=models)
    assert not list(tmp_path.rglob("*evil*"))
    assert hub.file_requests == []


def test_a_link_below_models_dir_is_not_written_through(
    hub: HubStandIn, models: Path, tmp_path: Path, model: bytes
) -> None:
    """A download does not leave models_dir through a link somebody put there."""
    hub.repositories[REPOSITORY] = {"m.gguf": model}
    (tmp_path / "outside").mkdir()
    models.mkdir()
    (models / "acme").symlink_to(tmp_path / "outside")
    with pytest.raises(ModelFormatError, match="leads out of"):
        resolve_model(REPOSITORY, models_dir=models)
    assert list((tmp_path / "outside").iterdir()) == []


def test_a_model_for_transformers_is_downloaded_without_its_ballast(hub: HubStandIn, models: Path) -> None:
    """Texts and safetensors are taken; pickles, code, other frameworks, pictures and doubled weights are not."""
    wanted = {
        **huggingface_files(),
        "chat_template.jinja": b"{}",
        "merges.txt": b"",
        "tokenizer.model": b"x",
    }
    ballast = {
        "pytorch_model.bin": b"x",
        "consolidated.safetensors": b"x",
        "modeling_evil.py": b"x",
        "original/model.safetensors": b"x",
        "onnx/model.onnx": b"x",
        "README.md": b"x",
        "picture.png": b"x",
    }
    hub.repositories["acme/tiny"] = {**ballast, **wanted}
    resolved = resolve_model("acme/tiny", backend="transformers", models_dir=models)
    assert resolved == ResolvedModel(models / "acme" / "tiny", "huggingface")
    assert {path.name for path in resolved.path.rglob("*")} == set(wanted)
    asked = len(hub.requests)
    assert resolve_model("acme/tiny", backend="transformers", models_dir=models, offline=True) == resolved
    assert len(hub.requests) == asked


def test_a_folder_is_whole_when_its_configuration_is_there(hub: HubStandIn, models: Path) -> None:
    """config.json comes last, so that a download that broke off before is continued and not loaded."""
    hub.repositories["acme/tiny"] = huggingface_files()

    def stop(progress: DownloadProgress) -> None:
        if progress.file == "model.safetensors" and progress.received:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        resolve_model("acme/tiny", backend="transformers", models_dir=models, progress=stop)
    assert not (models / "acme" / "tiny" / "config.json").exists()
    resolve_model("acme/tiny", backend="transformers", models_dir=models)
    assert hub.file_requests[-1][0] == "config.json"


FOLDERS: dict[str, tuple[dict[str, bytes], type[Exception], str]] = {
    "pickles alone": (
        {"config.json": b"{}", "pytorch_model.bin": b"x"},
        ModelFormatError,
        r"only as 'pytorch_model\.bin'.*can run code.*never loaded",
    ),
    "no weights": ({"config.json": b"{}"}, ModelNotFoundError, r"no \.safetensors file"),
    "no configuration": ({"model.safetensors": WEIGHTS}, ModelNotFoundError, r"no config\.json"),
    "code of its own": (
        huggingface_files(auto_map={"AutoModel": "evil.Model"}),
        ModelFormatError,
        r"names Python code .* set trust_remote_code",
    ),
    "a tokenizer with code": (
        {**huggingface_files(), "tokenizer_config.json": b'{"auto_map": {}}'},
        ModelFormatError,
        "tokenizer_config.json' names Python code",
    ),
    "a configuration that is no JSON": (
        {**huggingface_files(), "config.json": b"{"},
        ModelFormatError,
        "not JSON text",
    ),
    "a configuration that is too deep": (
        {**huggingface_files(), "config.json": b"[" * 200_000},
        ModelFormatError,
        "not JSON text",
    ),
    "a configuration that is a list": ({**huggingface_files(), "config.json": b"[]"}, ModelFormatError, "JSON object"),
    "a missing part": (
        {**huggingface_files(), **index_of("model-00001-of-00002.safetensors")},
        ModelNotFoundError,
        r"lacks 1 of its weight files, the first of them 'model-00001",
    ),
    "an index that leads out": (
        {**huggingface_files(), **index_of("../../secret")},
        ModelNotFoundError,
        r"lacks 1 of its weight files",
    ),
    "an index of nothing": ({**huggingface_files(), **index_of(1)}, ModelFormatError, "in which file each weight is"),
}


@pytest.mark.parametrize(("files", "error", "reason"), FOLDERS.values(), ids=FOLDERS)
def test_a_folder_that_is_not_loaded(
    models: Path, files: dict[str, bytes], error: type[Exception], reason: str
) -> None:
    """Broken, incomplete and hostile folders are refused before transformers sees them."""
    folder = write_folder(models / "folder", files)
    with pytest.raises(error, match=reason):
        resolve_model(str(folder), backend="transformers", models_dir=models)


def test_weights_must_be_regular_files(models: Path) -> None:
    """A link to nothing in a folder is found before it is opened."""
    folder = write_folder(models / "folder", huggingface_files())
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors").symlink_to("nowhere")
    with pytest.raises(ModelFormatError, match="not a regular file"):
        resolve_model(str(folder), backend="transformers", models_dir=models)


def test_code_is_allowed_by_those_who_trust_it(hub: HubStandIn, models: Path) -> None:
    """With trust_remote_code the code is fetched along, and the folder passes."""
    files = {**huggingface_files(auto_map={"AutoModel": "custom.Model"}), "custom.py": b"pass"}
    hub.repositories["acme/custom"] = files
    config = LLMConfig(model_name="acme/custom", backend="transformers", models_dir=str(models), trust_remote_code=True)
    assert (resolve_model(config).path / "custom.py").exists()
    with pytest.raises(ModelFormatError, match="trust_remote_code"):
        resolve_model(config.replace(trust_remote_code=False))


def test_kinds_and_backends_that_do_not_fit_are_explained(hub: HubStandIn, models: Path, model: bytes) -> None:
    """A file for the one backend and a folder for the other, with the way out."""
    put(models, "m.gguf", model)
    with pytest.raises(ConfigError, match="a folder or a repository with backend='transformers'"):
        resolve_model("m.gguf", backend="transformers", models_dir=models)
    hub.repositories[REPOSITORY] = {"x.gguf": model}
    with pytest.raises(ConfigError, match="goes with backend='llama_cpp'"):
        resolve_model(f"{REPOSITORY}/x.gguf", backend="transformers", models_dir=models)
    with pytest.raises(ModelNotFoundError, match=r"it may hold a \.gguf file"):
        resolve_model(REPOSITORY, backend="transformers", models_dir=models)
    folder = write_folder(models / "folder", huggingface_files())
    with pytest.raises(ModelNotFoundError, match="With backend='transformers' it may"):
        resolve_model(str(folder), models_dir=models)


def test_a_name_that_means_nothing_is_explained(hub: HubStandIn, models: Path) -> None:
    """No such file, and not a name of the hub: the error lists the forms that there are."""
    with pytest.raises(ModelNotFoundError, match=r"no model 'absent' .*'owner/repo/file\.gguf'.*'demo'"):
        resolve_model("absent", models_dir=models)
    assert hub.requests == []


def test_a_policy_is_checked_when_it_is_made() -> None:
    """A bad address is noticed before the first download."""
    for endpoint in ("mirror.example.org", "file:///etc", "http://", "https://x/?q=1", "http://x:99999"):
        with pytest.raises(ConfigError, match="endpoint="):
            DownloadPolicy(endpoint=endpoint)
    with pytest.raises(ConfigError, match="offline="):
        DownloadPolicy(offline="yes")  # type: ignore[arg-type]

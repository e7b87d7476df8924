"""Names that could lead out of models_dir are refused before anything is opened."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from llm.exceptions import ConfigError, LLMError, ModelFormatError, ModelNotFoundError
from llm.hub.model_name import hub_location, is_explicit_path, relative_parts
from llm.hub.resolve import resolve_model

HOSTILE = [
    "a/../b",
    "a/..",
    "..a/../b",
    "a/../../etc/passwd",
    "owner/../../../etc/passwd",
    "owner/repo/../../../../etc/passwd.gguf",
    "a/./b",
    "a/.",
    "a//b",
    "a/",
    "owner/repo/",
    "owner//file.gguf",
    "~root/model.gguf",
    "~user",
    "a/~/b",
    "a\\b",
    "..\\..\\windows\\system32",
    "a/..\\..\\b",
    "C:\\models\\x.gguf",
    "C:/models/x.gguf",
    "c:x.gguf",
    "\\\\server\\share\\x.gguf",
    "file:///etc/passwd",
    "https://example.org/x.gguf",
    "http:x",
    "a:stream",
    "x.gguf:Zone.Identifier",
    "a\nb",
    "a\r\nb",
    "a\tb",
    "a\x1b[31mb",
    "a\x7fb",
    "a\x01",
    "\x85a",
    "a\u202egguf.x",
    "a\u2066b",
    "a\u200bb",
    "a\u200e/b",
    "a\ufeffb",
    "a\ud800b",
    "a\ue000b",
    "a\U000e0041b",
    " a",
    "a ",
    "a/ b",
    "a /b",
    " /etc/passwd",
    " ../x",
    "a/\u00a0",
    "\u3000a",
    "a" * 300,
    "a/" + "b" * 300,
    "ä" * 200,
    "a/" * 600 + "b",
    "owner/repo/..",
    "owner/..",
    "owner/.",
    "demo/..",
    "demo/../demo",
    "models/../models/x.gguf",
    "a/b/../../../../../../dev/zero",
    "a/b/c/..",
    ".../..",
]


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_name_is_refused(name: str) -> None:
    """Each is an error about the setting, and none is taken for a path or a repository."""
    assert not is_explicit_path(name)
    with pytest.raises(ConfigError, match="model_name="):
        relative_parts(name)


@contextmanager
def watching_opens(seen: list[str]) -> Iterator[None]:
    """Collect the paths that this process opens; hooks cannot be removed, so this one is switched off."""
    watching = True

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if watching and event in ("open", "os.listdir", "os.scandir"):
            seen.append(os.fsdecode(arguments[0]) if isinstance(arguments[0], (str, bytes)) else repr(arguments[0]))

    sys.addaudithook(hook)
    try:
        yield
    finally:
        watching = False


def test_hostile_names_open_nothing(tmp_path: Path) -> None:
    """Not one file or folder is opened for any of them, whatever the backend."""
    assert len(HOSTILE) >= 60
    seen: list[str] = []
    with watching_opens(seen):
        for name in HOSTILE:
            for backend in ("llama_cpp", "transformers"):
                with pytest.raises(LLMError):
                    resolve_model(name, backend=backend, models_dir=tmp_path, offline=True)  # type: ignore[arg-type]
    assert [path for path in seen if not path.endswith((".py", ".pyc"))] == []


def test_a_zero_byte_is_refused_with_the_configuration(tmp_path: Path) -> None:
    """It never gets as far as a path."""
    with pytest.raises(ConfigError, match="model_name="):
        resolve_model("a\0b", models_dir=tmp_path)


@pytest.mark.parametrize(
    "name",
    [
        "x",
        "x.gguf",
        "owner/repo",
        "Qwen2.5-7B-Instruct-Q4_K_M.gguf",
        "naïve/文.gguf",
        "a b/c",
        "...",
        "%2e%2e/x",
        "-rf",
    ],
)
def test_an_ordinary_name_is_taken_as_it_is(name: str) -> None:
    """Unusual is not hostile: what stays below the folder is allowed."""
    assert "/".join(relative_parts(name)) == name


@pytest.mark.parametrize("name", ["/x.gguf", "./x.gguf", "../x.gguf", "~/x.gguf", ".", "..", "~"])
def test_a_path_says_that_it_is_one(name: str) -> None:
    """Only these beginnings lead out of models_dir, by the operator's own words."""
    assert is_explicit_path(name)


@pytest.mark.parametrize(
    ("name", "location"),
    [
        ("owner/repo", ("owner/repo", None)),
        ("owner/repo/file.gguf", ("owner/repo", "file.gguf")),
        ("owner/repo/Q4/file-00001-of-00002.gguf", ("owner/repo", "Q4/file-00001-of-00002.gguf")),
        ("file.gguf", None),
        ("models/file.gguf", None),
        ("owner/repo/file.bin", None),
        ("ow ner/repo", None),
        ("owner/rëpo", None),
        ("-owner/repo", None),
        ("owner/repo?x=1", None),
        ("o" * 97 + "/repo", None),
    ],
)
def test_what_a_name_means_in_the_hub(name: str, location: tuple[str, str | None] | None) -> None:
    """Two parts are a repository, more are a file in it, and anything else is no name of the hub."""
    assert hub_location(relative_parts(name)) == location


@pytest.fixture
def models_dir(tmp_path: Path) -> Path:
    """A models_dir full of traps, with a file outside that must not be read."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.gguf").write_bytes(b"GGUF")
    models = tmp_path / "models"
    models.mkdir()
    (models / "link.gguf").symlink_to(tmp_path / "outside" / "secret.gguf")
    (models / "linked").symlink_to(tmp_path / "outside")
    (models / "circle.gguf").symlink_to("circle.gguf")
    (models / "zero.gguf").symlink_to("/dev/zero")
    (models / "dangling.gguf").symlink_to(models / "nowhere")
    (models / "folder.gguf").mkdir()
    os.mkfifo(models / "pipe.gguf")
    (models / "nested").mkdir()
    (models / "nested" / "up.gguf").symlink_to("../../outside/secret.gguf")
    return models


TRAPS = {
    "link.gguf": "leads out of",
    "linked/secret.gguf": "leads out of",
    "linked": "leads out of",
    "circle.gguf": "leads back to itself",
    "zero.gguf": "leads out of",
    "folder.gguf": "a folder with the name of a model file",
    "pipe.gguf": "neither a file nor a folder",
    "nested/up.gguf": "leads out of",
}


@pytest.mark.parametrize(("name", "reason"), TRAPS.items(), ids=TRAPS)
def test_a_trap_in_models_dir_is_refused_and_nothing_outside_is_opened(
    models_dir: Path, name: str, reason: str
) -> None:
    """Links that lead out, pipes, devices and folders in disguise: each a ModelFormatError at once."""
    seen: list[str] = []
    with watching_opens(seen), pytest.raises(ModelFormatError, match=reason):
        resolve_model(name, models_dir=models_dir, offline=True)
    assert [path for path in seen if "outside" in path or path.startswith("/dev")] == []


def test_a_link_to_nothing_is_no_model(models_dir: Path) -> None:
    """What is not there is not there, link or not."""
    with pytest.raises(ModelNotFoundError, match="There is no model at"):
        resolve_model("dangling.gguf", models_dir=models_dir, offline=True)

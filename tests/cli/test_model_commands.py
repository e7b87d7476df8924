"""models and estimate: on disk, and against a hub on this machine."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from llm.cli import exit_codes
from llm.cli.estimate import guide, guide_table
from llm.demo import GGUF_PATH
from llm.hub.gguf_header import check_gguf
from llm.hub.gguf_memory import gguf_memory
from llm.hub.model_shapes import SIZES, shape_of_size
from llm.testing.hub_stand_in import HubStandIn, running_hub

from .conftest import Practorflow

ROOT = Path(__file__).parents[2]
MODEL = "acme/tiny-GGUF/tiny.gguf"


@pytest.fixture
def hub() -> Iterator[HubStandIn]:
    """A hub that has the demo model's file under another name."""
    with running_hub() as stand_in:
        stand_in.repositories["acme/tiny-GGUF"] = {"tiny.gguf": GGUF_PATH.read_bytes()}
        yield stand_in


def test_an_empty_folder_lists_the_demo_model(practorflow: Practorflow) -> None:
    """And says how others get there."""
    result = practorflow("models", "list")
    assert result.out.split("\t")[:2] == ["demo", "gguf"]
    assert "holds no models yet" in result.err


def test_a_model_is_fetched_listed_verified_and_used(practorflow: Practorflow, hub: HubStandIn) -> None:
    """The way from the hub to an answer."""
    settings = {"LLM_HUB_ENDPOINT": hub.endpoint}
    fetched = practorflow("models", "fetch", MODEL, **settings)
    assert fetched.out == f"models/{MODEL}\n"
    names = [json.loads(line)["name"] for line in practorflow("models", "list", "--json").out.splitlines()]
    assert names == ["demo", MODEL]
    verified = json.loads(practorflow("models", "verify", MODEL, "--hub", "--json", **settings).out)
    assert [file["same_as_hub"] for file in verified["files"]] == [True]
    asked = len(hub.requests)
    answer = practorflow("ask", "What is Python?", "--model", MODEL, "--quiet", **settings)
    assert "programming language" in answer.out
    assert len(hub.requests) == asked


def test_a_file_that_differs_from_the_hub_is_noticed(practorflow: Practorflow, hub: HubStandIn) -> None:
    """A changed byte behind the header, which no look at the header can see."""
    settings = {"LLM_HUB_ENDPOINT": hub.endpoint}
    path = Path(practorflow("models", "fetch", MODEL, **settings).out.strip())
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    assert practorflow("models", "verify", MODEL).code == exit_codes.OK
    compared = practorflow("models", "verify", MODEL, "--hub", **settings)
    assert compared.code == exit_codes.INCOMPLETE
    assert "NOT as in the hub" in compared.out


def test_nothing_is_asked_where_that_is_forbidden(practorflow: Practorflow, hub: HubStandIn) -> None:
    """fetch, verify and estimate each say that LLM_OFFLINE forbids it."""
    settings = {"LLM_HUB_ENDPOINT": hub.endpoint, "LLM_OFFLINE": "1"}
    for arguments in (("models", "fetch", MODEL), ("estimate", MODEL), ("models", "verify", MODEL)):
        result = practorflow(*arguments, **settings)
        assert (result.code, result.out) == (exit_codes.NOT_FOUND, "")
    assert hub.requests == []


def test_a_damaged_file_is_refused_by_verify_and_marked_in_the_list(practorflow: Practorflow, tmp_path: Path) -> None:
    """One bad file does not hide the others."""
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "bad.gguf").write_bytes(b"not a model, but long enough to be looked at")
    verified = practorflow("models", "verify", "bad.gguf")
    assert (verified.code, "does not begin with 'GGUF'" in verified.err) == (exit_codes.FAILED, True)
    rows = [json.loads(line) for line in practorflow("models", "list", "--json").out.splitlines()]
    assert [(row["name"], bool(row["problem"])) for row in rows] == [("demo", False), ("bad.gguf", True)]


def test_the_estimate_is_the_formula(practorflow: Practorflow) -> None:
    """Term by term what the pool reckons with before it loads."""
    shown = json.loads(practorflow("estimate", "--contexts", "1024,4096", "--json").out)
    header = check_gguf(GGUF_PATH)
    for row in shown["estimates"]:
        expected = gguf_memory(header, row["n_ctx"], sequences=32)
        assert (row["weights"], row["key_value"], row["compute"], row["output"], row["total"]) == (
            expected.weights, expected.key_value, expected.compute, expected.output, expected.total,
        )  # fmt: skip
    assert [row["n_ctx"] for row in shown["estimates"]] == [1024, 4096]


def test_an_estimate_of_a_model_in_the_hub_fetches_its_header_only(practorflow: Practorflow, hub: HubStandIn) -> None:
    """The figures are those of the whole file, and nothing stays on disk."""
    here = json.loads(practorflow("estimate", "--json").out)["estimates"]
    there = json.loads(practorflow("estimate", MODEL, "--json", LLM_HUB_ENDPOINT=hub.endpoint).out)["estimates"]
    assert here == there
    assert not Path("models").exists()


@pytest.mark.parametrize("size", SIZES)
def test_a_named_size_has_about_so_many_parameters(size: str) -> None:
    """Within a tenth: the name is a round number."""
    parameters = shape_of_size(size).parameters
    assert parameters == pytest.approx(float(size[:-1]) * 1e9, rel=0.1)


def test_what_cannot_be_estimated_is_said(practorflow: Practorflow) -> None:
    """Unknown sizes and quantizations that belong to a file are mistakes with a way out."""
    for arguments, words in (
        (("8B",), "one of 1.5B, 3B, 7B"),
        (("demo", "--quantization", "Q8_0"), "for a size such as 7B"),
        (("--contexts", "many"), "whole numbers from 16"),
    ):
        result = practorflow("estimate", *arguments)
        assert (result.code, words in result.err) == (exit_codes.USAGE, True)


def test_the_guide_is_printed_as_markdown(practorflow: Practorflow) -> None:
    """Row by row the formula; more context never takes less."""
    printed = practorflow("estimate", "--guide").out.splitlines()
    contexts = (4096, 8192, 32768)
    assert printed == guide_table(contexts, guide(contexts))
    assert all(row["totals"] == sorted(row["totals"]) for row in guide(contexts))


def test_a_folder_of_models_that_cannot_be_listed_is_not_called_empty(
    practorflow: Practorflow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever may not read it learns that, and not that there are no models."""
    (tmp_path / "closed").mkdir()

    def refuse(path: str) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", path)

    with monkeypatch.context() as patched:
        patched.setattr(os, "scandir", refuse)
        result = practorflow("models", "list", "--models-dir", "closed")
    assert (result.code, result.out) == (exit_codes.NOT_FOUND, "")
    assert "'closed' cannot be listed: Permission denied" in result.err

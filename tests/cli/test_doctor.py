"""The doctor finds what is wrong and is never felled by it."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

import pytest

from llm.cli import accelerators, exit_codes
from llm.cli.installation import FEATURES, Feature, installed_version, missing

from .conftest import Practorflow

ROOT = Path(__file__).parents[2]


def names_in(block: str) -> set[str]:
    return {re.split(r"[\[<>=]", text)[0].lower() for text in re.findall(r'"([^"]+)"', block)}


def test_the_table_of_features_is_that_of_pyproject() -> None:
    """Whatever the package needs by itself, and each extra that a user may install."""
    text = (ROOT / "pyproject.toml").read_text()
    required = re.search(r"^dependencies = \[(.*?)^\]", text, re.M | re.S)
    assert required is not None
    plain = {name.lower() for feature in FEATURES if not feature.extra for name in feature.distributions}
    assert plain == names_in(required[1])
    for feature in FEATURES:
        if feature.extra:
            extra = re.search(rf"^{feature.extra} = \[(.*?)\]$", text, re.M)
            assert extra is not None, feature.extra
            assert set(feature.distributions) == names_in(f"{extra[1]}]".replace("[binary]", ""))


def test_a_sound_installation_is_found_sound(practorflow: Practorflow) -> None:
    """Backends are asked, the configured model is looked at, and the code is 0."""
    result = practorflow("doctor", "--json")
    findings = {finding["subject"]: finding for finding in json.loads(result.out)["findings"]}
    assert findings["llama.cpp"]["verdict"] == "ok"
    assert findings["model 'demo'"]["verdict"] == "ok"
    assert (result.code, json.loads(result.out)["sound"]) == (exit_codes.OK, True)


def test_settings_that_cannot_be_read_are_a_finding(practorflow: Practorflow) -> None:
    """The variable is named, and the rest of the examination has been done."""
    result = practorflow("doctor", "--quick", "--json", LLM_TEMPERATURE="9")
    findings = json.loads(result.out)["findings"]
    assert result.code == exit_codes.INCOMPLETE
    assert (findings[-1]["subject"], findings[-1]["verdict"]) == ("settings", "problem")
    assert "LLM_TEMPERATURE" in findings[-1]["cure"]


def test_a_model_that_is_not_there_is_a_finding_with_a_cure(practorflow: Practorflow) -> None:
    """Nothing is downloaded to find that out."""
    result = practorflow("doctor", "--quick", LLM_MODEL="acme/tiny-GGUF/tiny.gguf")
    assert result.code == exit_codes.INCOMPLETE
    assert "models fetch" in next(line for line in result.out.splitlines() if "acme/tiny" in line)


def test_a_model_that_does_not_fit_is_a_problem(practorflow: Practorflow) -> None:
    """Sixteen million tokens of memory do not fit any machine that runs this test."""
    result = practorflow("doctor", "--quick", LLM_N_CTX=str(1 << 24))
    assert "Lower LLM_N_CTX" in result.out


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_a_backend_that_crashes_is_an_answer() -> None:
    """Built for another processor: the signal is named and the doctor lives."""
    answer = accelerators._answer(accelerators._start("import os; os.abort()"))
    assert answer.facts == {}
    assert "died of signal 6" in answer.failure


def test_a_backend_that_cannot_be_imported_is_an_answer() -> None:
    """Its own words are passed on."""
    answer = accelerators._answer(accelerators._start("import surely_not_installed"))
    assert "surely_not_installed" in answer.failure


def test_what_is_not_installed_is_named() -> None:
    """Only that, and nothing is imported to find out."""
    feature = Feature("for this test", "", ("numpy", "surely-not-installed"))
    assert missing(feature) == ["surely-not-installed"]
    assert installed_version("surely-not-installed") is None


def test_places_that_cannot_be_written_to_are_findings(
    practorflow: Practorflow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the first conversation or document is lost there; a place that is not made yet counts as what is above."""
    with monkeypatch.context() as patched:
        patched.setattr(os, "access", lambda place, _: Path(place) != tmp_path)
        result = practorflow(
            "doctor",
            "--quick",
            "--json",
            SESSION_DATABASE_URL="sqlite:///new/sessions.db",
            KB_CHROMA_PERSIST_DIRECTORY="chroma",
        )
    cures = {
        finding["subject"]: finding["cure"]
        for finding in json.loads(result.out)["findings"]
        if "cannot be written to" in finding["found"]
    }
    assert result.code == exit_codes.OK
    assert "SESSION_DATABASE_URL" in cures["sessions"]
    assert "KB_CHROMA_PERSIST_DIRECTORY" in cures["documents"]
    sound = json.loads(practorflow("doctor", "--quick", "--json").out)["findings"]
    assert not any("cannot be written to" in finding["found"] for finding in sound)

"""`verify-offline` prints the report of the proof, and its exit code is the verdict."""

from __future__ import annotations

import json

import pytest

from llm.cli import exit_codes
from llm.lockdown import can_lock_down

from .conftest import Practorflow


@pytest.mark.soak
def test_the_report_is_printed(practorflow: Practorflow) -> None:
    """As JSON, without privileges: the same workflow, search included, and a control that gets no socket."""
    result = practorflow("verify-offline", "--seconds", "0", "--method", "seccomp", "--json")
    if not can_lock_down():
        assert result.code == exit_codes.FAILED
        return
    assert result.code == exit_codes.OK, result.err
    report = json.loads(result.out)
    assert report["passed"] is True
    assert report["method"] == "seccomp"
    assert "search" in [step["step"] for step in report["steps"]]
    assert all(outcome.startswith("no ") for attempts in report["control"] for outcome in attempts.values())


def test_seconds_are_checked_before_anything_runs(practorflow: Practorflow) -> None:
    """A nonsensical time is a mistake of the command line."""
    assert practorflow("verify-offline", "--seconds", "-1").code == exit_codes.USAGE
    assert practorflow("verify-offline", "--seconds", "nan").code == exit_codes.USAGE

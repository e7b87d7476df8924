"""Recorded outputs of well-known models, where they stand beside the checkout."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RECORDED = ROOT.parent / "shared" / "chat-cases"


@pytest.mark.skipif(not RECORDED.is_dir(), reason="no recorded replies beside the checkout")
def test_recorded_replies_parse_whole_and_split() -> None:
    """At least 95 % of the recorded replies give the expected message, whole and split at every character.

    The constraint for a reply's tools accepts at least 95 % of those that have tools.
    """
    command = [
        sys.executable, str(ROOT / "evals" / "chat_cases.py"),
        "--templates", str(RECORDED / "templates"), "--cases", str(RECORDED / "cases.jsonl"),
    ]  # fmt: skip
    printed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300).stdout
    figures = json.loads(printed.splitlines()[-1])
    assert figures["whole"] >= 0.95 * figures["total"]
    assert figures["streamed"] >= 0.95 * figures["total"]
    assert figures["constraint"] >= 0.95 * figures["constraint_total"]
    assert figures["overrides"] <= 6

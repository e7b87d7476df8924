"""The example program for agents runs as its users run it: as a process, on the demo model, and without a network."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_examples_run() -> None:
    """Each says what one expects of it; in private mode, so that nothing is sent even by mistake."""
    environment = {**os.environ, "LLM_MODEL": "demo", "LLM_PRIVATE": "1", "LLM_OFFLINE": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "pyai-examples.py"], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=200
    )
    assert done.returncode == 0, done.stderr
    assert "[found in: harbour.md]" in done.stdout
    contacts = re.findall(r"Contact\(name='[A-Z][a-z]+ [A-Z][a-z]+', phone='\d{3}-\d{4}'\)", done.stdout)
    assert len(contacts) == 2
    assert done.stdout.count("Python is a programming language") == 3
    assert "--- Web search (bundled pages)" in done.stdout
    assert "tokens from the cache]" in done.stdout

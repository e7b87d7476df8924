"""What a process that is killed while saving leaves behind."""

from __future__ import annotations

import itertools
import os
import random
import runpy
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from llm.base.session import Session
from llm.session import SqlSessionStore

NURSERY = Path(__file__).with_name("writer_nursery.py")
KILLS, KILLS_PER_SESSION = 200, 20


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """In memory where there is such a place: a killed process does not take the disk's cache with it."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=memory) as name:
        yield Path(name)


def test_kill_9_at_200_instants_loses_no_acknowledged_turn(folder: Path) -> None:
    """After each kill every acknowledged turn is there, whole and in order, and no turn is half there."""
    url = f"sqlite:///{folder / 'sessions.db'}"
    with SqlSessionStore(url) as store:
        session_ids = [store.create(owner="ada").id for _ in range(KILLS // KILLS_PER_SESSION)]
    instants = random.Random(20)
    turn = runpy.run_path(str(NURSERY))["turn"]
    nursery = subprocess.Popen(
        [sys.executable, str(NURSERY), url],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
        env={**os.environ, "PYTHONPATH": str(NURSERY.parents[2])},
    )  # fmt: skip
    assert nursery.stdin is not None
    assert nursery.stdout is not None
    unacknowledged = 0
    with nursery:
        for session_id in session_ids:
            kept = -1
            for _ in range(KILLS_PER_SESSION):
                nursery.stdin.write(f"{session_id}\n")
                word, pid = nursery.stdout.readline().split()
                assert word == "writer"
                for _ in range(instants.randrange(4)):
                    kept = int(nursery.stdout.readline().removeprefix("kept "))
                time.sleep(instants.uniform(0.0, 0.01))
                os.kill(int(pid), signal.SIGKILL)
                for line in iter(nursery.stdout.readline, "ended\n"):
                    kept = int(line.removeprefix("kept "))
                with SqlSessionStore(url) as store:
                    numbers = check_turns(store.get(session_id, owner="ada"), turn)
                assert numbers - 1 in (kept, kept + 1)
                unacknowledged += numbers - 1 - kept
                kept = numbers - 1
        nursery.stdin.close()
        assert nursery.wait() == 0
    print(f"{unacknowledged} of {KILLS} kills came between a commit and its acknowledgement")


def check_turns(session: Session, turn: object) -> int:
    """How many turns the session has, all of them whole, in order, and counted."""
    expected = (message for number in itertools.count() for message in turn(number))  # type: ignore[operator]
    for entry, message in zip(session.messages, expected, strict=False):
        assert entry.message == message
    assert session.message_count == len(session.messages)
    assert session.tokens == sum(entry.tokens for entry in session.messages)
    if not session.messages:
        return 0
    number, part, count = map(int, session.messages[-1].message["content"].split()[:3])
    assert part == count - 1, "the last turn is not whole"
    assert session.revision == number + 1
    return number + 1

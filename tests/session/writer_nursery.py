"""Starts writers that are meant to be killed. A program, not a test: `writer_nursery.py DATABASE_URL`.

For each line on standard input, a session id, it forks a writer, which needs no second start of Python, and reports on
standard output, a line each: `writer PID`, then `kept NUMBER` for each turn that the store has acknowledged, then
`ended`. A writer never ends by itself.
"""

from __future__ import annotations

import os
import random
import sys

from llm.base.session import session_message
from llm.session import SqlSessionStore


def report(line: str) -> None:
    os.write(1, f"{line}\n".encode())


def turn(number: int) -> list[dict[str, str]]:
    """Turn number n: always the same two to nine messages, of which some need several pages of the database."""
    size = random.Random(number)
    count = size.randrange(2, 10)
    return [
        {
            "role": "user" if part == 0 else "assistant",
            "content": f"{number} {part} {count} " + "x" * size.choice((10, 300, 9000)),
        }
        for part in range(count)
    ]


def write(url: str, session_id: str) -> None:
    store = SqlSessionStore(url)
    session = store.get(session_id, owner="ada")
    number = int(session.messages[-1].message["content"].split()[0]) + 1 if session.messages else 0
    revision = session.revision
    while True:
        messages = [session_message(message) for message in turn(number)]
        revision = store.append_turn(session_id, messages, owner="ada", revision=revision).revision
        report(f"kept {number}")
        number += 1


def main() -> None:
    url = sys.argv[1]
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            report(f"writer {os.getpid()}")
            write(url, line.strip())
        os.waitpid(child, 0)
        report("ended")


if __name__ == "__main__":
    main()

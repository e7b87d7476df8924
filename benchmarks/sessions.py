"""A store with 100,000 sessions of 20 messages: what it costs to list, open, search, continue and delete.

    python benchmarks/sessions.py [--sessions 100000] [--url sqlite:///...]

Median, 95th percentile and most of each, at random sessions of random owners (target: list and open within 20 ms at the
median). Without --url it is an SQLite file in the temporary folder, which is removed afterwards. The file is larger
than what was just read, and the cache of the operating system is whatever it is: run it on the disk that you will use.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from sqlalchemy import insert

from llm.base.session import Session, SessionMessage, new_id, now, session_message
from llm.session import SqlSessionStore
from llm.session.sql_schema import sessions
from llm.session.sql_session_store import _columns, _insert_messages

MESSAGES, OWNERS, TARGET = 20, 1000, 0.020
WORDS = (
    "the",
    "of",
    "report",
    "model",
    "lamp",
    "bridge",
    "harbour",
    "contract",
    "invoice",
    "quarter",
    "page",
    "letter",
)


def message(number: int, words: random.Random) -> SessionMessage:
    """A question of about 60 characters, or an answer of about 400."""
    role, count = (("user", 10), ("assistant", 70))[number % 2]
    return session_message({"role": role, "content": " ".join(words.choices(WORDS, k=count))})


def fill(store: SqlSessionStore, count: int) -> list[tuple[str, str]]:
    """Sessions, each said in several turns between which other sessions went on; their ids and owners."""
    words = random.Random(1)
    made: list[tuple[str, str]] = []
    block = 2000
    for first in range(0, count, block):
        batch = []
        for number in range(first, min(first + block, count)):
            time_ = now()
            entries = tuple(message(n, words) for n in range(MESSAGES))
            batch.append(
                Session(
                    id=new_id(), owner=f"owner {number % OWNERS}", title=f"Session {number}", created_at=time_,
                    updated_at=time_, message_count=MESSAGES, tokens=sum(entry.tokens for entry in entries),
                    messages=entries,
                )
            )  # fmt: skip
        # The store adds one session in one transaction; here thousands share one, or filling would take an hour.
        with store._database.writing() as connection:
            connection.execute(insert(sessions), [_columns(session) for session in batch])
            for part in range(0, MESSAGES, 5):
                for session in batch:
                    _insert_messages(connection, session.id, part, session.messages[part : part + 5])
        made += [(session.id, session.owner) for session in batch]
        print(f"\rfilled {len(made)} of {count} sessions", end="", flush=True)
    print()
    return made


def timed(name: str, rounds: int, call: Callable[[int], object]) -> dict[str, float]:
    seconds = []
    for number in range(rounds):
        begun = time.perf_counter()
        call(number)
        seconds.append(time.perf_counter() - begun)
    row = {
        "median": statistics.median(seconds),
        "p95": statistics.quantiles(seconds, n=20)[-1] if len(seconds) > 1 else seconds[0],
        "most": max(seconds),
    }
    print(f"{name:34}" + "".join(f"{key} {1000 * value:9.3f} ms   " for key, value in row.items()), flush=True)
    return row


@contextmanager
def database(url: str | None) -> Iterator[tuple[str, Path | None]]:
    if url is not None:
        yield url, None
        return
    with tempfile.TemporaryDirectory(prefix="practorflow-sessions-") as folder:
        path = Path(folder) / "sessions.db"
        yield f"sqlite:///{path}", path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=500)
    parser.add_argument("--url", help="another database; it is filled and not emptied")
    options = parser.parse_args()
    chance = random.Random(2)
    with database(options.url) as (url, path):
        begun = time.perf_counter()
        with SqlSessionStore(url) as store:
            made = fill(store, options.sessions)
        filled = time.perf_counter() - begun
        with SqlSessionStore(url) as store:
            some = [chance.choice(made) for _ in range(options.rounds)]
            doomed = chance.sample(made, 50)
            words = random.Random(3)

            def go_on(number: int) -> None:
                id_, owner = some[number]
                session = store.get(id_, owner=owner)
                turn = [message(0, words), message(1, words)]
                store.append_turn(id_, turn, owner=owner, revision=session.revision)

            def delete(number: int) -> None:
                store.delete(doomed[number][0], owner=doomed[number][1])

            pages: dict[int, str | None] = {}

            def second_page(number: int) -> None:
                store.list_sessions(owner=some[number][1], page=pages[number])

            table = {
                "list": timed("list 50 of an owner's sessions", options.rounds, lambda n: pages.update(
                    {n: store.list_sessions(owner=some[n][1]).next_page})),
                "list_next": timed("list the next 50", options.rounds, second_page),
                "open": timed("open a session", options.rounds, lambda n: store.get(some[n][0], owner=some[n][1])),
                "search": timed("search an owner's messages", 50, lambda n: store.search(
                    "absent word", owner=some[n][1])),
                "continue": timed("read, then add a turn", options.rounds, go_on),
                "delete": timed("delete a session", 50, delete),
            }  # fmt: skip
        size = path.stat().st_size if path is not None else None
    figures = {
        "question": "sessions in a large store",
        "sessions": options.sessions,
        "messages_each": MESSAGES,
        "fill_seconds": round(filled, 1),
        "file_bytes": size,
        "target_seconds": {"list": TARGET, "open": TARGET},
        "met": table["list"]["median"] <= TARGET and table["open"]["median"] <= TARGET,
        "seconds": table,
        "machine": {
            "cpu": platform.processor() or platform.machine(), "cores": os.cpu_count(),
            "load": round(os.getloadavg()[0], 1), "sqlite": sqlite3.sqlite_version, "sqlalchemy": version("sqlalchemy"),
            "python": platform.python_version(), "database": url.split(":", 1)[0],
        },
    }  # fmt: skip
    print(json.dumps(figures))


if __name__ == "__main__":
    main()

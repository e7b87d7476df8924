"""One compute budget for the process: whoever computes on the CPU waits for its turn and then has all threads.

Two llama.cpp contexts with as many threads as cores each, computing at once, spin against each other and both collapse.
Taking turns of one step each costs nothing and keeps both at half speed. Turns are handed out in order of asking.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class ComputeBudget:
    """A fair lock around a number of threads.

    Args:
        threads: how many threads whoever has the turn may use.
    """

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._mutex = threading.Lock()
        self._busy = False
        self._waiting: deque[threading.Event] = deque()

    @contextmanager
    def turn(self) -> Iterator[int]:
        """Wait for the turn, yield the number of threads, and pass the turn on."""
        self._enter()
        try:
            yield self.threads
        finally:
            self._leave()

    def _enter(self) -> None:
        with self._mutex:
            if not self._busy:
                self._busy = True
                return
            mine = threading.Event()
            self._waiting.append(mine)
        mine.wait()

    def _leave(self) -> None:
        with self._mutex:
            if self._waiting:
                self._waiting.popleft().set()
            else:
                self._busy = False


def available_threads() -> int:
    """Physical cores that this process may use: its CPU affinity, its container's quota, one thread per core."""
    every_cpu = range(os.cpu_count() or 1)
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else every_cpu
    cores = {_core_of(cpu) for cpu in allowed}
    quota = _quota(Path("/sys/fs/cgroup/cpu.max"))
    return max(1, min(len(cores), quota or len(cores)))


def _core_of(cpu: int) -> str:
    """Hardware threads of one core share this text."""
    try:
        return Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list").read_text().strip()
    except OSError:
        return str(cpu)


def _quota(path: Path) -> int | None:
    """Whole CPUs of a cgroup v2 quota, None without one."""
    try:
        quota, period = path.read_text().split()
        return None if quota == "max" else max(1, int(quota) // int(period))
    except (OSError, ValueError):
        return None


PROCESS_BUDGET = ComputeBudget(available_threads())
"""Shared by all engines of the process, because the cores are."""

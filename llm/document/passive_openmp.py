"""Has OpenMP's threads sleep while they wait, in a process that shares its cores.

By default they spin. Beside any other busy thread that makes torch ten times slower. OpenMP reads the setting once,
when the library is loaded, so it is in the environment only while torch is imported.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

_POLICY = "OMP_WAIT_POLICY"


@contextmanager
def passive_openmp() -> Iterator[None]:
    """Wait passively in whatever OpenMP library is loaded first inside the block. A choice of the user's stands."""
    if _POLICY in os.environ:
        yield
        return
    os.environ[_POLICY] = "PASSIVE"
    try:
        yield
    finally:
        os.environ.pop(_POLICY, None)

"""Where a model gets its runner from: one that its owner holds, or a lease of its own for as long as it is used.

Invariant: while somebody uses the source, its runner stays usable; when nobody does, a pooled source holds no lease.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

from ..base.abilities import Abilities
from ..base.llm_runner import LLMRunner
from ..factory import create_runner
from ..llm_config import LLMConfig
from ..pool.model_handle import ModelHandle
from ..pool.model_pool import ModelPool


class RunnerSource(Protocol):
    """What a LocalLLMModel generates with."""

    @property
    def model_name(self) -> str: ...

    @property
    def abilities(self) -> Abilities | None:
        """What the model can do; None as long as it has not been loaded."""

    def use(self) -> AbstractAsyncContextManager[LLMRunner]:
        """A runner that is usable within the block."""

    def hold(self) -> AbstractAsyncContextManager[None]:
        """Keep what is leased within the block until its end. Leases nothing itself."""


class HeldRunner:
    """A runner whose lease somebody else holds."""

    def __init__(self, runner: LLMRunner) -> None:
        self._runner = runner
        # Asked now, because they are wanted even after the lease has ended.
        self._model_name: str = getattr(runner, "model_name", "local")
        self._abilities: Abilities | None = getattr(runner, "abilities", None)

    @property
    def model_name(self) -> str:
        return self._model_name

    @property
    def abilities(self) -> Abilities | None:
        return self._abilities

    @asynccontextmanager
    async def use(self) -> AsyncIterator[LLMRunner]:
        yield self._runner

    @asynccontextmanager
    async def hold(self) -> AsyncIterator[None]:
        yield


class PooledRunner:
    """A lease that is taken by the first who uses it and given back by the last, on each event loop.

    Args:
        pool: where the model comes from.
        config: which model.
    """

    def __init__(self, pool: ModelPool, config: LLMConfig) -> None:
        self._pool = pool
        self._config = config
        self._shared: dict[asyncio.AbstractEventLoop, _SharedLease] = {}
        self._abilities: Abilities | None = None

    @property
    def model_name(self) -> str:
        return self._config.model_name

    @property
    def abilities(self) -> Abilities | None:
        return self._abilities

    @asynccontextmanager
    async def use(self) -> AsyncIterator[LLMRunner]:
        async with self._share() as shared:
            async with shared.lock:  # the first one waits for the lease, the others for the first
                if shared.handle is None:
                    shared.handle = await self._pool.acquire(self._config)
            runner = create_runner(shared.handle)
            self._abilities = runner.abilities
            yield runner

    @asynccontextmanager
    async def hold(self) -> AsyncIterator[None]:
        async with self._share():
            yield

    @asynccontextmanager
    async def _share(self) -> AsyncIterator[_SharedLease]:
        loop = asyncio.get_running_loop()
        shared = self._shared.setdefault(loop, _SharedLease())
        shared.users += 1
        try:
            yield shared
        finally:
            shared.users -= 1
            if not shared.users:
                del self._shared[loop]
                if shared.handle is not None:
                    shared.handle.close()


class _SharedLease:
    def __init__(self) -> None:
        self.handle: ModelHandle | None = None
        self.users = 0
        self.lock = asyncio.Lock()

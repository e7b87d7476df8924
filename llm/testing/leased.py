"""Runs asynchronous work with a runner under a lease, and sees that nothing is left behind. For tests of runners."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar, cast

from ..base.llm_runner import LLMRunner
from ..base.text_model import TextModel
from ..factory import create_runner
from ..llm_config import LLMConfig
from ..pool.model_handle import ModelHandle
from ..pool.model_pool import ModelPool

T = TypeVar("T")


class Leased:
    """A pool with one model.

    Args:
        config: the model.
    """

    def __init__(self, config: LLMConfig) -> None:
        self.config = config
        self.pool = ModelPool(max_models=1)

    def run(self, work: Callable[[LLMRunner], Awaitable[T]], **changes: object) -> T:
        """Run `work` with a runner, then see that it has left nothing behind."""
        return asyncio.run(self._run(work, self.config.replace(**changes)))

    async def _run(self, work: Callable[[LLMRunner], Awaitable[T]], config: LLMConfig) -> T:
        async with self.pool.acquire_context(config) as handle:
            result = await work(create_runner(handle))
            await self.settled(handle)
        self.pool.check_integrity()
        return result

    async def settled(self, handle: ModelHandle) -> None:
        """Wait until the engine has taken every stop, then check its accounts."""
        engine = cast(TextModel, handle.model).engine
        deadline = time.monotonic() + 10
        while True:
            await asyncio.to_thread(engine.check_integrity)
            statistics = engine.statistics()
            if statistics["running"] == statistics["waiting"] == 0:
                return
            assert time.monotonic() < deadline, "requests were left behind"

    def close(self) -> None:
        asyncio.run(self.pool.close())

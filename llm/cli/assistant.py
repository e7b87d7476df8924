"""A model opened for one command, with a synchronous face: a terminal waits for its person, and nothing else runs.

Everything asynchronous happens on one event loop that runs only while something is awaited. Leaving the `with` block,
Ctrl-C included, stops what is being generated and closes the model.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from ..base.llm_runner import LLMRunner
    from ..base.messages import StreamChunk
    from ..knowledge.knowledge_store import KnowledgeStore
    from ..llm_config import LLMConfig
    from ..session.conversation import Conversation

T = TypeVar("T")


class Assistant:
    """Holds a lease on one model.

    Args:
        config: the model and how it is sampled.
    """

    def __init__(self, config: LLMConfig) -> None:
        from ..pool.model_pool import ModelPool

        self._config = config
        self._loop = asyncio.new_event_loop()
        self._pool = ModelPool(max_models=1)

    def __enter__(self) -> Assistant:
        try:
            self._handle = self._await(self._pool.acquire(self._config))
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def runner(
        self, *, knowledge_store: KnowledgeStore | None = None, session: Conversation | None = None
    ) -> LLMRunner:
        """A runner on the open model."""
        from ..factory import create_runner

        return create_runner(self._handle, knowledge_store, session=session)

    def stream(self, runner: LLMRunner, show: Callable[[StreamChunk], None], **options: Any) -> StreamChunk:
        """Generate a reply, show each piece as it comes, and return the last chunk, which has the totals."""

        async def read() -> StreamChunk:
            async with runner.generate_stream(**options) as stream:
                async for chunk in stream:
                    show(chunk)
            return chunk

        return self._await(read())

    def close(self) -> None:
        """Stop everything and close the model. A second call does nothing."""
        if self._loop.is_closed():
            return
        try:
            self._cancel_all()
            self._loop.run_until_complete(self._pool.close(grace=0.0))
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
        finally:
            self._loop.close()

    def _await(self, work: Coroutine[Any, Any, T]) -> T:
        return self._loop.run_until_complete(work)

    def _cancel_all(self) -> None:
        """What an interruption left behind on the loop ends before the model does."""
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        if tasks:
            self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))

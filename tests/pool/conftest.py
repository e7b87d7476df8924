"""What the tests of the pool share: a scripted loader whose faults fail the test, and a short way to write a config."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator

import pytest

from llm.llm_config import LLMConfig
from llm.testing.fake_loader import FakeLoader


@pytest.fixture
def loader() -> Iterator[FakeLoader]:
    """A loader that fails the test if a model was closed under a user or if anything blocked the event loop."""
    loader = FakeLoader()
    yield loader
    assert loader.faults == []


@pytest.fixture
def named() -> Callable[..., LLMConfig]:
    """`named("a", temperature=0.1)`: a configuration that differs from others by its model's name."""

    def config(name: str, **fields: object) -> LLMConfig:
        return LLMConfig(model_name=name).replace(**fields)

    return config


@pytest.fixture
def until() -> Callable[[Callable[[], bool]], Awaitable[None]]:
    """`await until(condition)`: give way to the other tasks until it holds; a test that waits in vain fails."""

    async def give_way(condition: Callable[[], bool]) -> None:
        for _ in range(100_000):
            if condition():
                return
            await asyncio.sleep(0)
        raise AssertionError("this never came true")

    return give_way

"""An engine over a device whose output depends on every cell in memory, for the tests of both."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable

from llm.engine.batch_engine import BatchEngine
from llm.engine.executor import Capabilities
from llm.engine.request import EngineOutput, EngineRequest, SamplingParams
from llm.engine.token_stream import TokenStream
from llm.exceptions import (
    EngineClosedError,
)
from llm.testing.scripted_executor import ScriptedExecutor, scrambled

GREEDY = SamplingParams(temperature=0)
MODEL = scrambled(211)


def capabilities(**changes: object) -> Capabilities:
    values: dict[str, object] = {
        "vocabulary": 211, "window": 512, "cells": 2048, "max_sequences": 24, "max_batch": 64, "max_outputs": 24,
    }  # fmt: skip
    return Capabilities(**{**values, **changes})  # type: ignore[arg-type]


class Bench:
    """An engine with its executor at hand, checked and closed at the end."""

    def __init__(
        self, limits: Capabilities | None = None, *, engine: dict[str, object] | None = None, **executor: object
    ):
        self.executor = ScriptedExecutor(MODEL, limits or capabilities(), **executor)  # type: ignore[arg-type]
        self.engine = BatchEngine(lambda: self.executor, **{"max_concurrency": 8, **(engine or {})})  # type: ignore[arg-type]

    def submit(self, prompt: list[int], count: int, **changes: object) -> TokenStream:
        request = EngineRequest(prompt=tuple(prompt), max_tokens=count, **{"sampling": GREEDY, **changes})  # type: ignore[arg-type]
        self.engine.validate(request)
        return self.engine.submit(request)

    async def generate(self, prompt: list[int], count: int, **changes: object) -> tuple[list[int], EngineOutput]:
        return await collect(self.submit(prompt, count, **changes))

    def run(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            asyncio.run(work())  # type: ignore[arg-type]
            with contextlib.suppress(EngineClosedError):
                self.engine.check_integrity()
        finally:
            self.engine.close()
        assert self.executor.closed


async def collect(stream: TokenStream) -> tuple[list[int], EngineOutput]:
    tokens: list[int] = []
    while True:
        for output in await stream.next_outputs():
            tokens += output.tokens
            if output.error is not None:
                raise output.error
            if output.last:
                return tokens, output


def prompts(count: int, length: int, *, seed: int = 0) -> list[list[int]]:
    random_numbers = random.Random(seed)
    return [[random_numbers.randrange(211) for _ in range(length)] for _ in range(count)]

"""Every test here is run with a watch on the event loop: a call that blocks it fails the test."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from blockbuster import blockbuster_ctx

from llm.pyai import LocalLLMModel
from llm.testing.scripted_runner import ScriptedRunner

WIRE_FORMATS = ("hermes", "list", "parameters")


@pytest.fixture(autouse=True)
def nothing_blocks_the_loop() -> Iterator[None]:
    with blockbuster_ctx():
        yield


@pytest.fixture(params=WIRE_FORMATS)
def wire_format(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def chunking(request: pytest.FixtureRequest) -> Any:
    """Random pieces; every way to divide a reply is the business of test_streaming.py."""
    return random.Random(request.node.nodeid)


@pytest.fixture
def scripted(wire_format: str, chunking: Any) -> Callable[..., LocalLLMModel]:
    """Makes a model of a script, in each wire format and chunking; `model.runner` is its runner."""

    def make(script: Any, *, settings: Any = None, profile: Any = None, **options: Any) -> LocalLLMModel:
        runner = ScriptedRunner(script, wire_format=wire_format, chunking=chunking, **options)
        model = LocalLLMModel(runner, settings=settings, profile=profile)
        model.runner = runner  # type: ignore[attr-defined]
        return model

    return make

"""What the tests of agents have in common: short ways to write what a model says, and what it is asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Optional

from pydantic import BaseModel, Field

from llm.testing.scripted_runner import ScriptedReply

Reply = str | ScriptedReply


def replies(*items: Reply) -> Callable[..., Reply]:
    """A script of several replies, one after the other."""
    left = iter(items)
    return lambda *_: next(left)


def calls(*made: tuple[str, Any], text: str = "") -> ScriptedReply:
    return ScriptedReply(text=text, calls=made)


def final(arguments: Any, name: str = "final_result") -> ScriptedReply:
    return calls((name, arguments))


def run(work: Awaitable[Any]) -> Any:
    async def main() -> Any:
        return await work

    return asyncio.run(main())


class City(BaseModel):
    name: str
    people: int = Field(ge=0)


class Country(BaseModel):
    capital: City


class Node(BaseModel):
    value: int
    next: Optional[Node] = None  # noqa: UP045 - evaluated by Pydantic on Python 3.10


PARIS = {"name": "Paris", "people": 2_100_000}


def count(city: str) -> int:
    """Count the people of a city."""
    return len(city)

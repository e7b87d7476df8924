"""The notation of the generator's tables: ways to ask, divided by bars, and after an equals sign what they ask for."""

from __future__ import annotations


def divided(text: str) -> tuple[str, ...]:
    """The parts between bars; line ends count as spaces."""
    return tuple(" ".join(text.split()).split(" | "))


def blocks(text: str) -> tuple[tuple[tuple[str, ...], str], ...]:
    """Blocks divided by empty lines, each as (ways to ask, what they ask for)."""
    return tuple(_block(block) for block in text.strip().split("\n\n"))


def _block(block: str) -> tuple[tuple[str, ...], str]:
    questions, answer = block.split("\n= ")
    return divided(questions), " ".join(answer.split()).replace(r"\n", "\n").replace(r"\t", "    ")

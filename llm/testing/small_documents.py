"""Small documents of made-up text with a known subject, and ways to add and recognize them. For tests of stores."""

from __future__ import annotations

import random
from typing import Any

from ..knowledge.knowledge_store import KnowledgeStore
from ..knowledge.passage import Passage

WORDS = (
    "lamp", "bridge", "harbour", "contract", "invoice", "quarter", "letter", "garden", "engine", "copper", "meadow",
    "violin", "saffron", "lantern",
)  # fmt: skip


def text_about(topic: str, *, paragraphs: int = 12, seed: int = 0) -> str:
    """Filler with one sentence about the topic in every paragraph."""
    chance = random.Random(f"{topic} {seed}")
    return "\n\n".join(
        " ".join(chance.choices(WORDS, k=40)).capitalize() + f". This part is about {topic}." for _ in range(paragraphs)
    )


def add(store: KnowledgeStore, text: str, filename: str = "note.txt", **options: Any) -> str:
    """Add a text as a file; returns the document's id. The options are those of `add_document_from_bytes`."""
    return store.add_document_from_bytes(text.encode(), filename, **options)["id"]


def documents_of(passages: list[Passage]) -> set[str]:
    """The ids of the documents that passages come from."""
    return {passage.document_id for passage in passages}

"""What an agent sees of documents: within its scope, with citations, and without stopping the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai import Agent
from pydantic_ai.messages import ToolReturnPart

from llm.knowledge import ChromaKnowledgeConfig, ChromaKnowledgeStore
from llm.pyai import KnowledgeDeps, LocalLLMModel, format_passages, register_knowledge_tools, search_knowledge
from llm.testing.hash_embedder import HashEmbedder
from llm.testing.scripted_runner import ScriptedReply, ScriptedRunner
from llm.testing.text_loader import TextLoader

TOWER = b"# Repairs\n\nUnder the terms, Ada Lovelace must repair the tower."
LAMP = b"The price of the lamp in Bergen is 40 euro."


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ChromaKnowledgeStore]:
    config = ChromaKnowledgeConfig(persist_directory=str(tmp_path / "db"))
    with ChromaKnowledgeStore(config, loader=TextLoader(), embedder=HashEmbedder()) as store:
        yield store


def searched(deps: Any, query: str = "Who must repair the tower?") -> tuple[ToolReturnPart, ScriptedRunner]:
    """The result of one search, and the runner that read it."""

    def script(messages: list[Any], *_: Any) -> Any:
        return (
            "done" if messages[-1]["role"] == "tool" else ScriptedReply(calls=[("search_knowledge", {"query": query})])
        )

    runner = ScriptedRunner(script, checked=True)
    agent = Agent(LocalLLMModel(runner), deps_type=KnowledgeDeps)
    agent.tool(search_knowledge)

    async def main() -> ToolReturnPart:
        result = await agent.run("Go", deps=deps)
        [part] = [part for m in result.all_messages() for part in m.parts if isinstance(part, ToolReturnPart)]
        return part

    return asyncio.run(main()), runner


def test_what_is_found_can_be_cited(store: ChromaKnowledgeStore) -> None:
    """The model reads each passage under its source; the program gets the citation beside it."""
    added = store.add_document_from_bytes(TOWER, "contract.txt")
    part, runner = searched(KnowledgeDeps(store))
    assert part.content.startswith("[1] contract.txt")
    assert "Ada Lovelace must repair the tower." in part.content
    assert runner.requests[1][0][-1]["content"] == part.content
    [citation] = part.metadata["citations"]
    assert citation["document_id"] == added["id"]
    assert citation["filename"] == "contract.txt"


def test_an_agent_sees_its_scope_alone(store: ChromaKnowledgeStore) -> None:
    """No scope is every document, an empty one is none, and a scope is exactly its documents."""
    store.add_document_from_bytes(TOWER, "contract.txt")
    lamp = store.add_document_from_bytes(LAMP, "memo.txt")
    assert "contract.txt" in searched(KnowledgeDeps(store))[0].content
    only_lamp = searched(KnowledgeDeps(store, document_scope={lamp["id"]}))[0]
    assert {citation["filename"] for citation in only_lamp.metadata["citations"]} <= {"memo.txt"}
    assert "tower" not in only_lamp.content
    for scope in (set(), frozenset(), [], ()):
        nothing = searched(KnowledgeDeps(store, document_scope=scope))[0]
        assert nothing.metadata["citations"] == []
        assert "No passage" in nothing.content


def test_an_empty_scope_does_not_even_ask() -> None:
    """So that a store which took an empty list for no limit could do no harm."""

    class Careless:
        def search(self, *_: Any) -> Any:
            raise AssertionError("asked without a scope")

        search_scoped = search

    assert searched(KnowledgeDeps(Careless(), document_scope=set()))[0].metadata["citations"] == []


def test_the_search_runs_on_a_thread(store: ChromaKnowledgeStore) -> None:
    """It blocks, and a blocking call on the loop fails every test here; this one sees that there is a watch."""
    store.add_document_from_bytes(TOWER, "contract.txt")

    async def on_the_loop() -> None:
        store.search("tower")

    with pytest.raises(Exception, match="Blocking call"):
        asyncio.run(on_the_loop())


def test_dependencies_may_be_a_class_of_one_s_own(store: ChromaKnowledgeStore) -> None:
    """As long as they have the two names."""

    class Deps:
        def __init__(self) -> None:
            self.knowledge_store = store
            self.document_scope = None

    store.add_document_from_bytes(TOWER, "contract.txt")
    assert "tower" in searched(Deps())[0].content


def test_registered_tools_come_with_instructions() -> None:
    """The agent is told to cite."""
    runner = ScriptedRunner(lambda *_: "ok")
    agent = Agent(LocalLLMModel(runner), deps_type=KnowledgeDeps)
    register_knowledge_tools(agent)

    class Empty:
        def search(self, *_: Any) -> list[Any]:
            return []

        search_scoped = search

    asyncio.run(agent.run("Go", deps=KnowledgeDeps(Empty())))
    messages, tools, _ = runner.requests[0]
    assert "name the source" in messages[0]["content"]
    assert tools[0]["function"]["name"] == "search_knowledge"
    assert list(tools[0]["function"]["parameters"]["properties"]) == ["query"]


def test_nothing_found_is_said() -> None:
    """In words that a model can pass on."""
    assert "No passage" in format_passages([])

"""Agents of Pydantic AI on a local model: documents, structured output, streaming, the web, and several at once.

    python pyai-examples.py
    python pyai-examples.py --web    # lets the web example send its query to DuckDuckGo

The model is the one that LLM_MODEL names in config/options/options.env or in the environment. Without --web nothing
leaves this machine.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import BaseModel, Field
from pydantic_ai import Agent, RunContext

from llm import LLMError, ModelPool, create_runner
from llm.knowledge import ChromaKnowledgeStore
from llm.pyai import KnowledgeDeps, LocalLLMModel, search_knowledge
from llm.tools import DuckDuckGoSearchTool, Search, WebResult, WebSearchTool
from settings import app_settings

REPORT = """\
# Harbour report

The old lighthouse was painted green in 1987. The harbour office opens at seven. \
The northern crane was inspected by Maria Lindgren.
"""


def heading(text: str) -> None:
    print(f"\n--- {text}")


def knowledge_store(folder: Path) -> ChromaKnowledgeStore:
    """A store of its own for this program, which leaves nothing behind."""
    return ChromaKnowledgeStore(
        replace(app_settings.appConfiguration.KnowledgeChromaConfiguration, persist_directory=str(folder / "chroma_db"))
    )


async def documents(model: LocalLLMModel) -> None:
    """An agent that searches documents; what it found can be cited."""
    heading("Knowledge search: When was the old lighthouse painted?")
    with tempfile.TemporaryDirectory() as folder, await asyncio.to_thread(knowledge_store, Path(folder)) as store:
        added = await asyncio.to_thread(store.add_document_from_bytes, REPORT.encode(), "harbour.md")
        agent = Agent(model, deps_type=KnowledgeDeps, system_prompt="You answer questions about documents.")
        agent.tool(search_knowledge)
        deps = KnowledgeDeps(store, document_scope={added["id"]})
        result = await agent.run("When was the old lighthouse painted?", deps=deps)
        print(result.output)
        for message in result.all_messages():
            for part in message.parts:
                if part.part_kind == "tool-return" and part.metadata:
                    print("[found in:", ", ".join(cited["source"] for cited in part.metadata["citations"]) + "]")


class Contact(BaseModel):
    """A person and how to reach them."""

    name: str = Field(pattern=r"^[A-Z][a-z]{1,20} [A-Z][a-z]{1,20}$")
    phone: str = Field(pattern=r"^[0-9]{3}-[0-9]{4}$")


async def structured(model: LocalLLMModel) -> None:
    """The answer is a Contact whatever the model is: decoding is constrained by its schema."""
    heading("Structured output: a Contact")
    agent = Agent(model, output_type=Contact)
    result = await agent.run("Extract the contact: Ada Lovelace, phone 555-0100.")
    print(repr(result.output))


async def streaming(model: LocalLLMModel) -> None:
    """The text as it is written."""
    heading("Streaming: What is Python?")
    agent = Agent(model)
    async with agent.run_stream("What is Python?") as result:
        async for delta in result.stream_text(delta=True, debounce_by=None):
            print(delta, end="", flush=True)
    print(f"\n[{result.usage.output_tokens} tokens]")


class BundledPages(WebSearchTool):
    """Stands in for a search service: it answers from here and asks nobody."""

    service = "bundled pages"

    def _ask(self, search: Search) -> Sequence[WebResult]:
        page = WebResult(
            title="Opening hours of the lighthouse",
            url="https://example.org/lighthouse",
            snippet="The lighthouse opens at nine.",
        )
        return [page][: search.max_results]


@dataclass
class WebSearchDeps:
    """What the web example's tool needs."""

    web_search_tool: WebSearchTool


async def web_search(model: LocalLLMModel, tool: WebSearchTool) -> None:
    """A tool of one's own, around a search on the web or its stand-in."""
    heading(f"Web search ({tool.service})")
    agent = Agent(model, deps_type=WebSearchDeps)

    @agent.tool
    async def search_web(ctx: RunContext[WebSearchDeps], query: str) -> str:
        """Search the web for current information."""
        result = await ctx.deps.web_search_tool.aexecute(query=query, max_results=3)
        print(f"[searched for {query!r}]")
        return result.text

    prompt = "Search the web for lighthouse opening hours."
    result = await agent.run(prompt, deps=WebSearchDeps(tool), model_settings={"max_tokens": 300})
    print(result.output)


async def several_turns(model: LocalLLMModel) -> None:
    """Each run goes on with the messages of the ones before; what they share is computed once."""
    heading("Several turns")
    agent = Agent(model, system_prompt="You are a friendly assistant.")
    history = None
    for prompt in ("Hello", "What is Python?", "Thank you"):
        result = await agent.run(prompt, message_history=history)
        history = result.all_messages()
        usage = result.new_messages()[-1].usage
        print(f"{prompt} -> {result.output} [{usage.cache_read_tokens} of {usage.input_tokens} tokens from the cache]")


async def two_agents(pool: ModelPool) -> None:
    """Two agents on one loaded model at once; each run leases the model for as long as it takes."""
    heading("Two agents at once on one model")
    model = LocalLLMModel.from_pool(
        pool, app_settings.appConfiguration.ModelConfiguration, settings={"temperature": 0.0}
    )
    explainer, extractor = Agent(model), Agent(model, output_type=Contact)
    explained, extracted = await asyncio.gather(
        explainer.run("What is Python?"), extractor.run("Extract the contact: Grace Hopper, phone 555-0199.")
    )
    print(explained.output)
    print(repr(extracted.output))


async def main(*, web: bool) -> None:
    config = app_settings.appConfiguration.ModelConfiguration
    if config.model_name == "demo":
        print("Answering: the built-in demo model, which shows the machinery and knows next to nothing.")
    async with ModelPool() as pool:
        async with pool.acquire_context(config) as handle:
            model = LocalLLMModel(create_runner(handle), settings={"temperature": 0.0})
            await documents(model)
            await structured(model)
            await streaming(model)
            await web_search(model, DuckDuckGoSearchTool() if web else BundledPages())
            await several_turns(model)
        await two_agents(pool)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Agents of Pydantic AI on a local model.")
    parser.add_argument("--web", action="store_true", help="let the web example send its query out")
    try:
        asyncio.run(main(web=parser.parse_args().web))
    except LLMError as error:
        raise SystemExit(f"{type(error).__name__}: {error}") from None
    except KeyboardInterrupt:
        raise SystemExit("\nStopped.") from None

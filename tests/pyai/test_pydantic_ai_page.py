"""The page about agents is executed: every block runs as written, on the demo model, and each row names its example."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import io
import re
from pathlib import Path
from typing import Any

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pydantic_ai import Agent

from llm import LLMConfig, ModelPool, create_runner
from llm.knowledge import ChromaKnowledgeConfig, ChromaKnowledgeStore
from llm.pyai import LocalLLMModel
from llm.testing.hash_embedder import HashEmbedder
from llm.testing.text_loader import TextLoader

PAGE = (Path(__file__).parents[2] / "docs" / "pydantic-ai.md").read_text()


HARBOUR = (
    b"The old lighthouse was painted green in 1987. The harbour office opens at seven. "
    b"The northern crane was inspected by Maria Lindgren."
)


def blocks() -> dict[str, str]:
    """The Python block of each heading."""
    found = {}
    for section in re.split(r"^#+ ", PAGE, flags=re.MULTILINE)[1:]:
        heading, _, text = section.partition("\n")
        code = re.findall(r"^```python\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
        assert len(code) <= 1
        if code:
            found[heading] = code[0]
    return found


EXPECTED = {
    "Agents of Pydantic AI": "programming language",
    "Streaming": "programming language",
    "Thinking": "False\nHello",
    "Tools": '[\'{"customer_id": "ABC123"}\']',
    "Tools that change": "clerk ['open_orders']\nguest []",
    "Calls that wait": "['ABC123 has 3 open orders']",
    "Structured output": "Contact(name=",
    "Several turns": "True",
    "Shorter histories": "[",
    "Counts and limits": "context window",
    "Among other models": "True",
    "Traces": "chat ",
    "Cancellation": "interrupted",
    "A model from a pool": "3",
    "Documents": "['harbour.md']",
    "Testing your agents": "It has 4 orders.",
}


def test_every_row_has_an_example() -> None:
    """Each row links to a heading with a block, and each block is expected to print something."""
    rows = re.findall(r"^\|.*\| \[(.*?)\]\(#(.*?)\) \|$", PAGE, flags=re.MULTILINE)
    assert len(rows) == 21
    assert list(blocks()) == list(EXPECTED)
    for title, anchor in rows:
        assert title in EXPECTED
        assert anchor == title.lower().replace(" ", "-")


def test_every_block_runs_as_written(tmp_path: Path) -> None:
    """One after the other, as a reader would; what they print is what the page leads one to expect."""
    config = LLMConfig(model_name="demo", temperature=0.0)
    chroma = ChromaKnowledgeConfig(persist_directory=str(tmp_path / "db"))
    printed: dict[str, str] = {}
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))

    async def main(store: ChromaKnowledgeStore) -> None:
        async with ModelPool(max_models=2) as pool, pool.acquire_context(config) as handle:
            names: dict[str, Any] = {
                "pool": pool, "config": config, "handle": handle, "create_runner": create_runner,
                "knowledge_store": store, "model": LocalLLMModel(create_runner(handle)), "Agent": Agent,
                "exporter": exporter, "provider": provider,
            }  # fmt: skip
            for heading, source in blocks().items():
                code = compile(source, heading, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
                output = io.StringIO()
                with contextlib.redirect_stdout(output):
                    result = eval(code, names)
                    if result is not None:
                        await result
                printed[heading] = output.getvalue()

    with ChromaKnowledgeStore(chroma, loader=TextLoader(), embedder=HashEmbedder()) as store:
        store.add_document_from_bytes(HARBOUR, "harbour.md")
        asyncio.run(main(store))
    for heading, expected in EXPECTED.items():
        assert expected in printed[heading], heading

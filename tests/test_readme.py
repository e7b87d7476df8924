"""The README is executed: every Python block runs as written, on the demo model."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import io
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import docx
import pytest
from reportlab.lib.styles import getSampleStyleSheet
from reportlab.platypus import Paragraph, SimpleDocTemplate

from llm import LLMConfig, ModelPool, create_runner
from llm.cli.estimate import guide, guide_table
from llm.knowledge import ChromaKnowledgeConfig, ChromaKnowledgeStore
from llm.tools import WebAccess, web_policy

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def python_blocks(text: str) -> list[tuple[str, str]]:
    """(heading above it, source) of each Python block."""
    blocks, heading, lines = [], "", text.splitlines()
    inside: list[str] | None = None
    for line in lines:
        if inside is not None:
            if line == "```":
                blocks.append((heading, "\n".join(inside)))
                inside = None
            else:
                inside.append(line)
        elif line == "```python":
            inside = []
        elif re.match(r"#+ ", line):
            heading = line.lstrip("# ")
    return blocks


BLOCKS = python_blocks(README)


def run_block(source: str, names: dict[str, Any]) -> str:
    """Execute a block, with `await` and `async with` at its top level, and return what it printed."""
    code = compile(source, "README.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    printed = io.StringIO()

    async def work() -> None:
        async with ModelPool() as pool, contextlib.AsyncExitStack() as ends:
            if re.search(r"\bknowledge_store\b", source) and "ChromaKnowledgeStore(" not in source:
                store = ChromaKnowledgeStore(ChromaKnowledgeConfig(persist_directory="readme_db"))
                ends.callback(store.close)
                names["knowledge_store"] = store
            config = LLMConfig(model_name="demo", temperature=0.0)
            async with pool.acquire_context(config) as handle:
                names.update(
                    pool=pool,
                    config=config,
                    config1=config,
                    config2=config.replace(temperature=1.0),
                    runner=create_runner(handle, names.get("knowledge_store")),
                    create_runner=create_runner,
                )
                result = eval(code, names)
                if result is not None:
                    await result

    with contextlib.redirect_stdout(printed):
        if "asyncio.run(" in source:
            exec(code, names)
        else:
            asyncio.run(work())
    return printed.getvalue()


def write_documents() -> None:
    """The files that the README names, in the current folder."""
    write_pdf("confidential_report.pdf", "Findings", "A key finding is that the harbour of Oslo is too slow.",
              "Advice", "We recommend to sell the golden bridge. The committee met twice.")  # fmt: skip
    write_pdf("contract.pdf", "Contract", "Under the terms, Ada Lovelace must repair the tower.")
    document = docx.Document()
    document.add_heading("Policy", 1)
    document.add_paragraph("Every letter is kept for 30 days.")
    document.save("policy.docx")
    Path("memo.txt").write_text("The price of the lamp in Bergen is 40 euro.\n")


def write_pdf(filename: str, *texts: str) -> None:
    """A heading and a paragraph, in turn."""
    styles = getSampleStyleSheet()
    parts = [Paragraph(text, styles["BodyText" if place % 2 else "Heading1"]) for place, text in enumerate(texts)]
    SimpleDocTemplate(filename, invariant=1).build(parts)


EXPECTED = {
    "Basic usage": "programming language",
    "Streaming generation": "Latency: ",
    "Secure document ingestion with RAG": "We recommend to sell the golden bridge.",
    "Native function calling": "Tool: get_customer_data, Args: {'customer_id': ",
    "Tools that are called for you": " steps",
    "Structured answers": "name=",
    "Agentic workflows with Pydantic AI": "documents",
    "Web search integration (optional)": "data",
    "Custom backend selection": "",
    "Model pool for production deployments": "",
    "Session-based document scope": "",
}


def test_every_block_is_known() -> None:
    """A new block gets an expectation here, so that none goes unexecuted."""
    assert [heading for heading, _ in BLOCKS] == list(EXPECTED)


@pytest.mark.parametrize(("heading", "source"), BLOCKS, ids=[heading for heading, _ in BLOCKS])
def test_a_block_runs_as_written(heading: str, source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And prints what the README leads one to expect."""
    monkeypatch.chdir(tmp_path)
    write_documents()
    monkeypatch.setattr(web_policy, "_access", WebAccess(private=True))  # a test asks nobody outside
    monkeypatch.setitem(sys.modules, "readme", ModuleType("readme"))  # where dataclasses look for their module
    names: dict[str, Any] = {"__name__": "readme"}
    assert EXPECTED[heading] in run_block(source, names)
    if heading.startswith("Secure"):
        assert names["search_result"].metadata["results"][0]["filename"] == "confidential_report.pdf"
        names["knowledge_store"].close()
    if heading.startswith("Session"):
        results = names["result"].metadata["results"]
        assert results[0]["text"].endswith("Under the terms, Ada Lovelace must repair the tower.")
        assert {found["filename"] for found in results} == {"contract.pdf", "policy.docx", "memo.txt"}


def test_the_configuration_shown_is_the_one_shipped() -> None:
    """The README's block is config/options/options.env."""
    shipped = (ROOT / "config" / "options" / "options.env").read_text().strip()
    assert f"```bash\n{shipped}\n```" in README


def test_the_hardware_guide_is_what_the_command_computes() -> None:
    """`practorflow estimate --guide` prints the README's table."""
    contexts = (4096, 8192, 32768)
    assert "\n".join(guide_table(contexts, guide(contexts))) in README

"""The README is executed: every Python block runs as written, on the demo model."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import io
import re
from pathlib import Path
from typing import Any

import pytest

from llm import LLMConfig, ModelPool, create_runner

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
        async with ModelPool() as pool:
            config = LLMConfig(model_name="demo", temperature=0.0)
            async with pool.acquire_context(config) as handle:
                names.update(
                    pool=pool,
                    config=config,
                    config1=config,
                    config2=config.replace(temperature=1.0),
                    runner=create_runner(handle),
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


EXPECTED = {
    "Basic usage": "programming language",
    "Streaming generation": "Latency: ",
    "Native function calling": "Tool: get_customer_data, Args: {'customer_id': ",
    "Tools that are called for you": " steps",
    "Structured answers": "name=",
    "Model pool for production deployments": "",
}


def test_every_block_is_known() -> None:
    """A new block gets an expectation here, so that none goes unexecuted."""
    assert [heading for heading, _ in BLOCKS] == list(EXPECTED)


@pytest.mark.parametrize(("heading", "source"), BLOCKS, ids=[heading for heading, _ in BLOCKS])
def test_a_block_runs_as_written(heading: str, source: str) -> None:
    """And prints what the README leads one to expect."""
    assert EXPECTED[heading] in run_block(source, {"__name__": "readme"})


def test_the_configuration_shown_is_the_one_shipped() -> None:
    """The README's block is config/options/options.env."""
    shipped = (ROOT / "config" / "options" / "options.env").read_text().strip()
    assert f"```bash\n{shipped}\n```" in README

"""docs/chunks-and-embeddings.md says what is true: its example runs, and the settings that it names exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from llm.knowledge.chroma_knowledge_config import EMBEDDING_ENGINES, ChromaKnowledgeConfig
from settings.variables import VARIABLES

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "chunks-and-embeddings.md").read_text(encoding="utf-8")


def test_the_example_runs(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It prints the piece that answers the question."""
    monkeypatch.chdir(tmp_path)
    (block,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(compile(block, "docs/chunks-and-embeddings.md", "exec"), {"__name__": "__main__"})
    assert "40 euros" in capsys.readouterr().out


def test_what_the_page_names_exists() -> None:
    """Settings, their defaults, engines, and the script."""
    named = set(re.findall(r"`((?:KB|LLM)_[A-Z_]+)", PAGE))
    assert "KB_CHROMA_EMBEDDING_ENGINE" in named
    assert named <= set(VARIABLES)
    config = ChromaKnowledgeConfig()
    for field in ("context_chunk_size", "retrieval_chunk_size"):
        assert f"`KB_CHROMA_{field.upper()}`, {getattr(config, field)} characters" in PAGE
    assert set(re.findall(r"^\| `([a-z_]+)` \|", PAGE, re.MULTILINE)) == set(EMBEDDING_ENGINES)
    assert (ROOT / "evals" / "retrieval.py").is_file()

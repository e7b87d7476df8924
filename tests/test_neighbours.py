"""What the README says about neighbours that are installed here is so."""

from __future__ import annotations

from pathlib import Path

import pytest

README = (Path(__file__).parents[1] / "README.md").read_text()


def test_pydantic_ai_has_no_model_of_its_own_that_runs_in_the_process() -> None:
    """None of its models loads weights: no module of them names a library that could."""
    models = pytest.importorskip("pydantic_ai.models")
    sources = [path.read_text(encoding="utf-8") for path in Path(models.__file__).parent.rglob("*.py")]
    assert sources
    for library in ("llama_cpp", "torch", "transformers", "vllm", "mlx_lm", "outlines"):
        assert not [text for text in sources if f"import {library}" in text or f"from {library}" in text], library


def test_the_readme_quotes_the_engine_page() -> None:
    """Ratios in the table of neighbours are those of the page that says how they were measured."""
    page = (Path(__file__).parents[1] / "docs" / "engine.md").read_text()
    for measured, quoted in (
        ("**0.991**", "0.99 of its speed"),
        ("**3.10**", "3.1 times its tokens per second"),
        ("**4.08**", "4.1 times while all decode"),
        ("1.158", "1.16 times"),
        ("**0.153**", "0.15 of the time"),
        ("**0.088**", "0.09 of the time"),
    ):
        assert measured in page
        assert quoted in README

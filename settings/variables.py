"""Every variable there is: what it sets, and how its text is read. One table, which is also the list of known names."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from llm.exceptions import ConfigError

Section = Literal["model", "knowledge", "session", "logging", "download", "web"]

PREFIXES = ("LLM_", "KB_", "SESSION_", "LOG_")
_WHOLE = re.compile(r"[+-]?[0-9]+")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_FLAGS = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable, the field it sets, and the reader of its text. A reader raises ValueError with what is allowed.

    The text of a secret one does not stand in error messages.
    """

    name: str
    section: Section
    field: str
    read: Callable[[str], object]
    secret: bool = False


def _text(text: str) -> str:
    return text


def _whole(text: str) -> int:
    if not _WHOLE.fullmatch(text):
        raise ValueError("a whole number")
    return int(text)


def _number(text: str) -> float:
    if not _NUMBER.fullmatch(text):
        raise ValueError("a number")
    return float(text)


def _flag(text: str) -> bool:
    if text.lower() not in _FLAGS:
        raise ValueError("1 or 0, true or false, yes or no, on or off")
    return _FLAGS[text.lower()]


def _level(text: str) -> str:
    return text.upper()


def _texts(text: str) -> tuple[str, ...]:
    # Only spaces are cut off: a stop text may well be a line break.
    return tuple(part.strip(" ") for part in text.split(","))


def _optional(read: Callable[[str], object]) -> Callable[[str], object]:
    return lambda text: None if text.lower() == "none" else read(text)


VARIABLES: dict[str, Variable] = {
    variable.name: variable
    for variable in (
        Variable("LOG_RUNNER_LEVEL", "logging", "runner", _level),
        Variable("LOG_DOC_LEVEL", "logging", "document", _level),
        Variable("LOG_KNOWLEDGE_LEVEL", "logging", "knowledge", _level),
        Variable("LOG_MODEL_POOL_LEVEL", "logging", "model_pool", _level),
        Variable("LOG_TOOL_LEVEL", "logging", "tool", _level),
        Variable("LOG_AGENT_LEVEL", "logging", "agent", _level),
        Variable("LLM_MODEL", "model", "model_name", _text),
        Variable("LLM_BACKEND", "model", "backend", _text),
        Variable("LLM_DEVICE", "model", "device", _text),
        Variable("LLM_DTYPE", "model", "dtype", _optional(_text)),
        Variable("LLM_MAX_NEW_TOKENS", "model", "max_new_tokens", _whole),
        Variable("LLM_TEMPERATURE", "model", "temperature", _number),
        Variable("LLM_TOP_P", "model", "top_p", _number),
        Variable("LLM_SEED", "model", "seed", _optional(_whole)),
        Variable("LLM_MODELS_DIR", "model", "models_dir", _text),
        Variable("LLM_MAX_CONCURRENCY", "model", "max_concurrency", _whole),
        Variable("LLM_MAX_QUEUE", "model", "max_queue", _whole),
        Variable("LLM_GPU_LAYERS", "model", "n_gpu_layers", _whole),
        Variable("LLM_N_CTX", "model", "n_ctx", _whole),
        Variable("LLM_N_BATCH", "model", "n_batch", _whole),
        Variable("LLM_QUANTIZATION", "model", "quantization", _optional(_text)),
        Variable("LLM_TRUST_REMOTE_CODE", "model", "trust_remote_code", _flag),
        Variable("LLM_STOP_TOKENS", "model", "stop_tokens", _optional(_texts)),
        Variable("LLM_MAX_SEARCH_RESULTS", "model", "max_search_results", _whole),
        Variable("LLM_OFFLINE", "download", "offline", _flag),
        Variable("LLM_HUB_ENDPOINT", "download", "endpoint", _optional(_text)),
        Variable("LLM_PRIVATE", "web", "private", _flag),
        Variable("SERPAPI_API_KEY", "web", "serpapi_api_key", _text, secret=True),
        Variable("KB_TYPE", "knowledge", "store_type", _text),
        Variable("KB_CHROMA_PERSIST_DIRECTORY", "knowledge", "persist_directory", _text),
        Variable("KB_CHROMA_HOST", "knowledge", "host", _optional(_text)),
        Variable("KB_CHROMA_PORT", "knowledge", "port", _whole),
        Variable("KB_CHROMA_RETRIEVE_COLLECTION", "knowledge", "retrieve_collection", _text),
        Variable("KB_CHROMA_CONTEXT_COLLECTION", "knowledge", "context_collection", _text),
        Variable("KB_CHROMA_DOCUMENT_COLLECTION", "knowledge", "document_collection", _text),
        Variable("KB_CHROMA_BATCH_SIZE", "knowledge", "batch_size", _whole),
        Variable("KB_CHROMA_EMBEDDING_MODEL", "knowledge", "embedding_model", _text),
        Variable("KB_CHROMA_EMBEDDING_MODEL_DIR", "knowledge", "embedding_model_dir", _text),
        Variable("KB_CHROMA_EMBEDDING_ENGINE", "knowledge", "embedding_engine", _text),
        Variable("KB_TEXT_ENCODING", "knowledge", "text_encoding", _optional(_text)),
        Variable("DOCLING_ARTIFACTS_PATH", "knowledge", "artifacts_path", _optional(_text)),
        Variable("KB_CHROMA_RETRIEVAL_CHUNK_SIZE", "knowledge", "retrieval_chunk_size", _whole),
        Variable("KB_CHROMA_RETRIEVAL_CHUNK_OVERLAP", "knowledge", "retrieval_chunk_overlap", _whole),
        Variable("KB_CHROMA_CONTEXT_CHUNK_SIZE", "knowledge", "context_chunk_size", _whole),
        Variable("KB_CHROMA_CONTEXT_CHUNK_OVERLAP", "knowledge", "context_chunk_overlap", _whole),
        Variable("SESSION_DATABASE_URL", "session", "database_url", _text, secret=True),
        Variable("SESSION_BUSY_TIMEOUT", "session", "busy_timeout", _number),
        Variable("SESSION_WAIT_TIMEOUT", "session", "wait_timeout", _number),
        Variable("SESSION_SUMMARIZE", "session", "summarize", _flag),
    )
}


def check_names(names: Iterable[str]) -> None:
    """Refuse a misspelt variable of ours; other people's names are none of our business.

    Raises:
        ConfigError: names the variable and the known one that is most like it.
    """
    for name in names:
        if name.upper().startswith(PREFIXES) and name not in VARIABLES:
            (nearest,) = difflib.get_close_matches(name.upper(), VARIABLES, n=1, cutoff=0.0)
            raise ConfigError(name, "", f"there is no such variable; the nearest is {nearest}")

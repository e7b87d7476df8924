"""The options with which a command changes the configured model for one run."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..llm_config import LLMConfig

_FIELDS = ("model_name", "backend", "device", "models_dir", "n_ctx", "temperature", "top_p", "max_new_tokens", "seed")

DEMO_NOTE = (
    "Answering: the built-in demo model. It shows that everything works and knows next to nothing; for real answers "
    "set LLM_MODEL or use --model (see `practorflow models --help`)."
)


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Each has its default in the settings."""
    group = parser.add_argument_group("model")
    add_model_choice(group)
    group.add_argument("--device", metavar="DEVICE", help="auto, cpu, cuda, cuda:0, mps (LLM_DEVICE)")
    group.add_argument("--n-ctx", type=int, metavar="TOKENS", help="tokens of memory for the conversation (LLM_N_CTX)")
    group.add_argument(
        "--temperature", type=float, metavar="T", help="0 always takes the likeliest token (LLM_TEMPERATURE)"
    )
    group.add_argument(
        "--top-p", type=float, metavar="P", help="of the likeliest tokens, those that make up this much (LLM_TOP_P)"
    )
    group.add_argument(
        "--max-new-tokens", type=int, metavar="TOKENS", help="the most tokens of one reply (LLM_MAX_NEW_TOKENS)"
    )
    group.add_argument("--seed", type=int, metavar="N", help="same seed, same text (LLM_SEED)")


def add_model_choice(parser: argparse._ActionsContainer) -> None:
    """Which model, without how it is sampled."""
    parser.add_argument("--model", dest="model_name", metavar="MODEL", help="name or path of a model (LLM_MODEL)")
    add_model_place(parser)


def add_model_place(parser: argparse._ActionsContainer) -> None:
    """Where and how to look for a model that the command line names by itself."""
    parser.add_argument("--backend", choices=("llama_cpp", "transformers"), help="which kind of files (LLM_BACKEND)")
    parser.add_argument("--models-dir", metavar="FOLDER", help="where models are kept (LLM_MODELS_DIR)")


def chosen_model(configured: LLMConfig, options: argparse.Namespace) -> LLMConfig:
    """The configuration with what the command line says instead.

    Raises:
        ConfigError: a value is not allowed.
    """
    given: dict[str, Any] = {name: getattr(options, name, None) for name in _FIELDS}
    changes = {name: value for name, value in given.items() if value is not None}
    return configured.replace(**changes) if changes else configured

"""`appConfiguration`: the process environment, then ``options.env``, then the defaults, as validated values.

`load_settings` is a function of its arguments. `appConfiguration` is its result for this process; it is built when it
is first asked for, and then also decides what the process may download and ask the web. Nothing writes to the
environment.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from llm.exceptions import ConfigError
from llm.hub.policy import DownloadPolicy, set_download_policy
from llm.knowledge.chroma_knowledge_config import ChromaKnowledgeConfig
from llm.llm_config import LLMConfig
from llm.logs import LogLevels
from llm.session.session_config import SessionConfig
from llm.tools.web_policy import WebAccess, set_web_access

from .options_file import find_options_file, read_options_file
from .variables import VARIABLES, Section, check_names

__all__ = ["AppConfiguration", "appConfiguration", "load_settings"]

DEFAULT_MODEL = "demo"

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class AppConfiguration:
    """Everything that a program needs to know about its configuration.

    Attributes:
        ModelConfiguration: the model and its default sampling.
        KnowledgeChromaConfiguration: the knowledge store.
        SessionConfiguration: the session store.
        LoggerConfiguration: the components' log levels; nothing is logged before its `apply()`.
        DownloadConfiguration: whether and where models may be downloaded.
        WebConfiguration: whether web tools may ask the web.
        options_file: the file that was read, None where there was none.
    """

    ModelConfiguration: LLMConfig
    KnowledgeChromaConfiguration: ChromaKnowledgeConfig
    SessionConfiguration: SessionConfig
    LoggerConfiguration: LogLevels
    DownloadConfiguration: DownloadPolicy
    WebConfiguration: WebAccess
    options_file: Path | None = field(default=None, compare=False)


class _Given(NamedTuple):
    """The text of a variable and where it was found."""

    text: str
    source: str


def load_settings(*, environ: Mapping[str, str], options_file: Path | None = None) -> AppConfiguration:
    """Read and validate the configuration.

    An empty value counts as absent. A variable of `environ` wins over the same one in the options file.

    Args:
        environ: the environment, such as ``os.environ``.
        options_file: path of an ``options.env``; None reads none.

    Raises:
        ConfigError: names the variable, its value and what is allowed.
    """
    given: dict[str, _Given] = {}
    if options_file is not None:
        options = read_options_file(options_file)
        check_names(options)
        given.update({name: _Given(text, str(options_file)) for name, text in options.items() if text.strip()})
    given.update(
        {name: _Given(environ[name], "the environment") for name in VARIABLES if environ.get(name, "").strip()}
    )
    return AppConfiguration(
        ModelConfiguration=_section("model", LLMConfig, given, {"model_name": DEFAULT_MODEL}),
        KnowledgeChromaConfiguration=_section("knowledge", ChromaKnowledgeConfig, given),
        SessionConfiguration=_section("session", SessionConfig, given),
        LoggerConfiguration=_section("logging", LogLevels, given),
        DownloadConfiguration=_section("download", DownloadPolicy, given),
        WebConfiguration=_section("web", WebAccess, given),
        options_file=options_file,
    )


def _section(
    section: Section, build: Callable[..., T], given: Mapping[str, _Given], defaults: Mapping[str, Any] | None = None
) -> T:
    """Build one part of the configuration, with every complaint in terms of the variable that caused it."""
    values: dict[str, Any] = dict(defaults or {})
    variables = {variable.field: variable for variable in VARIABLES.values() if variable.section == section}
    for variable in variables.values():
        if variable.name in given:
            try:
                values[variable.field] = variable.read(given[variable.name].text)
            except ValueError as exc:
                raise _complaint(variable.name, given, str(exc)) from None
    try:
        return build(**values)
    except ConfigError as exc:
        name = variables[exc.field].name
        if name not in given:
            raise ConfigError(name, exc.value, exc.allowed) from None
        raise _complaint(name, given, exc.allowed) from None


def _complaint(name: str, given: Mapping[str, _Given], allowed: str) -> ConfigError:
    text, source = given[name]
    return ConfigError(name, "(not shown)" if VARIABLES[name].secret else text, f"{allowed} (set in {source})")


appConfiguration: AppConfiguration


def __getattr__(name: str) -> AppConfiguration:
    if name != "appConfiguration":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    configuration = load_settings(environ=os.environ, options_file=find_options_file(os.environ))
    set_download_policy(configuration.DownloadConfiguration)
    set_web_access(configuration.WebConfiguration)
    globals()["appConfiguration"] = configuration
    return configuration

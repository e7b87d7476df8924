"""Our errors as those that Pydantic AI's users catch and its FallbackModel falls back on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pydantic_ai.exceptions import (
    ModelAPIError,
    ModelContextWindowExceededError,
    ModelOverloadedError,
    ModelRequestRejectedError,
    ModelServerError,
    ModelTimeoutError,
    ModelUnavailableError,
    UserError,
)
from pydantic_ai.exceptions import ModelNotFoundError as ProviderModelNotFoundError

from .. import exceptions as ours

_CLASSES: tuple[tuple[tuple[type[ours.LLMError], ...], type[ModelAPIError]], ...] = (
    ((ours.ContextWindowError,), ModelContextWindowExceededError),
    ((ours.EngineBusyError, ours.PoolBusyError, ours.PoolTimeoutError), ModelOverloadedError),
    ((ours.GenerationTimeoutError,), ModelTimeoutError),
    ((ours.EngineFailedError, ours.ModelLoadError, ours.ModelFormatError), ModelServerError),
    ((ours.ModelNotFoundError, ours.DownloadError), ProviderModelNotFoundError),
    ((ours.EngineClosedError, ours.GenerationCancelledError, ours.PoolError), ModelUnavailableError),
    ((ours.RequestError,), ModelRequestRejectedError),
    ((ours.LLMError,), ModelAPIError),
)
"""The first row that fits decides."""


@contextmanager
def mapped_errors(model_name: str, *, in_stream: bool = False) -> Iterator[None]:
    """Raise errors of this library as Pydantic AI's, from the original.

    Args:
        model_name: whose errors they are.
        in_stream: part of the reply has been handed out.
    """
    try:
        yield
    except (ours.SchemaError, ours.ConfigError) as error:
        # The program asks for what this model never does, so another attempt cannot help.
        raise UserError(str(error)) from error
    except ours.LLMError as error:
        kind = next(theirs for own, theirs in _CLASSES if isinstance(error, own))
        raise kind(model_name, str(error), in_stream=in_stream) from error

"""PractorFlow: private AI inside your own walls.

    from llm import LLMConfig, ModelPool, create_runner

Importing this package loads no backend; each comes with the first model that needs it. It switches off what the
dependencies would send, before any of them can be imported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .exceptions import (
    ConfigError,
    ContextWindowError,
    ConversionCrashedError,
    DocumentDamagedError,
    DocumentEmptyError,
    DocumentEncodingError,
    DocumentEncryptedError,
    DocumentError,
    DocumentFormatError,
    DocumentLoaderClosedError,
    DocumentNotFoundError,
    DocumentSourceError,
    DocumentTimeoutError,
    DocumentTooLargeError,
    DocumentTypeError,
    DownloadError,
    EmbedderMismatchError,
    EngineBusyError,
    EngineClosedError,
    EngineFailedError,
    GenerationCancelledError,
    GenerationError,
    GenerationTimeoutError,
    HandleReleasedError,
    KnowledgeError,
    KnowledgeStoreError,
    LLMError,
    ModelError,
    ModelFormatError,
    ModelLoadError,
    ModelNotFoundError,
    OfflineError,
    PoolBusyError,
    PoolCapacityError,
    PoolClosedError,
    PoolError,
    PoolTimeoutError,
    PrivacyError,
    RequestError,
    SchemaError,
    SessionBusyError,
    SessionChangedError,
    SessionError,
    SessionNotFoundError,
    SessionStoreError,
    StoreFullError,
    StoreLockedError,
    TemplateError,
    UnsupportedDocumentError,
)
from .llm_config import LLMConfig
from .names_on_demand import names_on_demand
from .privacy import keep_private

if TYPE_CHECKING:
    from .base.generation_stream import GenerationStream
    from .base.llm_runner import LLMRunner
    from .base.messages import GenerateResult, Message, PartialToolCall, StreamChunk, ToolCall, Usage
    from .base.tool_loop import ToolRun
    from .base.tool_steps import RunResult, ToolOutcome, ToolStep
    from .factory import create_runner
    from .pool.model_handle import ModelHandle
    from .pool.model_pool import ModelPool

__all__ = [
    "ConfigError",
    "ContextWindowError",
    "ConversionCrashedError",
    "DocumentDamagedError",
    "DocumentEmptyError",
    "DocumentEncodingError",
    "DocumentEncryptedError",
    "DocumentError",
    "DocumentFormatError",
    "DocumentLoaderClosedError",
    "DocumentNotFoundError",
    "DocumentSourceError",
    "DocumentTimeoutError",
    "DocumentTooLargeError",
    "DocumentTypeError",
    "DownloadError",
    "EmbedderMismatchError",
    "EngineBusyError",
    "EngineClosedError",
    "EngineFailedError",
    "GenerateResult",
    "GenerationCancelledError",
    "GenerationError",
    "GenerationStream",
    "GenerationTimeoutError",
    "HandleReleasedError",
    "KnowledgeError",
    "KnowledgeStoreError",
    "LLMConfig",
    "LLMError",
    "LLMRunner",
    "Message",
    "ModelError",
    "ModelFormatError",
    "ModelHandle",
    "ModelLoadError",
    "ModelNotFoundError",
    "ModelPool",
    "OfflineError",
    "PartialToolCall",
    "PoolBusyError",
    "PoolCapacityError",
    "PoolClosedError",
    "PoolError",
    "PoolTimeoutError",
    "PrivacyError",
    "RequestError",
    "RunResult",
    "SchemaError",
    "SessionBusyError",
    "SessionChangedError",
    "SessionError",
    "SessionNotFoundError",
    "SessionStoreError",
    "StoreFullError",
    "StoreLockedError",
    "StreamChunk",
    "TemplateError",
    "ToolCall",
    "ToolOutcome",
    "ToolRun",
    "ToolStep",
    "UnsupportedDocumentError",
    "Usage",
    "create_runner",
]

_ON_DEMAND = {
    "GenerateResult": ".base.messages",
    "GenerationStream": ".base.generation_stream",
    "LLMRunner": ".base.llm_runner",
    "Message": ".base.messages",
    "ModelHandle": ".pool.model_handle",
    "ModelPool": ".pool.model_pool",
    "PartialToolCall": ".base.messages",
    "RunResult": ".base.tool_steps",
    "StreamChunk": ".base.messages",
    "ToolCall": ".base.messages",
    "ToolOutcome": ".base.tool_steps",
    "ToolRun": ".base.tool_loop",
    "ToolStep": ".base.tool_steps",
    "Usage": ".base.messages",
    "create_runner": ".factory",
}

keep_private()
__getattr__, __dir__ = names_on_demand(globals(), _ON_DEMAND)

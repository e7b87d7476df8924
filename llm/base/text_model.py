"""What a runner needs of a loaded model, whatever backend it lives in."""

from __future__ import annotations

from typing import Protocol

from ..chat.chat_format import ChatFormat
from ..chat.tokenizer import Tokenizer
from ..engine.batch_engine import EngineStatistics
from ..engine.request import EngineRequest
from ..engine.token_stream import TokenStream
from .loaded_model import LoadedModel


class Engine(Protocol):
    """Computes many requests at once; see BatchEngine for what each call promises."""

    def validate(self, request: EngineRequest) -> None: ...
    def submit(self, request: EngineRequest) -> TokenStream: ...
    def statistics(self) -> EngineStatistics: ...
    def check_integrity(self) -> None: ...
    def close(self) -> None: ...


class TextModel(LoadedModel, Protocol):
    """A loaded model that holds conversations."""

    @property
    def context_window(self) -> int:
        """The most tokens that prompt and reply may have together."""

    @property
    def engine(self) -> Engine: ...

    @property
    def tokenizer(self) -> Tokenizer: ...

    @property
    def chat(self) -> ChatFormat:
        """How to talk with the model."""

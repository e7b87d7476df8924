"""Carries models in and out: the ledger's decisions, done in threads by the loader, and reported back to the ledger.

Invariant: whatever it is told to do is reported to the ledger exactly once, whether it succeeded or not.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from ..base.loaded_model import LoadedModel, ModelLoader
from ..exceptions import LLMError, ModelLoadError
from ..llm_config import LLMConfig
from ..logs import MODEL_POOL, get_logger
from .errands import Errands
from .ledger import Decisions, Ledger, Slot

_logger = get_logger(MODEL_POOL)


class Porter:
    """Loads, measures and closes models without blocking the event loop.

    Args:
        loader: None asks `llm.factory` for its own when the first model is wanted.
        settle: called after each report, so that the ledger can decide anew.
    """

    def __init__(
        self, ledger: Ledger, errands: Errands, *, loader: ModelLoader | None, settle: Callable[[], None]
    ) -> None:
        self._ledger = ledger
        self._errands = errands
        self._loader = loader
        self._settle = settle

    @property
    def loader(self) -> ModelLoader:
        if self._loader is None:
            from ..factory import default_loader  # it knows the backends, so it is asked for on demand

            self._loader = default_loader()
        return self._loader

    def carry_out(self, decisions: Decisions) -> None:
        """Begin whatever was decided; nothing is waited for."""
        for slot in decisions.close:
            self._close(slot)
        for config in decisions.estimate:
            self._estimate(config)
        for slot in decisions.load:
            self._load(slot)

    def _estimate(self, config: LLMConfig) -> None:
        key, name = config.model_key, config.model_name

        def done(memory: int) -> None:
            self._ledger.estimated(key, memory)
            self._settle()

        def failed(error: BaseException) -> None:
            self._ledger.estimate_failed(key, _model_error(name, error))
            self._settle()

        work = partial(self.loader.estimate_memory, config)
        self._errands.run(f"estimate {name}", work, done=done, failed=failed)

    def _load(self, slot: Slot) -> None:
        name, loader = slot.config.model_name, self.loader

        def work() -> tuple[LoadedModel, int]:
            model = loader.load(slot.config)
            return model, model.memory_bytes

        def done(result: tuple[LoadedModel, int]) -> None:
            model, memory = result
            _logger.info("Loaded %r, %d bytes.", name, memory)
            self._ledger.loaded(slot, model, memory)
            self._settle()

        def failed(error: BaseException) -> None:
            # Whoever waits gets the error itself.
            _logger.info("Loading %r failed with %s.", name, type(error).__name__)
            self._ledger.load_failed(slot, _model_error(name, error))
            self._settle()

        _logger.info("Loading %r.", name)
        self._errands.run(f"load {name}", work, done=done, failed=failed)

    def _close(self, slot: Slot) -> None:
        name, model = slot.config.model_name, slot.model
        assert model is not None, "closing a model that was never loaded"

        def done(_: None) -> None:
            _logger.info("Closed %r.", name)
            self._ledger.closed(slot)
            self._settle()

        def failed(error: BaseException) -> None:
            # Nobody waits for this answer, and the model cannot be used again: its place counts as free.
            _logger.error("Closing %r failed; its memory may still be taken.", name, exc_info=error)
            self._ledger.closed(slot)
            self._settle()

        self._errands.run(f"close {name}", model.close, done=done, failed=failed)


def _model_error(name: str, error: BaseException) -> LLMError:
    """An error of this library as it is, any other as the cause of one."""
    if isinstance(error, LLMError):
        return error
    wrapped = ModelLoadError(f"{name!r} could not be loaded: {type(error).__name__}: {error}")
    wrapped.__cause__ = error
    return wrapped

"""A model loader without models: what takes long waits for an event, what fails is scripted, all is written down.

For tests of whatever stands on a ModelPool::

    loader = FakeLoader()
    pool = ModelPool(max_models=2, loader=loader)
    gate = loader.hold("big")                    # loads of "big" now wait until gate.set()
    loader.fail("broken", ModelLoadError("no"))  # the next load of "broken" fails

Invariant: a FakeModel that is closed while somebody is `using` it is written down in `FakeLoader.faults`, whatever
the pool believes.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Literal

from ..exceptions import EngineClosedError
from ..llm_config import LLMConfig

Step = Literal["estimate", "load", "close"]

PATIENCE = 30.0  # seconds after which a step that nobody lets go on fails its test instead of hanging it


class FakeModel:
    """What FakeLoader loads. It computes nothing and knows who uses it."""

    def __init__(self, config: LLMConfig, memory_bytes: int, loader: FakeLoader) -> None:
        self.config = config
        self.closed = False
        self.users = 0
        self._memory_bytes = memory_bytes
        self._loader = loader

    @property
    def memory_bytes(self) -> int:
        return self._memory_bytes

    @contextmanager
    def using(self) -> Iterator[None]:
        """Use the model for the length of a `with` block, as a request would.

        Raises:
            EngineClosedError: it was closed before or meanwhile.
        """
        self._check_open()
        self.users += 1
        try:
            yield
            self._check_open()
        finally:
            self.users -= 1

    def close(self) -> None:
        self._loader.close(self)

    def _check_open(self) -> None:
        if self.closed:
            raise EngineClosedError(f"{self.config.model_name!r} was closed.")

    def __repr__(self) -> str:
        return f"<FakeModel {self.config.model_name!r}, {'closed' if self.closed else f'{self.users} users'}>"


class FakeLoader:
    """Loads FakeModels as its script says.

    Args:
        sizes: bytes by model name that a loaded model takes; others take 1.
        estimates: bytes by model name that `estimate_memory` tells, where it differs from the size.

    Attributes:
        steps: all steps in the order in which they began, as (step, model name).
        present: models from the beginning of their load to the end of their closing.
        most_present: the most models that were present at once.
        most_memory: the most bytes that those loaded took at once.
        faults: what must never happen, in words; empty at the end of a good test.
    """

    def __init__(self, *, sizes: Mapping[str, int] | None = None, estimates: Mapping[str, int] | None = None) -> None:
        self.sizes = dict(sizes or {})
        self.estimates = dict(estimates or {})
        self.steps: list[tuple[Step, str]] = []
        self.present = 0
        self.most_present = 0
        self.memory = 0
        self.most_memory = 0
        self.faults: list[str] = []
        self._gates: dict[tuple[Step, str], threading.Event] = {}
        self._failures: dict[tuple[Step, str], list[BaseException]] = {}
        self._lock = threading.Lock()

    # The script -------------------------------------------------------------------------------------------------

    def hold(self, name: str, step: Step = "load") -> threading.Event:
        """Make that step of that model wait until the returned event is set."""
        gate = self._gates[step, name] = threading.Event()
        return gate

    def fail(self, name: str, error: BaseException, *, step: Step = "load", times: int = 1) -> None:
        """Make the next `times` such steps of that model raise `error`."""
        self._failures.setdefault((step, name), []).extend([error] * times)

    def count(self, step: Step, name: str | None = None) -> int:
        """How often that step began, of one model or of all."""
        counts = Counter(self.steps)
        return sum(count for (kind, model), count in counts.items() if kind == step and name in (None, model))

    # The contract -----------------------------------------------------------------------------------------------

    def estimate_memory(self, config: LLMConfig) -> int:
        self._step("estimate", config.model_name)
        return self.estimates.get(config.model_name, self._size(config))

    def load(self, config: LLMConfig) -> FakeModel:
        with self._lock:
            self.present += 1
            self.most_present = max(self.most_present, self.present)
        try:
            self._step("load", config.model_name)
        except BaseException:
            with self._lock:
                self.present -= 1
            raise
        model = FakeModel(config, self._size(config), self)
        with self._lock:
            self.memory += model.memory_bytes
            self.most_memory = max(self.most_memory, self.memory)
        return model

    def close(self, model: FakeModel) -> None:
        """What `model.close()` does."""
        name = model.config.model_name
        with self._lock:
            if model.closed:
                return
            if model.users:
                self.faults.append(f"{name!r} was closed under {model.users} users")
            model.closed = True
        try:
            self._step("close", name)
        finally:
            with self._lock:
                self.present -= 1
                self.memory -= model.memory_bytes

    def _size(self, config: LLMConfig) -> int:
        return self.sizes.get(config.model_name, 1)

    def _step(self, step: Step, name: str) -> None:
        with self._lock:
            self.steps.append((step, name))
            gate = self._gates.get((step, name))
            failures = self._failures.get((step, name))
            error = failures.pop(0) if failures else None
        if threading.current_thread() is threading.main_thread():
            self.faults.append(f"{step} of {name!r} blocks the main thread")
        if gate is not None and not gate.wait(PATIENCE):
            raise TimeoutError(f"nobody let the {step} of {name!r} go on")
        if error is not None:
            raise error

    def __repr__(self) -> str:
        return f"<FakeLoader with {self.present} models present, {len(self.faults)} faults>"

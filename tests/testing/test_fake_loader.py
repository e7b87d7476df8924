"""The fake loader tells the truth about what was done to it; the tests of the pool stand on that."""

from __future__ import annotations

import threading

import pytest

from llm.exceptions import EngineClosedError, ModelLoadError
from llm.llm_config import LLMConfig
from llm.testing.fake_loader import FakeLoader, FakeModel

A = LLMConfig(model_name="a")


def elsewhere(loader: FakeLoader, config: LLMConfig = A) -> FakeModel:
    """Load on another thread, as a pool does."""
    models: list[FakeModel] = []
    thread = threading.Thread(target=lambda: models.append(loader.load(config)))
    thread.start()
    thread.join()
    return models[0]


def close_elsewhere(model: FakeModel) -> None:
    thread = threading.Thread(target=model.close)
    thread.start()
    thread.join()


def test_it_counts_what_is_present_and_what_that_takes() -> None:
    """Steps, models and bytes are written down, and closing twice counts once."""
    loader = FakeLoader(sizes={"a": 5})
    one, two = elsewhere(loader), elsewhere(loader)
    close_elsewhere(one)
    close_elsewhere(one)
    close_elsewhere(two)
    assert loader.steps == [("load", "a"), ("load", "a"), ("close", "a"), ("close", "a")]
    assert (loader.present, loader.most_present, loader.memory, loader.most_memory) == (0, 2, 0, 10)
    assert (loader.count("load"), loader.count("load", "b")) == (2, 0)
    assert loader.faults == []


def test_closing_under_a_user_is_a_fault() -> None:
    """The user gets EngineClosedError, as from a real engine, and the test that looks at `faults` fails."""
    loader = FakeLoader()
    model = elsewhere(loader)
    with pytest.raises(EngineClosedError), model.using():
        close_elsewhere(model)
    with pytest.raises(EngineClosedError), model.using():
        pass
    assert loader.faults == ["'a' was closed under 1 users"]


def test_working_on_the_main_thread_is_a_fault() -> None:
    """That is where event loops run, and they must not be blocked."""
    loader = FakeLoader()
    loader.load(A)
    assert loader.faults == ["load of 'a' blocks the main thread"]


def test_failures_come_as_often_as_they_were_scripted() -> None:
    """A load that failed leaves nothing present."""
    loader = FakeLoader()
    loader.fail("a", ModelLoadError("no"), times=2)
    for _ in range(2):
        with pytest.raises(ModelLoadError):
            loader.load(A)
    assert loader.present == 0
    loader.load(A)


def test_a_held_step_waits_for_its_event() -> None:
    """Nothing is present but the load that has begun, until the test lets it go on."""
    loader = FakeLoader()
    gate = loader.hold("a")
    thread = threading.Thread(target=loader.load, args=(A,))
    thread.start()
    assert thread.is_alive()
    assert loader.memory == 0
    gate.set()
    thread.join()
    assert loader.memory == 1


def test_estimates_may_differ_from_sizes() -> None:
    """What the loader promises and what the model takes are scripted apart."""
    loader = FakeLoader(sizes={"a": 5}, estimates={"a": 3})
    assert loader.estimate_memory(A) == 3
    assert elsewhere(loader).memory_bytes == 5

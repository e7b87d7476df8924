"""A lease on a loaded model, as its holder sees it.

Invariant: while a handle is not released its model stays loaded; once it is released the model cannot be reached
through it, and whatever was opened under it has been told to stop.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable

from ..base.loaded_model import LoadedModel
from ..exceptions import HandleReleasedError, PoolClosedError
from ..llm_config import LLMConfig
from .ledger import Lease, Slot


class ModelHandle:
    """The right to use a model until it is given back. The pool makes it; give it to `create_runner`.

    Args:
        lease: the ledger's record of it.
        give_back: ends the lease; called once.
        forget: the same for a handle that was dropped instead of given back; safe from any thread.
    """

    def __init__(self, lease: Lease, *, give_back: Callable[[Lease], None], forget: Callable[[Lease], None]) -> None:
        self._lease = lease
        self._give_back = give_back
        self._forget = forget
        self._released = False
        self._stops: dict[Callable[[], object], None] = {}  # in the order of opening

    @property
    def config(self) -> LLMConfig:
        """What the holder asked for, its own sampling settings included. Readable after release, too."""
        return self._lease.config

    @property
    def released(self) -> bool:
        """Whether the lease was given back."""
        return self._released

    @property
    def model(self) -> LoadedModel:
        """The loaded model. Do not keep it: ask the handle each time.

        Raises:
            HandleReleasedError: the lease was given back.
            PoolClosedError: the pool was closed while this lease was held.
        """
        model = self._slot.model
        assert model is not None, "a lease on a model that is not loaded"
        return model

    def mark_broken(self) -> None:
        """Say that the model no longer works: nobody new gets it, and it is closed when the last lease on it ends.

        Who asks for it after that gets it loaded anew.

        Raises:
            HandleReleasedError: the lease was given back.
            PoolClosedError: the pool was closed while this lease was held.
        """
        self._slot.condemn()

    def track(self, stop: Callable[[], object]) -> None:
        """Have `stop` called when the lease ends, for instance to stop a stream that is still running.

        Whoever tracks something calls `untrack` as soon as it has ended, so that a long lease collects nothing.
        `stop` must return at once; it may be called from any thread if the handle is dropped without release.

        Raises:
            HandleReleasedError: the lease was given back.
            PoolClosedError: the pool was closed while this lease was held.
        """
        _ = self._slot  # nothing is opened under a lease that has ended
        self._stops[stop] = None

    def untrack(self, stop: Callable[[], object]) -> None:
        """Forget `stop`; forgetting it twice does nothing."""
        self._stops.pop(stop, None)

    def close(self) -> None:
        """Stop what was opened under the lease and give it back. A second call does nothing.

        It never waits, so no cancellation can come in between.
        """
        self._end(self._give_back)

    async def release(self) -> None:
        """The same as `close`, for symmetry with `await pool.acquire(...)`."""
        self.close()

    @property
    def _slot(self) -> Slot:
        name = self.config.model_name
        if self._released:
            raise HandleReleasedError(f"The lease on {name!r} was given back. Acquire the model again to use it.")
        if self._lease.state != "held" or self._lease.slot is None:
            raise PoolClosedError(f"The pool was closed while this lease on {name!r} was held.")
        return self._lease.slot

    def _end(self, give_back: Callable[[Lease], None]) -> None:
        if self._released:
            return
        self._released = True
        with contextlib.ExitStack() as last_first:  # every call is made, even where one of them raises
            last_first.callback(give_back, self._lease)
            for stop in self._stops:
                last_first.callback(stop)
            self._stops = {}

    def __del__(self) -> None:
        if not self._released and self._lease.state == "held":
            # Give back before warning: with warnings as errors the second would prevent the first.
            self._end(self._forget)
            warnings.warn(
                f"A lease on {self.config.model_name!r} was dropped without being given back. "
                "Use `async with pool.acquire_context(config)`.",
                ResourceWarning,
                stacklevel=1,
            )

    def __repr__(self) -> str:
        if self._released:
            state = "released"
        elif self._lease.state == "held":
            state = "held"
        else:
            state = "ended by the closing of its pool"
        return f"<ModelHandle on {self.config.model_name!r}, {state}>"

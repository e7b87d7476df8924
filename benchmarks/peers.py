"""The same greedy completion of token prompts by different programs, behind one small interface.

All sides read the same file, use the same number of threads, and leave special CPU layouts of the weights off, so
that the comparison is about scheduling and not about who was compiled with what. What each was compiled with is
printed with the figures.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from llm.chat.detokenizer import Detokenizer
from llm.chat.llama_cpp_tokenizer import LlamaCppTokenizer
from llm.engine.batch_engine import BatchEngine
from llm.engine.compute_budget import PROCESS_BUDGET
from llm.engine.llama_cpp_executor import LlamaCppExecutor
from llm.engine.request import ConstraintCompiler, EngineRequest, SamplingParams
from llm.llama_cpp_library import initialised_library

THREADS = PROCESS_BUDGET.threads


@dataclass
class Completion:
    """One request as its caller saw it, times in seconds since the start of the round."""

    begun: float
    arrivals: list[float] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)

    @property
    def first_token(self) -> float:
        return self.arrivals[0] - self.begun

    @property
    def tokens_per_second(self) -> float:
        """Of the decoding phase: from the first token to the last."""
        return (len(self.arrivals) - 1) / (self.arrivals[-1] - self.arrivals[0])

    @property
    def longest_gap(self) -> float:
        return max(later - earlier for earlier, later in zip(self.arrivals, self.arrivals[1:], strict=False))


@dataclass(frozen=True)
class Job:
    """A prompt, the number of tokens to generate, and how many seconds after the start it is sent."""

    prompt: tuple[int, ...]
    count: int
    delay: float = 0.0


class Peer(Protocol):
    """Somebody who completes prompts."""

    name: str

    def run(self, jobs: Sequence[Job]) -> list[Completion]:
        """Send all jobs, each at its time, and wait for all."""

    def forget(self) -> None:
        """Lose whatever was cached, so that a round starts cold."""

    def close(self) -> None: ...


def load_weights(path: Path) -> Any:
    library = initialised_library()
    params = library.llama_model_default_params()
    params.use_extra_bufts = False
    return library.llama_model_load_from_file(str(path).encode(), params)


class OurEngine:
    """This library, from tokens to text on an event loop."""

    def __init__(
        self,
        weights: Any,
        *,
        cells: int = 8192,
        lookup: bool = True,
        max_concurrency: int = 32,
        compile_constraint: ConstraintCompiler | None = None,
        name: str = "practorflow",
    ) -> None:
        self.name = name
        self.tokenizer = LlamaCppTokenizer(initialised_library().llama_model_get_vocab(weights))
        self.engine = BatchEngine(
            lambda: LlamaCppExecutor(
                weights, cells=cells, max_batch=2048, max_running=max_concurrency, threads=THREADS
            ),
            max_concurrency=max_concurrency,
            lookup=lookup,
            compile_constraint=compile_constraint,
        )
        self.grammar: str | None = None
        self.sampling = SamplingParams(temperature=0)

    def run(self, jobs: Sequence[Job]) -> list[Completion]:
        return asyncio.run(self._all(jobs))

    async def _all(self, jobs: Sequence[Job]) -> list[Completion]:
        start = time.perf_counter()
        return await asyncio.gather(*(self._one(job, start) for job in jobs))

    async def _one(self, job: Job, start: float) -> Completion:
        await asyncio.sleep(job.delay)
        request = EngineRequest(prompt=job.prompt, max_tokens=job.count, sampling=self.sampling, grammar=self.grammar)
        self.engine.validate(request)
        completion = Completion(time.perf_counter() - start)
        stream = self.engine.submit(request)
        text = Detokenizer(self.tokenizer)
        while True:
            for output in await stream.next_outputs():
                if output.error is not None:
                    raise output.error
                text.feed(output.tokens)
                completion.tokens += output.tokens
                completion.arrivals += [time.perf_counter() - start] * len(output.tokens)
                if output.last:
                    return completion

    def forget(self) -> None:
        self.engine.forget()

    def close(self) -> None:
        self.engine.close()


class BareLoop:
    """`llama_decode` in a loop over one sequence, with numpy's argmax: the least that any program must do."""

    name = "bare llama_decode loop"

    def __init__(self, weights: Any, *, cells: int = 8192) -> None:
        self._executor = LlamaCppExecutor(weights, cells=cells, max_batch=2048, max_running=1, threads=THREADS)

    def run(self, jobs: Sequence[Job]) -> list[Completion]:
        start = time.perf_counter()
        return [self._one(job, start) for job in jobs]

    def _one(self, job: Job, start: float) -> Completion:
        completion, executor = Completion(time.perf_counter() - start), self._executor
        position, pending = 0, list(job.prompt)
        for _ in range(job.count):
            executor.batch.clear()
            executor.batch.add(0, position, pending, outputs=1)
            status = executor.compute()
            assert status == "done"
            position += len(pending)
            pending = [int(executor.logits(executor.batch.size - 1).argmax())]
            completion.tokens += pending
            completion.arrivals.append(time.perf_counter() - start)
        executor.truncate(0, 0)
        return completion

    def forget(self) -> None: ...

    def close(self) -> None:
        self._executor.close()


class LlamaPython:
    """llama-cpp-python's `Llama`, which serves one request after another."""

    name = "llama-cpp-python Llama"

    def __init__(self, path: Path, *, cells: int = 8192) -> None:
        import llama_cpp

        defaults = llama_cpp.llama_model_default_params

        def without_special_layouts() -> Any:
            params = defaults()
            params.use_extra_bufts = False
            return params

        llama_cpp.llama_cpp.llama_model_default_params = without_special_layouts
        try:
            self._llama = llama_cpp.Llama(
                str(path), n_ctx=cells, n_batch=2048, n_threads=THREADS, n_threads_batch=THREADS, verbose=False
            )
        finally:
            llama_cpp.llama_cpp.llama_model_default_params = defaults

    def run(self, jobs: Sequence[Job]) -> list[Completion]:
        start = time.perf_counter()
        completions = []
        for job in jobs:
            completion = Completion(0.0)
            for token in self._llama.generate(list(job.prompt), temp=0.0):
                self._llama.detokenize([token])
                completion.tokens.append(token)
                completion.arrivals.append(time.perf_counter() - start)
                if len(completion.tokens) == job.count:
                    break
            completions.append(completion)
        return completions

    def forget(self) -> None:
        self._llama.reset()

    def close(self) -> None:
        self._llama.close()


class XllamacppServer:
    """llama.cpp's own server, inside this process, through xllamacpp."""

    def __init__(self, path: Path, *, slots: int = 8, cells: int = 8192) -> None:
        import xllamacpp

        self.name = f"llama.cpp server, {slots} slots"
        self.build = xllamacpp.get_system_info()
        params = xllamacpp.CommonParams()
        params.model.path = str(path)
        params.n_ctx, params.n_batch, params.n_parallel = cells, 2048, slots
        params.kv_unified = True
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = THREADS
        params.n_gpu_layers = 0
        params.no_extra_bufts = True
        params.cache_ram_mib = 0
        params.verbosity = -1
        self._server = xllamacpp.Server(params)
        self._salt = 0

    def run(self, jobs: Sequence[Job]) -> list[Completion]:
        start = time.perf_counter()
        completions = [Completion(job.delay) for job in jobs]
        threads = [
            threading.Thread(target=self._one, args=(job, completion, start))
            for job, completion in zip(jobs, completions, strict=True)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return completions

    def _one(self, job: Job, completion: Completion, start: float) -> None:
        time.sleep(job.delay)
        completion.begun = time.perf_counter() - start

        def arrived(chunk: dict[str, Any]) -> None:
            if chunk.get("choices") and chunk["choices"][0].get("finish_reason") is None:
                completion.arrivals.append(time.perf_counter() - start)

        request = {
            "prompt": list(job.prompt),
            "n_predict": job.count,
            "ignore_eos": True,
            "temperature": 0,
            "stream": True,
            "cache_prompt": True,
        }
        self._server.handle_completions(request, arrived)

    def forget(self) -> None:
        """Fill every slot with something else; the server has no call for it inside the process."""
        self._salt += 1
        self.run([Job((7 + self._salt, 11 + slot, 13), 1) for slot in range(8)])

    def close(self) -> None: ...


def aggregate(completions: Sequence[Completion]) -> float:
    """Generated tokens of all over the time from the first request to the last token."""
    return sum(len(one.arrivals) for one in completions) / max(one.arrivals[-1] for one in completions)


def random_prompt(length: int, *, seed: int, vocabulary: int = 150_000) -> tuple[int, ...]:
    """Token ids that share no prefix with other seeds."""
    return tuple(int(token) for token in np.random.default_rng(seed).integers(0, vocabulary, size=length))


def interleaved(peers: Sequence[Peer], jobs: Callable[[int], Sequence[Job]], *, rounds: int) -> dict[str, list[Any]]:
    """Run the jobs of each round with every peer in turn, each round starting with another one."""
    results: dict[str, list[Any]] = {peer.name: [] for peer in peers}
    for number in range(rounds):
        order = [*peers[number % len(peers) :], *peers[: number % len(peers)]]
        for peer in order:
            peer.forget()
            time.sleep(0.3)  # let the other side's threads stop spinning
            results[peer.name].append(peer.run(jobs(number)))
    return results

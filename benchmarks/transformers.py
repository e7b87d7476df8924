"""The transformers backend against transformers itself, on a Qwen2-shaped model with random weights.

    python benchmarks/transformers.py
    python benchmarks/transformers.py --device cuda --shape billion --dtype bfloat16

One stream against `model.generate`; 8 requests at once (128-token prompts, 64 new tokens each, prompts included)
against one after another, and against `model.generate_batch` with small explicit pages. All sides hold the same
weights in memory. On a GPU also the share of what its memory could deliver at most: each step reads every weight once.
The last measurement is how long an event loop is held up while a process loads its first model, imports included.
"""

from __future__ import annotations

import sys
from pathlib import Path

# This script has the name of the library that it measures, so its own folder is searched last.
_FOLDER = str(Path(__file__).resolve().parent)
sys.path = [entry for entry in sys.path if Path(entry or ".").resolve() != Path(_FOLDER)] + [_FOLDER]

import argparse  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402
import subprocess  # noqa: E402
import time  # noqa: E402
from collections.abc import Sequence  # noqa: E402
from importlib.metadata import version  # noqa: E402
from typing import Any  # noqa: E402

import torch  # noqa: E402
import transformers  # noqa: E402
from figures import compare, finish  # noqa: E402
from peers import THREADS, Completion, Job, OurEngine, aggregate, interleaved, random_prompt  # noqa: E402
from transformers.generation.streamers import BaseStreamer  # noqa: E402

from llm.engine.batch_engine import BatchEngine  # noqa: E402
from llm.engine.request import SamplingParams  # noqa: E402
from llm.engine.transformers_opening import open_executor  # noqa: E402

SHAPES: dict[str, dict[str, int]] = {
    "tiny": {
        "vocab_size": 2048, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2,
    },
    "half-billion": {
        "vocab_size": 151_936, "hidden_size": 896, "intermediate_size": 4864, "num_hidden_layers": 24,
        "num_attention_heads": 14, "num_key_value_heads": 2,
    },
    "billion": {
        "vocab_size": 151_936, "hidden_size": 1536, "intermediate_size": 8960, "num_hidden_layers": 28,
        "num_attention_heads": 12, "num_key_value_heads": 2,
    },
}  # fmt: skip
PROMPT, TOKENS, STREAMS, CELLS = 128, 64, 8, 8192
PAGE = 64


class OurTransformers(OurEngine):
    """This library, from tokens to text on an event loop."""

    def __init__(self, model: Any, *, name: str = "practorflow") -> None:
        self.name = name
        self.tokenizer: Any = _Words()
        self.grammar = None
        self.sampling = SamplingParams(temperature=0)
        self.engine = BatchEngine(
            lambda: open_executor(model, cells=CELLS, max_batch=2048, max_running=32, threads=THREADS), lookup=False
        )


class _Words:
    """The text of random tokens."""

    def piece(self, token: int) -> bytes:  # noqa: ARG002 - of the protocol
        return b"word "


class PlainGenerate:
    """`model.generate`, one request after another."""

    name = "generate"

    def __init__(self, model: Any) -> None:
        self._model = model

    def run(self, jobs: Sequence[Job]) -> list[Completion]:
        start = time.perf_counter()
        return [self._one(job, start) for job in jobs]

    @torch.inference_mode()
    def _one(self, job: Job, start: float) -> Completion:
        completion = Completion(time.perf_counter() - start)

        class Arrivals(BaseStreamer):
            prompt = True

            def put(self, value: Any) -> None:  # noqa: ARG002 - of the protocol
                if not self.prompt:
                    completion.arrivals.append(time.perf_counter() - start)
                self.prompt = False

            def end(self) -> None: ...

        prompt = torch.tensor([job.prompt], device=self._model.device)
        self._model.generate(
            prompt,
            attention_mask=torch.ones_like(prompt),
            max_new_tokens=job.count,
            do_sample=False,
            streamer=Arrivals(),
        )
        return completion

    def forget(self) -> None: ...

    def close(self) -> None: ...


class GenerateBatch:
    """`model.generate_batch`; the manager is kept from one round to the next, so that its start does not count."""

    name = "generate_batch"

    def __init__(self, model: Any) -> None:
        self._model = model
        self._config = transformers.ContinuousBatchingConfig(
            page_size=PAGE, num_blocks=CELLS // PAGE, max_batch_tokens=2048, max_requests_per_batch=32,
            allow_block_sharing=False, auto_switch_to_flash=False,
        )  # fmt: skip

    def run(self, jobs: Sequence[Job]) -> list[Completion]:
        start = time.perf_counter()
        results = self._model.generate_batch(
            [list(job.prompt) for job in jobs],
            generation_config=transformers.GenerationConfig(
                max_new_tokens=jobs[0].count, do_sample=False, eos_token_id=-1, pad_token_id=0
            ),
            continuous_batching_config=self._config,
            persistent_manager=True,
        )
        assert all(len(result.generated_tokens) == jobs[0].count for result in results.values())
        seconds = time.perf_counter() - start
        return [Completion(0.0, [seconds] * job.count) for job in jobs]

    def forget(self) -> None: ...

    def close(self) -> None:
        self._model.destroy_cached_continuous_batching_manager()


def twins(shape: dict[str, int], *, device: str, dtype: torch.dtype, count: int) -> list[Any]:
    """Models that share their weights, each with an attention of its own."""
    models: list[Any] = []
    for _ in range(count):
        config = transformers.Qwen2Config(**shape, max_position_embeddings=32_768, tie_word_embeddings=True)
        torch.manual_seed(0)
        model = transformers.Qwen2ForCausalLM._from_config(config, attn_implementation="sdpa", dtype=dtype)
        model = model.eval().requires_grad_(False).to(device)
        if models:
            model.load_state_dict(models[0].state_dict(), assign=True)
            model.tie_weights()
        model.generation_config = transformers.GenerationConfig(pad_token_id=0)
        models.append(model)
    return models


def memory_bandwidth(device: str) -> float:
    """Bytes a second that the device reads and writes while it copies a gigabyte."""
    source = torch.empty(1 << 30, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    best = float("inf")
    for _ in range(5):
        torch.cuda.synchronize()
        begun = time.perf_counter()
        target.copy_(source)
        torch.cuda.synchronize()
        best = min(best, time.perf_counter() - begun)
    return 2 * source.nbytes / best


def first_load() -> dict[str, float]:
    """Milliseconds that an event loop was held up at most, in a process that has imported nothing yet."""
    program = (
        "import asyncio, json\n"
        "from llm import LLMConfig, ModelPool\n"
        "async def main():\n"
        "    late, done = 0.0, asyncio.Event()\n"
        "    async def tick():\n"
        "        nonlocal late\n"
        "        loop = asyncio.get_running_loop()\n"
        "        while not done.is_set():\n"
        "            begun = loop.time()\n"
        "            await asyncio.sleep(0.005)\n"
        "            late = max(late, loop.time() - begun - 0.005)\n"
        "    ticker = asyncio.create_task(tick())\n"
        "    figures = {}\n"
        "    async with ModelPool() as pool:\n"
        "        for name in ('first load, imports included', 'second load'):\n"
        "            late = 0.0\n"
        "            async with pool.acquire_context(LLMConfig(model_name='demo', backend='transformers')):\n"
        "                pass\n"
        "            await pool.unload_all()\n"
        "            figures[name] = round(1000 * late, 1)\n"
        "    done.set()\n"
        "    await ticker\n"
        "    print(json.dumps(figures))\n"
        "asyncio.run(main())\n"
    )
    root = str(Path(_FOLDER).parent)
    finished = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=root,
        env={**os.environ, "PYTHONPATH": root},
    )  # fmt: skip
    figures: dict[str, float] = json.loads(finished.stdout.splitlines()[-1])
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="times that each side is measured, in turn")
    parser.add_argument("--shape", choices=SHAPES, default="half-billion")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32")
    options = parser.parse_args()
    torch.set_num_threads(THREADS)
    dtype = getattr(torch, options.dtype)
    shape = SHAPES[options.shape]
    first, second, third = twins(shape, device=options.device, dtype=dtype, count=3)
    weights = sum(parameter.nbytes for parameter in first.parameters())
    ours, plain, batch = OurTransformers(first), PlainGenerate(second), GenerateBatch(third)

    def jobs(streams: int, number: int) -> list[Job]:
        words = shape["vocab_size"]
        return [
            Job(random_prompt(PROMPT, seed=1000 * number + stream, vocabulary=words), TOKENS)
            for stream in range(streams)
        ]

    for peer in (ours, plain, batch):  # what the first call alone does
        peer.run(jobs(2, 999))
    print("one stream")
    alone = interleaved([ours, plain], lambda number: jobs(1, number), rounds=options.rounds)
    single = compare(
        {name: [round_[0].tokens_per_second for round_ in rounds] for name, rounds in alone.items()},
        base=plain.name, unit="tokens/s",
    )  # fmt: skip
    print(f"{STREAMS} requests")
    together = interleaved([ours, plain, batch], lambda number: jobs(STREAMS, 100 + number), rounds=options.rounds)
    many = compare(
        {name: [aggregate(round_) for round_ in rounds] for name, rounds in together.items()},
        base=ours.name, unit="tokens/s",
    )  # fmt: skip
    of_bound: dict[str, float] = {}
    if torch.device(options.device).type == "cuda":
        bandwidth = memory_bandwidth(options.device)
        bound = bandwidth / weights
        of_bound = {
            "bandwidth_gigabytes_per_second": bandwidth / 1e9,
            "one_stream_of_bound": single[ours.name]["median"] / bound,
            "generate_of_bound": single[plain.name]["median"] / bound,
        }
    for peer in (ours, plain, batch):
        peer.close()
    finish(
        "the transformers backend against transformers",
        one_stream_against_generate={"ratio": single[ours.name]["ratio"], "target": 0.9},
        eight_at_once_against_one_after_another={"ratio": 1 / many[plain.name]["ratio"], "target": 3.0},
        eight_at_once_against_generate_batch={"ratio": 1 / many[batch.name]["ratio"], "target": 0.95},
        one_stream_tokens_per_second=single,
        eight_requests_tokens_per_second=many,
        memory_bandwidth=of_bound,
        event_loop_held_up_milliseconds=first_load(),
        shape=options.shape,
        device=torch.cuda.get_device_name() if torch.device(options.device).type == "cuda" else options.device,
        dtype=options.dtype,
        versions={name: version(name) for name in ("torch", "transformers")},
    )


if __name__ == "__main__":
    main()

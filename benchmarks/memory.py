"""How much memory does a loaded model really take, beside what `practorflow estimate` says?

    python benchmarks/memory.py [--contexts 2048 8192 32768] [--model FILE]

Each figure is of a process of its own, which loads the model through the pool and answers a prompt that fills a whole
batch, so that all buffers are used. Counted is what its memory grew by from just before the load (PSS: pages of the
file count as far as they are in memory), and so the libraries that the first model of a process brings with it, too.
Without --model these are the demo model and one of half a billion random weights. Linux only.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from figures import benchmark_model, finish

from llm import LLMConfig, ModelPool, create_runner
from llm.demo import GGUF_PATH
from llm.hub.gguf_header import check_gguf
from llm.hub.gguf_memory import gguf_memory

PROMPT = 600  # words; a batch has 512 tokens


def memory() -> int:
    """Bytes of this process that are in memory."""
    text = Path("/proc/self/smaps_rollup").read_text(encoding="ascii")
    found = re.search(r"^Pss:\s+(\d+) kB$", text, re.M)
    assert found is not None
    return int(found[1]) * 1024


async def growth(path: Path, n_ctx: int) -> int:
    """What this process grows by when the model is loaded and has answered."""
    async with ModelPool(max_models=1) as pool:
        config = LLMConfig(model_name=str(path), n_ctx=n_ctx, max_new_tokens=1, max_concurrency=1)
        before = memory()
        async with pool.acquire_context(config) as handle:
            runner = create_runner(handle)
            await runner.generate(prompt="a " * PROMPT)
            return memory() - before


def measured(path: Path, n_ctx: int) -> int:
    """`growth` in a process of its own."""
    command = [sys.executable, __file__, "--grow", str(n_ctx), "--model", str(path)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return int(json.loads(done.stdout.strip().splitlines()[-1])["bytes"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="a GGUF file instead of the two")
    parser.add_argument("--contexts", type=int, nargs="+", default=(2048, 8192, 32768))
    parser.add_argument("--grow", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.grow is not None:
        print(json.dumps({"bytes": asyncio.run(growth(options.model, options.grow))}))
        return
    table: list[dict[str, Any]] = []
    for path in (options.model,) if options.model else (GGUF_PATH, benchmark_model(None)):
        header = check_gguf(path)
        for n_ctx in options.contexts:
            if n_ctx > header.context_length:
                continue
            estimate = gguf_memory(header, n_ctx, sequences=1).total
            real = measured(path, n_ctx)
            table.append({"model": path.stem, "n_ctx": n_ctx, "estimate": estimate, "measured": real})
            print(
                f"{path.stem:40} {n_ctx:6}  estimate {estimate / 1e6:8.1f} MB  measured {real / 1e6:8.1f} MB  "
                f"{real / estimate:.2f}",
                flush=True,
            )
    ratios = [row["measured"] / row["estimate"] for row in table]
    finish("memory of a loaded model beside its estimate", rows=table, least=min(ratios), most=max(ratios))


if __name__ == "__main__":
    main()

"""Many streams on one model: tokens per second of all together.

    python benchmarks/concurrency.py

8 requests at once (128-token prompts, 64 new tokens each, prompts included) against llama.cpp's own server and
against llama-cpp-python, which takes one after another; the decoding phase alone; and 16 and 32 streams against 8.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from figures import arguments, benchmark_model, compare, finish
from peers import (
    Completion,
    Job,
    LlamaPython,
    OurEngine,
    XllamacppServer,
    aggregate,
    interleaved,
    load_weights,
    random_prompt,
)

PROMPT, TOKENS = 128, 64


def jobs(streams: int, number: int) -> list[Job]:
    return [Job(random_prompt(PROMPT, seed=1000 * number + stream), TOKENS) for stream in range(streams)]


def decoding(completions: Sequence[Completion]) -> float:
    """Tokens per second while everybody decodes: from the last first token to the first last one.

    For requests that run one after another, the mean of each one's own speed.
    """
    begun = max(one.arrivals[0] for one in completions)
    ended = min(one.arrivals[-1] for one in completions)
    if begun >= ended:
        return statistics.mean(one.tokens_per_second for one in completions)
    return sum(sum(begun < at <= ended for at in one.arrivals) for one in completions) / (ended - begun)


def main() -> None:
    options = arguments(__doc__ or "", rounds=3)
    path = benchmark_model(options.model)
    ours = OurEngine(load_weights(path))
    server = XllamacppServer(path)
    llama = LlamaPython(path)
    print(f"server built with: {server.build}")
    results = interleaved([ours, server, llama], lambda number: jobs(8, number), rounds=options.rounds)
    print("8 streams, prompts included")
    whole = compare(
        {n: [aggregate(r) for r in rounds] for n, rounds in results.items()}, base=ours.name, unit="tokens/s"
    )
    print("8 streams, decoding alone")
    phase = compare(
        {n: [decoding(r) for r in rounds] for n, rounds in results.items()}, base=ours.name, unit="tokens/s"
    )
    scaling: dict[str, list[float]] = {"8 streams": [], "16 streams": [], "32 streams": []}
    for number in range(options.rounds):
        for streams in (8, 16, 32):
            ours.forget()
            scaling[f"{streams} streams"].append(aggregate(ours.run(jobs(streams, 100 + number))))
    more = compare(scaling, base="8 streams", unit="tokens/s")
    ours.close()
    llama.close()
    finish(
        "many streams on one model",
        against_server={"ratio": 1 / whole[server.name]["ratio"], "target": 1.25},
        against_llama={"ratio": 1 / whole[llama.name]["ratio"], "target": 1.55},
        against_llama_decoding={"ratio": 1 / phase[llama.name]["ratio"], "target": 2.0},
        more_streams={name: row["ratio"] for name, row in more.items()},
        tokens_per_second=whole,
        decoding_tokens_per_second=phase,
        server_build=server.build,
    )


if __name__ == "__main__":
    main()

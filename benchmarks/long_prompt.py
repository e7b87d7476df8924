"""Nobody's long prompt freezes the others: 4 streams run, a 6,000-token prompt arrives.

    python benchmarks/long_prompt.py

The longest gap between two tokens of the 4, against llama.cpp's own server. Target: 0.7 of it.
"""

from __future__ import annotations

from collections.abc import Sequence

from figures import arguments, benchmark_model, compare, finish
from peers import Completion, Job, OurEngine, XllamacppServer, interleaved, load_weights, random_prompt

LONG = 6000


def jobs(number: int) -> list[Job]:
    short = [Job(random_prompt(32, seed=10 * number + stream), 200) for stream in range(4)]
    return [*short, Job(random_prompt(LONG, seed=10 * number + 9), 2, delay=3.0)]


def longest_gap(completions: Sequence[Completion]) -> float:
    return max(one.longest_gap for one in completions[:4])


def main() -> None:
    options = arguments(__doc__ or "", rounds=3)
    path = benchmark_model(options.model)
    ours = OurEngine(load_weights(path), cells=16384)
    server = XllamacppServer(path, cells=16384)
    results = interleaved([ours, server], jobs, rounds=options.rounds)
    gaps = {name: [longest_gap(r) for r in rounds] for name, rounds in results.items()}
    table = compare(gaps, base=server.name, unit="s longest gap")
    long = {name: [r[4].first_token for r in rounds] for name, rounds in results.items()}
    print("the long prompt's own time to first token")
    waits = compare(long, base=server.name, unit="s")
    ours.close()
    finish("a long prompt beside four streams", ratio=table[ours.name]["ratio"], target=0.7, gaps=table, long=waits)


if __name__ == "__main__":
    main()

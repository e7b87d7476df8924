"""What is shared is computed once: 8 requests at once with one 1,024-token prefix, and the second turn of a chat.

    python benchmarks/shared_prefix.py

Mean time to first token against llama.cpp's own server (target: 0.3 of it), and the share of the second turn's prompt
that was not computed again (target: 0.95).
"""

from __future__ import annotations

import statistics

from figures import arguments, benchmark_model, compare, finish
from peers import Job, OurEngine, XllamacppServer, interleaved, load_weights, random_prompt

PREFIX, OWN, STREAMS = 1024, 16, 8


def jobs(number: int) -> list[Job]:
    prefix = random_prompt(PREFIX, seed=number)
    return [Job(prefix + random_prompt(OWN, seed=5000 + 100 * number + stream), 8) for stream in range(STREAMS)]


def second_turn(ours: OurEngine) -> float:
    """Share of a second turn's prompt that the engine already had."""
    ours.forget()
    first = random_prompt(600, seed=9)
    reply = ours.run([Job(first, 80)])[0].tokens
    before = ours.engine.statistics()
    prompt = (*first, *reply, *random_prompt(20, seed=10))
    ours.run([Job(prompt, 4)])
    return (ours.engine.statistics()["cached_tokens"] - before["cached_tokens"]) / len(prompt)


def main() -> None:
    options = arguments(__doc__ or "", rounds=3)
    path = benchmark_model(options.model)
    ours = OurEngine(load_weights(path), cells=16384)
    server = XllamacppServer(path, cells=16384)
    results = interleaved([ours, server], jobs, rounds=options.rounds)
    waits = {name: [statistics.mean(c.first_token for c in r) for r in rounds] for name, rounds in results.items()}
    table = compare(waits, base=server.name, unit="s to first token")
    reused = second_turn(ours)
    print(f"second turn of a chat: {reused:.3f} of the prompt reused")
    ours.close()
    finish(
        "shared prefixes",
        first_token={"ratio": table[ours.name]["ratio"], "target": 0.3},
        second_turn={"reused": reused, "target": 0.95},
        seconds=table,
    )


if __name__ == "__main__":
    main()

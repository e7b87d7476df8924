"""One stream: tokens per second of this engine against a bare `llama_decode` loop on the same file.

    python benchmarks/decode.py

The engine's side ends in text on an event loop; the loop's side ends in token ids. Target: 0.97 of the loop.
"""

from __future__ import annotations

from figures import arguments, benchmark_model, compare, finish
from peers import BareLoop, Job, OurEngine, interleaved, load_weights, random_prompt

TOKENS = 96


def main() -> None:
    options = arguments(__doc__ or "", rounds=7)
    weights = load_weights(benchmark_model(options.model))
    peers = [OurEngine(weights, lookup=False), BareLoop(weights)]
    results = interleaved(peers, lambda n: [Job(random_prompt(32, seed=n), TOKENS)], rounds=options.rounds)
    speeds = {name: [round_[0].tokens_per_second for round_ in rounds] for name, rounds in results.items()}
    table = compare(speeds, base=BareLoop.name, unit="tokens/s")
    for peer in peers:
        peer.close()
    finish("one stream against a bare loop", target=0.97, ratio=table["practorflow"]["ratio"], tokens_per_second=table)


if __name__ == "__main__":
    main()

"""An answer that quotes its prompt, with and without prompt lookup; and text that quotes nothing.

    python benchmarks/lookup.py

A random model quotes nothing of its own accord, so a constraint lets it write only the quotation: each token is still
computed, sampled and verified as any other. Target: 1.5 times as fast with lookup.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from figures import arguments, benchmark_model, compare, finish
from peers import Job, OurEngine, interleaved, load_weights, random_prompt

QUOTED = 300
PASSAGE = random_prompt(QUOTED + 40, seed=77)
PROMPT = (*random_prompt(100, seed=78), *PASSAGE, *random_prompt(60, seed=79), *PASSAGE[:4])


class Quotation:
    """Allows the next token of the passage and nothing else, without forcing it."""

    finished = False

    def __init__(self, _grammar: str) -> None:
        self._place = 4

    def allows(self, token: int) -> bool:
        return token == PASSAGE[self._place]

    def fill_mask(self, mask: npt.NDArray[np.int32]) -> None:
        token = PASSAGE[self._place]
        mask[token // 32] = np.uint32(1 << token % 32).astype(np.int32)

    def forced_tokens(self) -> list[int]:
        return []

    def advance(self, token: int) -> None:
        assert self.allows(token)
        self._place += 1

    def rollback(self, count: int) -> None:
        self._place -= count


def main() -> None:
    options = arguments(__doc__ or "", rounds=3)
    weights = load_weights(benchmark_model(options.model))
    drafting = OurEngine(weights, lookup=True, compile_constraint=Quotation, name="with lookup")
    plain = OurEngine(weights, lookup=False, compile_constraint=Quotation, name="without")
    drafting.grammar = plain.grammar = "quotation"
    quoting = interleaved([drafting, plain], lambda _: [Job(PROMPT, QUOTED)], rounds=options.rounds)
    assert all(r[0].tokens == list(PASSAGE[4 : QUOTED + 4]) for rounds in quoting.values() for r in rounds)
    print("quoting 300 tokens of the prompt")
    quoted = compare(
        {n: [r[0].tokens_per_second for r in rounds] for n, rounds in quoting.items()}, base="without", unit="tokens/s"
    )
    drafting.grammar = plain.grammar = None
    free = interleaved([drafting, plain], lambda n: [Job(random_prompt(200, seed=n), 100)], rounds=options.rounds)
    print("free text")
    speeds = {name: [r[0].tokens_per_second for r in rounds] for name, rounds in free.items()}
    costs = compare(speeds, base="without", unit="tokens/s")
    drafting.close()
    plain.close()
    finish(
        "prompt lookup",
        quoting={"ratio": quoted["with lookup"]["ratio"], "target": 1.5},
        free_text={"ratio": costs["with lookup"]["ratio"]},
        tokens_per_second={"quoting": quoted, "free": costs},
    )


if __name__ == "__main__":
    main()

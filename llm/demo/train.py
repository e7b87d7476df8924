"""The whole recipe as one command: ``python -m llm.demo.train`` makes the tokenizer, the weights and both model forms.

It needs the `train` extra. Stopped at any time, it goes on from its last checkpoint when started again.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from tokenizers import Tokenizer

from . import WEIGHTS_PATH
from .export import export
from .tokenizer import train_tokenizer
from .training import Recipe, train


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m llm.demo.train", description=__doc__)
    parser.add_argument("--seed", type=int, default=Recipe.seed)
    parser.add_argument("--steps", type=int, default=Recipe.steps)
    parser.add_argument("--tokens-per-step", type=int, default=Recipe.tokens_per_step)
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0 leaves the choice to PyTorch")
    parser.add_argument(
        "--work", type=Path, default=Path("build/demo"), help="where checkpoints and the tokenizer are kept"
    )
    parser.add_argument("--output", type=Path, default=WEIGHTS_PATH, help="where the finished model is written")
    options = parser.parse_args()
    if options.threads:
        import torch

        torch.set_num_threads(options.threads)
    options.work.mkdir(parents=True, exist_ok=True)
    tokenizer_path = options.work / "tokenizer.json"
    if not tokenizer_path.exists():
        train_tokenizer(options.seed).save(str(tokenizer_path))
    tokenizer = Tokenizer.from_file(str(tokenizer_path))
    recipe = Recipe(seed=options.seed, steps=options.steps, tokens_per_step=options.tokens_per_step)
    network = train(recipe, tokenizer, checkpoint=options.work / "checkpoint.pt")
    export(network, tokenizer, options.output)


if __name__ == "__main__":
    main()

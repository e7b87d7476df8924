"""The whole recipe as one command: ``python -m llm.demo.train`` makes the tokenizer, the weights and both model forms.

It needs the `train` extra. Stopped at any time, it goes on from its last checkpoint when started again. With `--from`
a finished model takes the place of the runs before `--first-run`, and its tokenizer is kept; with `--size large` it
trains a network three and a half times as large, for machines with CUDA.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer

from . import WEIGHTS_PATH
from .export import export
from .network import LARGE
from .tokenizer import train_tokenizer
from .training import RUNS, Recipe, train


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m llm.demo.train", description=__doc__)
    parser.add_argument("--seed", type=int, default=RUNS[0].seed)
    parser.add_argument("--size", choices=("shipped", "large"), default="shipped")
    parser.add_argument("--from", type=Path, dest="start", help="a Hugging Face folder to go on from")
    runs = range(1, len(RUNS) + 1)
    parser.add_argument("--first-run", type=int, choices=runs, help="the run to begin with: 1, or with --from the last")
    parser.add_argument("--last-run", type=int, choices=runs, default=runs[-1], help="the run to end after")
    parser.add_argument("--steps", type=int, help="steps of the last run, in place of the recipe's")
    parser.add_argument("--tokens-per-batch", type=int, help="tokens of a batch, in place of the recipe's")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0 leaves the choice to PyTorch")
    parser.add_argument(
        "--work", type=Path, default=Path("build/demo"), help="where checkpoints and the tokenizer are kept"
    )
    parser.add_argument("--output", type=Path, help="where the finished model is written")
    options = parser.parse_args()
    if options.first_run is None:
        options.first_run = 1 if options.start is None else options.last_run
    if options.start is None and options.first_run > 1:
        parser.error(f"run {options.first_run} goes on from a finished model: name its folder with --from")
    if options.start is not None and options.first_run == 1:
        parser.error("run 1 starts from nothing: leave --from out, or begin later with --first-run")
    if options.first_run > options.last_run:
        parser.error(f"run {options.first_run} comes after run {options.last_run}, which is to be the last")
    if options.size == "large" and options.output is None:
        parser.error("a large model does not belong among the shipped weights: name a folder with --output")
    if options.threads:
        torch.set_num_threads(options.threads)
    options.work.mkdir(parents=True, exist_ok=True)
    recipes = _recipes(options)
    weights = None
    if options.start is None:
        tokenizer = _tokenizer(options.work / "tokenizer.json", options.seed)
    else:
        tokenizer = Tokenizer.from_file(str(options.start / "tokenizer.json"))
        weights = {name: tensor.float() for name, tensor in load_file(options.start / "model.safetensors").items()}
    for run, recipe in recipes.items():
        network = train(recipe, tokenizer, checkpoint=options.work / f"{options.size}-run-{run}.pt", start=weights)
        weights = network.state_dict()
    export(network, tokenizer, options.output or WEIGHTS_PATH)


def _recipes(options: argparse.Namespace) -> dict[int, Recipe]:
    """The runs by their number, with what the command line changes."""
    recipes = {
        run: dataclasses.replace(
            recipe, seed=options.seed, network=LARGE if options.size == "large" else recipe.network
        )
        for run, recipe in enumerate(RUNS, start=1)
        if options.first_run <= run <= options.last_run
    }
    if options.steps is not None:
        recipes[options.last_run] = dataclasses.replace(recipes[options.last_run], steps=options.steps)
    if options.tokens_per_batch is not None:
        for run, recipe in recipes.items():
            recipes[run] = dataclasses.replace(recipe, tokens_per_batch=options.tokens_per_batch)
    return recipes


def _tokenizer(path: Path, seed: int) -> Tokenizer:
    if not path.exists():
        train_tokenizer(seed).save(str(path))
    return Tokenizer.from_file(str(path))


if __name__ == "__main__":
    main()

"""The training loop: seeded, on CPU or CUDA, with checkpoints from which it goes on exactly where it stopped.

Every token is learned, those of answers and plain lists at full weight. Samples of similar length share a batch, so
that no sample sees another one and little is padded.
"""

from __future__ import annotations

import ctypes
import dataclasses
import random
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor

from .copying_circuit import wire_for_copying
from .generator import training_sample
from .growth import grown
from .muon import Muon
from .network import Network, NetworkConfig
from .sample import Sample
from .tokenizer import END_OF_TEXT, TURN_START, token_id

_POOL = 512  # samples that are sorted by length together


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that decides what the trained weights are, besides the arithmetic of the machine."""

    seed: int = 1
    first_pool: int = 0  # where in the stream of samples it begins, in pools of 512
    steps: int = 2100
    tokens_per_batch: int = 4096
    batches_per_step: int = 1  # of different lengths, and so of different skills
    prompt_weight: float = 0.3
    matrix_learning_rate: float = 4e-3
    other_learning_rate: float = 3e-3
    warmup_steps: int = 40
    decay_share: float = 0.4
    longest_sample: int = 2048
    network: NetworkConfig = dataclasses.field(default_factory=NetworkConfig)

    def learning_rate_at(self, step: int) -> float:
        """Share of the full rate: a short rise, a plateau, and a straight line down to a fiftieth."""
        decay_steps = self.decay_share * self.steps
        return min(1.0, (step + 1) / self.warmup_steps, max(0.02, (self.steps - step) / decay_steps))


@dataclass
class _Place:
    """Where in the stream of batches the training stands."""

    pool: int
    batch: int = 0


# The second run asks several questions at once, the third single ones, the fourth more functions, and searches, the
# fifth what is hard to tell apart, of a network with a layer more; each starts from the weights before it.
_FIVE_LAYERS = NetworkConfig(num_hidden_layers=5, intermediate_size=512)
_FIRST_RUN = Recipe(network=_FIVE_LAYERS)
_SECOND_RUN = Recipe(
    network=_FIVE_LAYERS, first_pool=50, steps=4700, tokens_per_batch=1024, batches_per_step=6, prompt_weight=0.0,
    matrix_learning_rate=3e-3, other_learning_rate=2e-3, decay_share=0.81,
)  # fmt: skip
_THIRD_RUN = dataclasses.replace(
    _SECOND_RUN, first_pool=1000, steps=700, matrix_learning_rate=9e-4, other_learning_rate=6e-4, decay_share=1.0
)
_FOURTH_RUN = dataclasses.replace(
    _SECOND_RUN, first_pool=2000, steps=5000, matrix_learning_rate=2.5e-3, other_learning_rate=1.7e-3, decay_share=1.0
)
_FIFTH_RUN = dataclasses.replace(_FOURTH_RUN, network=NetworkConfig(), first_pool=4000, steps=5800, longest_sample=4096)
RUNS = (_FIRST_RUN, _SECOND_RUN, _THIRD_RUN, _FOURTH_RUN, _FIFTH_RUN)


def train(
    recipe: Recipe,
    tokenizer: Tokenizer,
    *,
    checkpoint: Path,
    checkpoint_every: int = 100,
    start: Mapping[str, Tensor] | None = None,
) -> Network:
    """Train to the end of the recipe, going on from `checkpoint` when it is there.

    Args:
        recipe: what to do.
        tokenizer: the tokenizer; that of `start`, where there is one.
        checkpoint: the file that is written, and read when it is there already.
        checkpoint_every: steps between two checkpoints.
        start: weights to begin with, by name, of a network as large or one layer less deep; without them training
            begins with the copying circuit.
    """
    _keep_freed_memory()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(recipe.seed)
    network = Network(recipe.network)
    if start is None:
        wire_for_copying(network)
    else:
        network.load_state_dict(grown(start, recipe.network))
    network.to(device)
    optimizers = _optimizers(network, recipe)
    place, step = _Place(recipe.first_pool), 0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        network.load_state_dict(state["network"])
        for optimizer, saved in zip(optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        place, step = _Place(**state["place"]), state["step"]
    progress = _Progress(recipe.steps)
    stream = _batches(recipe, tokenizer, place)
    while step < recipe.steps:
        batches = [next(stream) for _ in range(recipe.batches_per_step)]
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["full_learning_rate"] * recipe.learning_rate_at(step)
        loss = accumulate(network, batches, device)
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        step += 1
        progress.report(step, loss)
        if step % checkpoint_every == 0 or step == recipe.steps:
            _save(checkpoint, network, optimizers, place, step)
    return network


def accumulate(network: Network, batches: list[tuple[Tensor, Tensor]], device: torch.device) -> float:
    """Add up the gradients of some batches as if they were one, and give their common loss."""
    counted = sum(float(weights[:, 1:].sum()) for _, weights in batches)
    loss = 0.0
    for tokens, weights in batches:
        share = float(weights[:, 1:].sum()) / counted
        with torch.autocast(device.type, torch.bfloat16, enabled=_computes_bfloat16(device)):
            part = network.loss(tokens.to(device), weights.to(device)) * share
        part.backward()  # type: ignore[no-untyped-call]
        loss += part.item()
    return loss


def _computes_bfloat16(device: torch.device) -> bool:
    """Whether the device has instructions for bfloat16; one that emulates it is ten times slower than in float32."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    able = torch.cpu.get_capabilities()
    return bool(able.get("avx512_bf16") or able.get("amx_bf16"))


def _optimizers(network: Network, recipe: Recipe) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of the layers, AdamW for the embedding, the norms and the biases."""
    matrices = [one for name, one in network.named_parameters() if one.ndim == 2 and "embed" not in name]
    others = [one for name, one in network.named_parameters() if one.ndim != 2 or "embed" in name]
    muon = Muon(
        [{"params": matrices, "full_learning_rate": recipe.matrix_learning_rate}], lr=recipe.matrix_learning_rate
    )
    adam = torch.optim.AdamW(
        [{"params": others, "full_learning_rate": recipe.other_learning_rate}],
        lr=recipe.other_learning_rate, betas=(0.9, 0.98), weight_decay=0.0,
    )  # fmt: skip
    return [muon, adam]


def _batches(recipe: Recipe, tokenizer: Tokenizer, place: _Place) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches from `place` on; it is moved along as they are taken."""
    while True:
        rows = []
        for index in range(place.pool * _POOL, (place.pool + 1) * _POOL):
            row = encode_weighted(training_sample(recipe.seed, index), tokenizer, recipe.prompt_weight)
            if len(row[0]) <= recipe.longest_sample:
                rows.append(row)
        batches = _by_length(rows, recipe.tokens_per_batch)
        random.Random(f"{recipe.seed} {place.pool}").shuffle(batches)
        while place.batch < len(batches):
            batch = batches[place.batch]
            place.batch += 1
            yield _padded(batch, token_id(tokenizer, END_OF_TEXT))
        place.pool, place.batch = place.pool + 1, 0


def encode_weighted(sample: Sample, tokenizer: Tokenizer, prompt_weight: float) -> tuple[list[int], list[float]]:
    """Token ids of a sample, and how much each counts when it is predicted."""
    if sample.text:
        ids = tokenizer.encode(sample.text).ids
        return ids, [1.0] * len(ids)
    ids, weights = [], []
    for turn in sample.rendered().split(TURN_START)[1:]:
        encoded = tokenizer.encode(TURN_START + turn).ids
        ids += encoded
        weights += [1.0 if turn.startswith("assistant\n") else prompt_weight] * len(encoded)
    return ids, weights


def _by_length(
    rows: list[tuple[list[int], list[float]]], tokens_per_batch: int
) -> list[list[tuple[list[int], list[float]]]]:
    batches: list[list[tuple[list[int], list[float]]]] = [[]]
    for row in sorted(rows, key=lambda row: len(row[0])):
        if batches[-1] and (len(batches[-1]) + 1) * len(row[0]) > tokens_per_batch:
            batches.append([])
        batches[-1].append(row)
    return batches


def _padded(batch: list[tuple[list[int], list[float]]], padding: int) -> tuple[Tensor, Tensor]:
    length = max(len(ids) for ids, _ in batch)
    tokens = torch.full((len(batch), length), padding)
    weights = torch.zeros(len(batch), length)
    for row, (ids, counted) in enumerate(batch):
        tokens[row, : len(ids)] = torch.tensor(ids)
        weights[row, : len(ids)] = torch.tensor(counted)
    return tokens, weights


def _save(path: Path, network: Network, optimizers: list[torch.optim.Optimizer], place: _Place, step: int) -> None:
    """Write a whole checkpoint under another name first, so that a stop in between leaves the earlier one."""
    state: dict[str, Any] = {
        "network": network.state_dict(),
        "optimizers": [optimizer.state_dict() for optimizer in optimizers],
        "place": dataclasses.asdict(place),
        "step": step,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".unfinished")
    torch.save(state, unfinished)
    unfinished.replace(path)


def _keep_freed_memory() -> None:
    """Tell glibc to reuse large blocks rather than to fault them in again each step; half of a CPU step went there."""
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        trim_threshold, mmap_threshold = -1, -3
        libc.mallopt(mmap_threshold, 1 << 30)
        libc.mallopt(trim_threshold, (1 << 31) - 1)


class _Progress:
    """A line every twenty steps: step, smoothed loss, seconds a step."""

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self.loss: float | None = None
        self.since, self.count = time.monotonic(), 0

    def report(self, step: int, loss: float) -> None:
        self.loss = loss if self.loss is None else 0.95 * self.loss + 0.05 * loss
        self.count += 1
        if step % 20 == 0 or step == self.steps:
            seconds = (time.monotonic() - self.since) / self.count
            print(f"step {step}/{self.steps}  loss {self.loss:.3f}  {seconds:.2f} s/step", file=sys.stderr, flush=True)
            self.since, self.count = time.monotonic(), 0

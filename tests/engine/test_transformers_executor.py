"""Many sequences in one forward pass give what each gives alone, whatever the model's attention is like."""

from __future__ import annotations

import random
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from llm.engine.cell_attention import Run, similar_lengths
from llm.engine.generate_executor import GenerateExecutor
from llm.engine.transformers_executor import TransformersExecutor
from llm.engine.transformers_opening import open_executor
from llm.exceptions import EngineFailedError

SHAPE: dict[str, Any] = {
    "vocab_size": 128, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 256,
}  # fmt: skip
MIXTURE = {"num_local_experts": 2, "num_experts_per_tok": 1}
BATCHED: dict[str, tuple[str, dict[str, Any]]] = {
    "grouped heads": ("Qwen2", SHAPE),
    "sliding window": ("Mistral", {**SHAPE, "sliding_window": 7}),
    "capped scores": ("Gemma2", {**SHAPE, "head_dim": 8, "sliding_window": 7}),
    "sinks": ("GptOss", {**SHAPE, **MIXTURE, "head_dim": 8, "sliding_window": 7}),
    "learned positions": (
        "GPT2LMHead",
        {"vocab_size": 128, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 256},
    ),
}
ALONE: dict[str, tuple[str, dict[str, Any]]] = {
    "recurrent": ("Mamba", {"vocab_size": 128, "hidden_size": 32, "num_hidden_layers": 2, "state_size": 8}),
    "positions in the scores": ("Bloom", {"vocab_size": 128, "hidden_size": 32, "n_layer": 2, "n_head": 4}),
}


def make(kind: tuple[str, dict[str, Any]], *, seed: int = 1) -> Any:
    """A model with random weights, large enough that what a row sees makes a difference."""
    name, shape = kind
    config_name = name.removesuffix("LMHead")
    config = getattr(transformers, f"{config_name}Config")(**shape)
    model_class = getattr(transformers, f"{name}Model" if name.endswith("LMHead") else f"{name}ForCausalLM")
    torch.manual_seed(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            model = model_class._from_config(config, attn_implementation="sdpa")
        except ValueError:
            model = model_class._from_config(config, attn_implementation="eager")
    for parameter in model.parameters():
        if parameter.dim() > 1:
            parameter.data.normal_(0, 0.2)
    model.generation_config = transformers.GenerationConfig(pad_token_id=0)
    return model.eval().requires_grad_(False)


def ordinary(model: Any, tokens: list[int]) -> np.ndarray:
    with torch.inference_mode():
        return model(input_ids=torch.tensor([tokens]), use_cache=False).logits[0].numpy()


def opened(model: Any, **options: Any) -> Any:
    settings = {"cells": 512, "max_batch": 64, "max_running": 4, "threads": 1, **options}
    return open_executor(model, **settings)


class Texts:
    """Sequences of an executor, and the logits that a model gives them alone."""

    def __init__(self, executor: TransformersExecutor, reference: Any) -> None:
        self.executor, self.reference = executor, reference
        self.tokens: dict[int, list[int]] = {}

    def step(self, pieces: list[tuple[int, list[int]]]) -> None:
        batch = self.executor.batch
        batch.clear()
        rows = []
        for sequence, piece in pieces:
            known = self.tokens.setdefault(sequence, [])
            rows.append(batch.add(sequence, len(known), piece, outputs=1) + len(piece) - 1)
            known += piece
        assert self.executor.compute() == "done"
        for (sequence, _), row in zip(pieces, rows, strict=True):
            alone = ordinary(self.reference, self.tokens[sequence])[-1]
            assert np.abs(self.executor.logits(row) - alone).max() < 2e-3 * max(1.0, float(np.abs(alone).max()))


@pytest.fixture(params=BATCHED)
def texts(request: pytest.FixtureRequest) -> Iterator[Texts]:
    executor = opened(make(BATCHED[request.param]))
    assert isinstance(executor, TransformersExecutor)
    yield Texts(executor, make(BATCHED[request.param]))
    executor.close()


def test_random_batches_give_what_each_sequence_gives_alone(texts: Texts) -> None:
    """Prompts in pieces, decoding, shared prefixes and cut ends, in any mixture and any order of lengths."""
    random_numbers = random.Random(3)
    executor = texts.executor

    def some(count: int) -> list[int]:
        return [random_numbers.randrange(128) for _ in range(count)]

    for _ in range(30):
        order = random_numbers.sample(range(4), random_numbers.randint(1, 4))
        texts.step([(sequence, some(random_numbers.choice((1, 1, 1, 2, 13)))) for sequence in order])
        sequence = random_numbers.randrange(4)
        if random_numbers.random() < 0.4 and sequence in texts.tokens:
            length = random_numbers.randint(0, len(texts.tokens[sequence]))
            executor.truncate(sequence, length)
            del texts.tokens[sequence][length:]
            if not length:
                source = (sequence + 1) % 4
                shared = len(texts.tokens.get(source, [])) // 2
                executor.share(source, sequence, shared)
                texts.tokens[sequence] = texts.tokens.get(source, [])[:shared]
        for one, tokens in texts.tokens.items():
            assert executor.length(one) == len(tokens)


def test_rows_that_decode_come_in_any_order(texts: Texts) -> None:
    """The longest first, where groups are made from the shortest on."""
    texts.step([(0, list(range(30))), (1, [5, 6]), (2, [9] * 11)])
    texts.step([(0, [1]), (1, [2]), (2, [3])])
    texts.step([(2, [1]), (0, [2]), (1, [3])])


@pytest.mark.parametrize("kind", ALONE)
def test_what_cannot_be_batched_is_generated_one_by_one(kind: str) -> None:
    """The trial finds out, and the same interface computes a prompt in pieces and then token by token."""
    executor = opened(make(ALONE[kind]), cells=128)
    assert isinstance(executor, GenerateExecutor)
    capabilities = executor.capabilities
    assert (capabilities.max_sequences, capabilities.can_share, capabilities.can_truncate) == (1, False, False)
    reference = make(ALONE[kind])
    for prompt in ([3, 1, 4, 1, 5, 9, 2, 6], [2, 7, 1]):
        tokens: list[int] = []
        for piece, wanted in ((prompt[:2], 0), (prompt[2:], 1), ([11], 1), ([12, 13], 1), ([14], 0), ([15], 1)):
            executor.batch.clear()
            executor.batch.add(0, len(tokens), piece, outputs=wanted)
            assert executor.compute() == "done"
            tokens += piece
            assert executor.length(0) == len(tokens)
            if wanted:
                alone = ordinary(reference, tokens)[-1]
                assert np.abs(executor.logits(len(piece) - 1) - alone).max() < 1e-2 * np.abs(alone).max()
        executor.truncate(0, 0)
        assert executor.length(0) == 0
    executor.close()


def test_generation_that_breaks_is_reported() -> None:
    """What `generate` raises comes to the one who computes, and the next request works."""
    model = make(ALONE["recurrent"])
    executor = opened(model, cells=64)
    working = model.forward

    def broken(*_args: Any, **_options: Any) -> None:
        raise RuntimeError("no such luck")

    executor.batch.clear()
    executor.batch.add(0, 0, [1, 2, 3], outputs=1)
    model.forward = broken
    with pytest.raises(EngineFailedError, match="no such luck"):
        executor.compute()
    model.forward = working
    executor.truncate(0, 0)
    executor.batch.clear()
    executor.batch.add(0, 0, [1, 2, 3], outputs=1)
    assert executor.compute() == "done"
    executor.close()


def test_an_abort_ends_a_step_between_two_layers() -> None:
    """The step says so, and after cutting its rows off everything is as before."""
    model = make(BATCHED["grouped heads"])
    executor = opened(model)
    texts = Texts(executor, make(BATCHED["grouped heads"]))
    texts.step([(0, [1, 2, 3])])
    handle = model.model.layers[0].register_forward_hook(lambda *_: executor.abort())
    executor.batch.clear()
    executor.batch.add(0, 3, [4, 5], outputs=1)
    assert executor.compute() == "aborted"
    handle.remove()
    executor.truncate(0, 3)
    texts.step([(0, [4, 5])])
    executor.abort()
    executor.clear_abort()
    texts.step([(0, [6])])
    executor.close()


def test_memory_that_is_full_changes_nothing() -> None:
    """The step says so before it has begun."""
    executor = opened(make(BATCHED["grouped heads"]), cells=64, max_batch=64)
    texts = Texts(executor, make(BATCHED["grouped heads"]))
    texts.step([(0, list(range(60)))])
    executor.batch.clear()
    executor.batch.add(1, 0, [1] * 5, outputs=1)
    assert executor.compute() == "full"
    assert executor.length(1) == 0
    texts.step([(0, [1])])
    executor.close()


def test_lengths_that_differ_much_are_not_padded_to_each_other() -> None:
    """A group's longest is at most twice its shortest, or a few hundred more."""
    runs = [Run(number, number, 1, length - 1) for number, length in enumerate((5000, 3, 200, 700, 2600, 4100))]
    groups = [[run.end for run in group] for group in similar_lengths(runs)]
    assert groups == [[3, 200], [700], [2600, 4100, 5000]]


@pytest.mark.parametrize(("rope", "window"), [("dynamic", 64), ("longrope", 64), ("linear", 256)])
def test_positions_that_depend_on_the_longest_text_limit_the_window(rope: str, window: int) -> None:
    """Where a long text would change what a short one beside it means, the window ends at the original length."""
    factors = {"short_factor": [1.0] * 4, "long_factor": [2.0] * 4} if rope == "longrope" else {}
    parameters = {
        "rope_type": rope,
        "rope_theta": 1e4,
        "factor": 4.0,
        "original_max_position_embeddings": 64,
        **factors,
    }
    executor = opened(make(("Llama", {**SHAPE, "rope_parameters": parameters})))
    assert executor.capabilities.window == window
    executor.close()

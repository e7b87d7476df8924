"""Training of the demo model: it resumes exactly, starts able to copy, and exports what it computed."""

from __future__ import annotations

import dataclasses
from itertools import count
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
tokenizers = pytest.importorskip("tokenizers")
pytest.importorskip("gguf")
pytest.importorskip("safetensors")

from llm.demo import HF_PATH, training  # noqa: E402 - what needs torch is imported once torch is known to be there
from llm.demo.copying_circuit import wire_for_copying  # noqa: E402
from llm.demo.export import export  # noqa: E402
from llm.demo.generator import training_sample  # noqa: E402
from llm.demo.growth import grown  # noqa: E402
from llm.demo.muon import orthogonal  # noqa: E402
from llm.demo.network import LARGE, Network, NetworkConfig  # noqa: E402
from llm.demo.tokenizer import VOCABULARY_SIZE, train_tokenizer  # noqa: E402
from llm.demo.training import Recipe, accumulate, encode_weighted, train  # noqa: E402
from llm.demo.vocabulary import Vocabulary  # noqa: E402

SMALL = NetworkConfig(
    hidden_size=128, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2
)


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    """The shipped tokenizer."""
    return tokenizers.Tokenizer.from_file(str(HF_PATH / "tokenizer.json"))


def test_training_goes_on_exactly_where_it_was_stopped(
    tokenizer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that is interrupted and started again ends with the same weights as one that is not."""
    recipe = Recipe(steps=5, tokens_per_batch=256, network=SMALL)
    whole = train(recipe, tokenizer, checkpoint=tmp_path / "whole.pt", checkpoint_every=2)
    calls, loss = count(), Network.loss

    def interrupted(self: Network, tokens: Any, weights: Any) -> Any:
        if next(calls) == 3:
            raise KeyboardInterrupt
        return loss(self, tokens, weights)

    monkeypatch.setattr(Network, "loss", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(recipe, tokenizer, checkpoint=tmp_path / "parts.pt", checkpoint_every=2)
    resumed = train(recipe, tokenizer, checkpoint=tmp_path / "parts.pt", checkpoint_every=2)
    assert next(calls) == 7  # three steps, the interrupted call, and the steps from the checkpoint after two
    for name, weight in whole.state_dict().items():
        assert torch.equal(weight, resumed.state_dict()[name]), name


def test_a_second_run_goes_on_from_the_weights_it_is_given(tokenizer: Any, tmp_path: Path) -> None:
    """A run whose rate is nothing ends with the weights that it was started from; those are not changed in place."""
    given = Network(SMALL).state_dict()
    recipe = Recipe(steps=1, tokens_per_batch=256, first_pool=50, prompt_weight=0.0, network=SMALL)
    still = dataclasses.replace(recipe, matrix_learning_rate=0.0, other_learning_rate=0.0)
    ended = train(still, tokenizer, checkpoint=tmp_path / "still.pt", start=given).state_dict()
    assert all(torch.equal(weight, ended[name]) for name, weight in given.items())
    moved = train(recipe, tokenizer, checkpoint=tmp_path / "moved.pt", start=given).state_dict()
    assert not all(torch.equal(weight, moved[name]) for name, weight in given.items())


def test_a_network_with_a_new_layer_computes_what_it_computed_before(tokenizer: Any) -> None:
    """The new layer adds nothing yet, and of the feed-forwards those units are left out that added nothing."""
    torch.manual_seed(6)
    small, tokens = Network(SMALL), torch.tensor([tokenizer.encode(training_sample(1, 0).rendered()).ids[:60]])
    with torch.no_grad():
        for parameter in small.parameters():
            if not parameter.any():
                parameter.normal_(std=0.1)
        for layer in small.model.stack:
            layer.mlp.down_proj.weight[:, ::4] = 0
    deeper = dataclasses.replace(SMALL, num_hidden_layers=3, intermediate_size=48)
    network = Network(deeper)
    network.load_state_dict(grown(small.state_dict(), deeper))
    with torch.inference_mode():
        assert torch.allclose(network(tokens), small(tokens), atol=1e-4)
        network.model.stack[0].mlp.down_proj.weight.zero_()
        assert not torch.allclose(network(tokens), small(tokens), atol=1e-2)
    assert grown(small.state_dict(), SMALL).keys() == small.state_dict().keys()


def test_a_step_of_several_batches_is_a_step_of_their_rows_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gradients of two batches add up to the gradient of one batch that holds the rows of both.

    In float32 on every machine: bfloat16 rounds by more than the two may differ.
    """
    monkeypatch.setattr(training, "_computes_bfloat16", lambda _: False)
    torch.manual_seed(3)
    tokens = torch.randint(0, 2048, (4, 40))
    weights = torch.rand(4, 40)
    weights[1] = 0
    gradients, losses = [], []
    for parts in ((4,), (1, 3)):
        torch.manual_seed(4)
        network = Network(SMALL)
        batches = list(zip(tokens.split(parts), weights.split(parts), strict=True))
        losses.append(accumulate(network, batches, torch.device("cpu")))
        gradients.append(network.model.embed_tokens.weight.grad)
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    assert torch.allclose(gradients[0], gradients[1], atol=1e-5)


def test_the_step_of_a_matrix_is_nearly_orthogonal() -> None:
    """All singular values end near one, for wide and tall matrices alike."""
    torch.manual_seed(5)
    for shape in ((3, 32, 96), (3, 96, 32)):
        values = torch.linalg.svdvals(orthogonal(torch.randn(shape) * 1e-3))
        assert values.min() > 0.5
        assert values.max() < 1.3


def test_the_large_network_takes_a_step(tokenizer: Any, tmp_path: Path) -> None:
    """The preset for CUDA has 10 to 16 million parameters and trains like the small one."""
    recipe = Recipe(steps=1, tokens_per_batch=128, network=LARGE)
    network = train(recipe, tokenizer, checkpoint=tmp_path / "large.pt")
    assert 10e6 < sum(parameter.numel() for parameter in network.parameters()) < 16e6


def test_an_untrained_network_with_the_circuit_already_copies(tokenizer: Any) -> None:
    """Wired, it predicts tokens of a list said a second time; as initialized, it does not."""

    def share_of_right_tokens(*, wired: bool) -> float:
        torch.manual_seed(1)
        network = Network(NetworkConfig())
        if wired:
            wire_for_copying(network)
        vocabulary, right, total = Vocabulary("lists"), 0, 0
        for _ in range(4):
            pairs = [(vocabulary.any_word(), vocabulary.code()) for _ in range(8)]
            again = vocabulary.some_of(pairs, len(pairs))
            first, second = ("".join(f"{key}: {value}\n" for key, value in said) for said in (pairs, again))
            start = len(tokenizer.encode(first).ids)
            ids = torch.tensor(tokenizer.encode(first + second).ids)
            with torch.inference_mode():
                predicted = network(ids[None, :-1])[0].argmax(-1)
            right += int((predicted[start:] == ids[start + 1 :]).sum())
            total += len(ids) - start - 1
        return right / total

    assert share_of_right_tokens(wired=False) < 0.05
    assert share_of_right_tokens(wired=True) > 0.3


def test_both_exported_forms_compute_what_the_network_computes(tokenizer: Any, tmp_path: Path) -> None:
    """llama.cpp and transformers, reading the exported files, rank the next token as the network in memory does."""
    llama_cpp = pytest.importorskip("llama_cpp")
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(2)
    network = Network(SMALL)
    empty = [parameter for parameter in network.parameters() if not parameter.any()]
    with torch.no_grad():
        for parameter in empty:  # zeros would hide a tensor that is missing or misplaced
            parameter.normal_(std=0.1)
    export(network, tokenizer, tmp_path)
    ids = tokenizer.encode(training_sample(1, 0).rendered()).ids[:60]
    with torch.inference_mode():
        expected = network(torch.tensor([ids]))[0, -1].float()
        loaded = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "huggingface", dtype=torch.float32)
        from_folder = loaded(torch.tensor([ids])).logits[0, -1]
    model = llama_cpp.Llama(
        str(tmp_path / "practorflow-demo.gguf"), n_ctx=128, n_threads=1, logits_all=True, verbose=False
    )
    model.eval(ids)
    from_file = torch.tensor(model.scores[len(ids) - 1])
    model.close()
    assert torch.allclose(from_folder, expected, atol=0.02)
    assert torch.allclose(from_file, expected, atol=0.02)


def test_the_tokenizer_is_decided_by_its_seed_and_spells_a_word_alike_everywhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It has the size that the network expects, and a word's tokens do not depend on what stands before it."""
    monkeypatch.setattr("llm.demo.tokenizer._TRAINING_SAMPLES", 800)
    made = train_tokenizer(1)
    assert made.get_vocab_size() == VOCABULARY_SIZE == NetworkConfig().vocab_size
    assert made.to_str() == train_tokenizer(1).to_str()
    for word in ("shipment", "Quaithu", "ABC123"):
        alone = made.encode(word).ids
        for before in ('"', "_", "(", "\n", " \n"):
            assert made.encode(before + word).ids[-len(alone) :] == alone


def test_answers_and_lists_count_more_than_prompts(tokenizer: Any) -> None:
    """Every token has a weight, the highest on what the model is to write."""
    for index in range(40):
        sample = training_sample(1, index)
        ids, weights = encode_weighted(sample, tokenizer, 0.3)
        assert ids == tokenizer.encode(sample.rendered()).ids
        assert len(ids) == len(weights)
        assert set(weights) == ({1.0} if sample.text else {0.3, 1.0})

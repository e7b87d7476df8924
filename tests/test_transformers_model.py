"""Loading Hugging Face models: what is refused, what is estimated, and that both backends say the same."""

from __future__ import annotations

import asyncio
import gc
import json
import pickle
import shutil
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from llm import LLMConfig, LLMRunner, ModelPool, create_runner
from llm.demo import HF_PATH
from llm.engine.generate_executor import GenerateExecutor
from llm.exceptions import ConfigError, ModelFormatError, ModelLoadError, ModelNotFoundError
from llm.hub import DownloadPolicy, download_policy, set_download_policy
from llm.hub.huggingface_memory import weight_bytes
from llm.hub.safetensors_header import TensorHeader, read_safetensors_header
from llm.testing.hub_stand_in import running_hub
from llm.testing.leased import Leased
from llm.transformers_device import choose_device, choose_dtype
from llm.transformers_model import estimate_memory, load

DEMO = LLMConfig(model_name="demo", backend="transformers", n_ctx=4096)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the demo model to spoil."""
    return Path(shutil.copytree(HF_PATH, tmp_path / "model"))


def config_of(folder: Path, **changes: Any) -> LLMConfig:
    return DEMO.replace(model_name=str(folder), **changes)


def change_json(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


class Payload:
    """Unpickling it leaves a file behind."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.canary,)


def only_pickled(folder: Path, canary: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Payload(canary)))


def pickle_with_another_name(folder: Path, canary: Path) -> None:
    (folder / "model.safetensors").write_bytes(pickle.dumps(Payload(canary)))


def code_of_its_own(folder: Path, canary: Path) -> None:
    (folder / "modeling_own.py").write_text(
        f"open({str(canary)!r}, 'w').close()\nclass Own: pass\nclass OwnConfig: pass\n"
    )
    names = {"AutoConfig": "modeling_own.OwnConfig", "AutoModelForCausalLM": "modeling_own.Own"}
    change_json(folder / "config.json", auto_map=names)


def code_of_the_tokenizer(folder: Path, canary: Path) -> None:
    (folder / "tokenization_own.py").write_text(f"open({str(canary)!r}, 'w').close()\nclass Own: pass\n")
    change_json(folder / "tokenizer_config.json", auto_map={"AutoTokenizer": [None, "tokenization_own.Own"]})


def half_a_file(folder: Path, _canary: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[: weights.stat().st_size // 2])


def header_beyond_the_file(folder: Path, _canary: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes((1 << 60).to_bytes(8, "little") + weights.read_bytes()[8:])


def a_weight_missing(folder: Path, _canary: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    weights.pop("model.layers.1.mlp.up_proj.weight")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (only_pickled, "never loaded"),
        (pickle_with_another_name, "damaged"),
        (code_of_its_own, "auto_map"),
        (code_of_the_tokenizer, "auto_map"),
        (half_a_file, "damaged"),
        (header_beyond_the_file, "damaged"),
        (a_weight_missing, "up_proj"),
    ],
)
def test_what_is_not_data_or_not_whole_is_refused(
    folder: Path, tmp_path: Path, spoil: Callable[[Path, Path], None], message: str
) -> None:
    """A ModelFormatError that says why; nothing that the folder brings is executed."""
    canary = tmp_path / "canary"
    spoil(folder, canary)
    with pytest.raises(ModelFormatError, match=message):
        load(config_of(folder))
    assert not canary.exists()


def test_code_runs_only_for_those_who_trust_it(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same folder, with trust_remote_code set, gets as far as its code."""
    monkeypatch.setattr(transformers.dynamic_module_utils, "HF_MODULES_CACHE", str(tmp_path / "modules"))
    canary = tmp_path / "canary"
    code_of_its_own(folder, canary)
    with pytest.raises(ModelLoadError, match="refused"):  # its classes are empty
        load(config_of(folder, trust_remote_code=True))
    assert canary.exists()


@pytest.mark.parametrize("key", ["attn_implementation", "_attn_implementation", "_attn_implementation_internal"])
def test_a_folder_cannot_choose_its_attention(folder: Path, key: str) -> None:
    """Code from a repository is refused, and what else is asked for is overwritten."""
    change_json(folder / "config.json", text_config={key: {"": "somebody/kernel"}})
    with pytest.raises(ModelFormatError, match="never fetched"):
        load(config_of(folder))
    shutil.copy(HF_PATH / "config.json", folder)
    change_json(folder / "config.json", **{key: "flash_attention_2"})
    load(config_of(folder, n_ctx=256)).close()


@pytest.mark.parametrize(("file", "error"), [("config.json", ModelNotFoundError), ("tokenizer.json", ModelFormatError)])
def test_a_file_that_is_missing_is_named(folder: Path, file: str, error: type[Exception]) -> None:
    """Before anything large is read."""
    (folder / file).unlink()
    with pytest.raises(error):
        load(config_of(folder))


def test_a_model_that_transformers_does_not_know_is_refused(folder: Path) -> None:
    """With its reason."""
    change_json(folder / "config.json", model_type="never_heard_of")
    with pytest.raises(ModelLoadError, match="never_heard_of"):
        load(config_of(folder))


def test_a_device_that_is_not_there_is_refused() -> None:
    """The error says which there are."""
    if torch.cuda.is_available():
        pytest.skip("there is one")
    with pytest.raises(ConfigError, match="'auto', 'cpu'"):
        load(DEMO.replace(device="cuda:0"))
    assert choose_device(DEMO).type in ("cpu", "mps", "xpu")


@pytest.mark.parametrize("quantization", ["4bit", "8bit"])
def test_quantization_without_its_hardware_names_both(quantization: str) -> None:
    """bitsandbytes computes on CUDA; elsewhere the error says so and what to do instead."""
    with pytest.raises(ConfigError, match="CUDA") as caught:
        load(DEMO.replace(quantization=quantization, device="cpu"))
    assert quantization in str(caught.value)


@pytest.mark.parametrize(
    ("dtype", "stored", "chosen"),
    [
        ("auto", torch.float16, torch.float32),
        ("auto", None, torch.float32),
        (None, torch.float32, torch.float32),
        ("bfloat16", torch.float16, torch.bfloat16),
        ("float16", torch.float32, torch.float16),
    ],
)
def test_a_cpu_computes_in_a_type_that_it_has_instructions_for(dtype: Any, stored: Any, chosen: Any) -> None:
    """Unless another is asked for."""
    assert choose_dtype(DEMO.replace(dtype=dtype), stored, torch.device("cpu")) == chosen


def test_another_type_of_numbers_generates_too() -> None:
    """bfloat16 on the CPU passes the trial of batching, and talks."""

    async def main() -> str:
        async with ModelPool() as pool, pool.acquire_context(DEMO.replace(dtype="bfloat16", n_ctx=512)) as handle:
            assert handle.model._model.dtype == torch.bfloat16
            assert handle.model.engine.capabilities.can_share
            return (await create_runner(handle).generate(prompt="Hello", temperature=0.0, max_new_tokens=8))["reply"]

    assert asyncio.run(main())


def test_memory_is_told_before_it_is_taken() -> None:
    """Weights and key-value memory as they will be, a little more for computing."""
    model = load(DEMO)
    try:
        weights = sum(parameter.nbytes for parameter in model._model.parameters())
        cells = 4096 * 6 * 2 * 4 * 32 * 4
        assert model.engine._executor._memory.bytes == cells
        assert weights + cells <= estimate_memory(DEMO) == model.memory_bytes <= 1.5 * (weights + cells) + (64 << 20)
    finally:
        model.close()


def test_quantized_matrices_are_estimated_smaller() -> None:
    """Embeddings and norms keep their type."""
    tensors = [
        TensorHeader("model.embed_tokens.weight", "BF16", (100, 10)),
        TensorHeader("model.layers.0.mlp.up_proj.weight", "BF16", (100, 10)),
        TensorHeader("model.norm.weight", "BF16", (10,)),
    ]
    assert weight_bytes(tensors, item_bytes=2, quantization=None) == 4020
    assert weight_bytes(tensors, item_bytes=2, quantization="8bit") == 3020
    assert weight_bytes(tensors, item_bytes=4, quantization="4bit") == 4000 + 562 + 40


@pytest.mark.parametrize("cut", [0, 4, 8, 20, 1000])
def test_a_header_is_read_or_refused(tmp_path: Path, cut: int) -> None:
    """Whatever length is left of a file; whole, it lists every tensor."""
    data = (HF_PATH / "model.safetensors").read_bytes()
    path = tmp_path / "cut.safetensors"
    path.write_bytes(data[:cut])
    with pytest.raises(ModelFormatError):
        read_safetensors_header(path)
    path.write_bytes(data)
    assert {tensor.name for tensor in read_safetensors_header(path)} == set(load_file(path))


def test_closing_frees_the_weights_whoever_still_holds_the_model() -> None:
    """A second close does nothing, and the model itself goes with the last reference."""
    model = load(DEMO.replace(n_ctx=512))
    held = model._model
    model.close()
    model.close()
    assert sum(parameter.nbytes for parameter in held.parameters()) == 0
    gone = weakref.ref(held)
    del model, held
    gc.collect()
    assert gone() is None


def test_a_model_of_the_hub_is_downloaded_once(tmp_path: Path) -> None:
    """By the library itself, into models_dir; from then on its name is enough, without a network too."""
    before = download_policy()
    config = DEMO.replace(model_name="acme/demo", models_dir=str(tmp_path), n_ctx=256)
    try:
        with running_hub() as hub:
            hub.repositories["acme/demo"] = {
                path.name: path.read_bytes() for path in HF_PATH.iterdir() if path.is_file()
            }
            set_download_policy(DownloadPolicy(endpoint=hub.endpoint))
            load(config).close()
            asked = len(hub.requests)
            assert {name for name, _ in hub.file_requests} >= {"config.json", "model.safetensors", "tokenizer.json"}
            load(config).close()
            assert len(hub.requests) == asked
        load(config).close()
    finally:
        set_download_policy(before)


def test_both_backends_say_the_same() -> None:
    """Greedy text of the demo model's two forms, which hold the same numbers.

    The two libraries add them up in another order, so where two tokens are nearly equal they may choose differently;
    on these prompts no two are.
    """
    pytest.importorskip("llama_cpp")
    prompts = ("What is Python?", "Explain recursion", "Who are you?", "What is a vector database?", "Why use privacy?")

    async def replies(backend: str) -> list[str]:
        config = DEMO.replace(backend=backend)
        async with ModelPool() as pool, pool.acquire_context(config) as handle:
            runner = create_runner(handle)
            assert handle.model.context_window == 4096
            results = [await runner.generate(prompt=text, temperature=0.0, max_new_tokens=60) for text in prompts]
            return [result["reply"] for result in results] + [str(result["usage"]) for result in results]

    assert asyncio.run(replies("transformers")) == asyncio.run(replies("llama_cpp"))


TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a city.",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"enum": ["Bern", "Zürich"]},
                "days": {"type": "integer", "minimum": 1, "maximum": 9},
            },
            "required": ["city", "days"],
        },
    },
}
SCHEMA = {
    "type": "object",
    "properties": {"kind": {"enum": ["a", "ü"]}, "size": {"type": "integer", "minimum": 0, "maximum": 99}},
    "required": ["kind", "size"],
}


@pytest.fixture(params=["batched", "one by one"])
def random_folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Random weights under the demo's vocabulary: well formed is only what could not be otherwise."""
    torch.manual_seed(2)
    if request.param == "batched":
        shape = {"hidden_size": 32, "intermediate_size": 32, "num_attention_heads": 2, "num_key_value_heads": 1}
        config: Any = transformers.Qwen2Config(
            vocab_size=2048, num_hidden_layers=1, max_position_embeddings=2048, eos_token_id=2041, **shape
        )
        model: Any = transformers.Qwen2ForCausalLM(config)
    else:
        config = transformers.MambaConfig(
            vocab_size=2048, hidden_size=16, num_hidden_layers=1, state_size=4, eos_token_id=2041, pad_token_id=2039
        )
        model = transformers.MambaForCausalLM(config)
    folder = tmp_path / "random"
    model.save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(HF_PATH / name, folder)
    return folder


def test_calls_and_answers_are_well_formed_whatever_the_model_knows(random_folder: Path) -> None:
    """Required calls and response formats on random weights, in a batch and one by one, streamed as well."""
    leased = Leased(config_of(random_folder, n_ctx=2048, temperature=1.0, top_p=1.0))

    async def work(runner: LLMRunner) -> None:
        async def call(seed: int) -> None:
            result = await runner.generate(
                prompt="Weather?", tools=[TOOL], tool_choice="required", parallel_tool_calls=False, seed=seed,
                max_new_tokens=300,
            )  # fmt: skip
            (made,) = result["tool_calls"]
            assert made["tool_name"] == "weather"
            assert made["args"]["city"] in ("Bern", "Zürich")
            assert 1 <= made["args"]["days"] <= 9

        async def answer(seed: int) -> None:
            options: dict[str, Any] = {"prompt": "?", "response_format": SCHEMA, "seed": seed, "max_new_tokens": 300}
            reply = json.loads((await runner.generate(**options))["reply"])
            assert set(reply) == {"kind", "size"}
            text = "".join([chunk.text async for chunk in runner.generate_stream(**options)])
            assert json.loads(text) == reply or not runner._handle.model.engine.capabilities.can_share

        await asyncio.gather(*map(call, range(4)), *map(answer, range(3)))

    leased.run(work)
    leased.close()


def test_one_by_one_serves_many(random_folder: Path) -> None:
    """Requests that arrive together, some of them left early; the rest are answered in turn."""
    leased = Leased(config_of(random_folder, n_ctx=2048, temperature=1.0, seed=7))

    async def work(runner: LLMRunner) -> None:
        alone = await runner.generate(prompt="Hello", max_new_tokens=12)

        async def leave(count: int) -> None:
            async for _ in runner.generate_stream(prompt="Hello", max_new_tokens=400):
                count -= 1
                if count < 0:
                    return

        results = await asyncio.gather(
            *(runner.generate(prompt="Hello", max_new_tokens=12) for _ in range(3)), *map(leave, range(3))
        )
        assert {result["reply"] for result in results if result is not None} == {alone["reply"]}
        executor = runner._handle.model.engine._executor
        assert isinstance(executor, GenerateExecutor) is not executor.capabilities.can_share

    leased.run(work)
    leased.close()

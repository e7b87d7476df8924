"""The engine on real llama.cpp: recurrent models, memory that runs out, interrupted steps."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import gguf
import numpy as np
import pytest

from llm import LLMConfig, ModelPool, create_runner
from llm.base.text_model import TextModel
from llm.demo import GGUF_PATH
from llm.engine.llama_cpp_executor import LlamaCppExecutor
from llm.llama_cpp_library import initialised_library


def write_mamba(path: Path, *, layers: int = 2, width: int = 64, states: int = 16, seed: int = 0) -> Path:
    """A GGUF file of Mamba's first architecture with random weights: a state that every token changes."""
    random = np.random.default_rng(seed)
    inner, convolution, rank = 2 * width, 4, 4
    writer = gguf.GGUFWriter(path, "mamba")
    writer.add_context_length(1024)
    writer.add_embedding_length(width)
    writer.add_feed_forward_length(0)
    writer.add_head_count(0)
    writer.add_block_count(layers)
    writer.add_ssm_conv_kernel(convolution)
    writer.add_ssm_inner_size(inner)
    writer.add_ssm_state_size(states)
    writer.add_ssm_time_step_rank(rank)
    writer.add_layer_norm_rms_eps(1e-5)
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    extra = iter(range(256, 512))
    tokens = [chr(byte) if byte in printable else chr(next(extra)) for byte in range(256)]
    tokens += ["<|end|>", "ab"]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([gguf.TokenType.NORMAL] * 256 + [gguf.TokenType.CONTROL, gguf.TokenType.NORMAL])
    writer.add_token_merges(["a b"])
    writer.add_eos_token_id(256)
    writer.add_add_bos_token(False)
    writer.add_chat_template(
        "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}\n{% endfor %}"
        "{% if add_generation_prompt %}assistant: {% endif %}"
    )

    def tensor(name: str, *shape: int, scale: float = 0.3) -> None:
        writer.add_tensor(name, (random.standard_normal(shape) * scale).astype(np.float32))

    tensor("token_embd.weight", len(tokens), width, scale=1.0)
    writer.add_tensor("output_norm.weight", np.ones(width, dtype=np.float32))
    for layer in range(layers):
        block = f"blk.{layer}"
        writer.add_tensor(f"{block}.attn_norm.weight", np.ones(width, dtype=np.float32))
        tensor(f"{block}.ssm_in.weight", 2 * inner, width)
        tensor(f"{block}.ssm_conv1d.weight", inner, convolution)
        tensor(f"{block}.ssm_conv1d.bias", inner)
        tensor(f"{block}.ssm_x.weight", rank + 2 * states, inner)
        tensor(f"{block}.ssm_dt.weight", inner, rank)
        tensor(f"{block}.ssm_dt.bias", inner)
        writer.add_tensor(f"{block}.ssm_a", -np.tile(np.arange(1, states + 1, dtype=np.float32), (inner, 1)))
        writer.add_tensor(f"{block}.ssm_d", np.ones(inner, dtype=np.float32))
        tensor(f"{block}.ssm_out.weight", width, inner)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_a_recurrent_model_is_served_like_any_other(tmp_path: Path) -> None:
    """Without sharing and drafts, by what the model says of itself: batches and stops work, texts agree."""
    config = LLMConfig(model_name=str(write_mamba(tmp_path / "mamba.gguf")), n_ctx=1024, max_concurrency=8)
    prompts = [f"This is prompt number {number}" for number in range(12)]

    async def work() -> None:
        async with ModelPool() as pool, pool.acquire_context(config) as handle:
            model = cast(TextModel, handle.model)
            runner = create_runner(handle)

            async def greedy(prompt: str) -> str:
                return (await runner.generate(prompt=prompt, temperature=0.0, max_new_tokens=20))["reply"]

            alone = [await greedy(prompt) for prompt in prompts]
            assert await asyncio.gather(*map(greedy, prompts)) == alone
            stream = runner.generate_stream(prompt="word " * 100, max_new_tokens=400)
            await stream.__anext__()
            stream.stop()
            await asyncio.to_thread(model.engine.check_integrity)
            statistics = model.engine.statistics()
            assert statistics["cached_tokens"] == statistics["drafted_tokens"] == 0
            assert statistics["running"] == 0

    asyncio.run(work())


def test_requests_outlive_a_shortage_of_memory() -> None:
    """With room for a fifth of what is asked, requests are preempted and resumed, and say what they would have said."""
    prompts = [f"{word} recursion, please: number {number}" for number in range(8) for word in ("Explain", "Describe")]

    async def replies(config: LLMConfig) -> tuple[list[str], int]:
        async with ModelPool() as pool, pool.acquire_context(config) as handle:
            runner = create_runner(handle)
            results = await asyncio.gather(
                *(runner.generate(prompt=prompt, temperature=0.0, max_new_tokens=80) for prompt in prompts)
            )
            engine = cast(TextModel, handle.model).engine
            await asyncio.to_thread(engine.check_integrity)
            return [result["reply"] for result in results], engine.statistics()["preemptions"]

    ample, none = asyncio.run(replies(LLMConfig(model_name="demo", n_ctx=8192)))
    scarce, preemptions = asyncio.run(replies(LLMConfig(model_name="demo", n_ctx=256)))
    assert scarce == ample
    assert none == 0
    assert preemptions > 0


@pytest.fixture
def executor() -> Iterator[LlamaCppExecutor]:
    library = initialised_library()
    params = library.llama_model_default_params()
    params.use_extra_bufts = False
    model = library.llama_model_load_from_file(str(GGUF_PATH).encode(), params)
    executor = LlamaCppExecutor(model, cells=2048, max_batch=512, max_running=4, threads=1)
    yield executor
    executor.close()
    executor.close()
    library.llama_model_free(model)


def compute_logits(executor: LlamaCppExecutor, sequence: int, tokens: list[int]) -> np.ndarray:
    executor.batch.clear()
    executor.batch.add(sequence, 0, tokens, outputs=1)
    assert executor.compute() == "done"
    return executor.logits(len(tokens) - 1).copy()


def test_an_interrupted_step_can_be_repaired(executor: LlamaCppExecutor) -> None:
    """`abort` ends a computation early; after cutting the sequence back, the batch can be computed."""
    tokens = [index % 200 for index in range(300)]
    expected = compute_logits(executor, 0, tokens)
    executor.batch.clear()
    executor.batch.add(1, 0, tokens, outputs=1)
    executor.abort()
    assert executor.compute() == "aborted"
    executor.truncate(1, 0)
    assert executor.length(1) == 0
    again = compute_logits(executor, 1, tokens)
    assert np.abs(again - expected).max() < 0.05  # other cells, another order of summation
    assert again.argmax() == expected.argmax()


def test_a_shared_prefix_is_the_prefix(executor: LlamaCppExecutor) -> None:
    """A sequence that begins with another's cells goes on as if it had computed them."""
    tokens = [index % 190 for index in range(200)]
    whole = compute_logits(executor, 0, tokens)
    executor.share(0, 1, 150)
    assert executor.length(1) == 150
    executor.batch.clear()
    executor.batch.add(1, 150, tokens[150:], outputs=1)
    assert executor.compute() == "done"
    shared = executor.logits(49)
    assert np.abs(shared - whole).max() < 0.05
    assert shared.argmax() == whole.argmax()


def test_memory_that_is_full_changes_nothing(executor: LlamaCppExecutor) -> None:
    """A batch without room is refused, and the sequences are as before."""
    for sequence in range(4):
        compute_logits(executor, sequence, [1] * 510)
    executor.batch.clear()
    executor.batch.add(5, 0, [1] * 100, outputs=1)
    assert executor.compute() == "full"
    assert [executor.length(sequence) for sequence in range(6)] == [510, 510, 510, 510, 0, 0]

"""What the demo model can do, on samples that training never saw: ``python evals/demo.py --seed N --backend B``.

Greedy. Unconstrained by default, straight on the backend; with `--constrained` through the library's own runner, which
holds calls to the schemas of their tools. The last line is the table as JSON; `--transcript` prints the examples of the
README and the answers to them.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from pathlib import Path

from llm.demo import GGUF_PATH, HF_PATH
from llm.demo.evaluation import FIGURES, Reply, evaluate
from llm.demo.sample import Sample, assistant, user

MOST_NEW_TOKENS = 256
README_PROMPTS = (
    "Hello",
    "What is Python?",
    "Explain recursion",
    "What are the key findings?",
    "Summarize the recommendations",
)
README_TOOL = {
    "type": "function",
    "function": {
        "name": "get_customer_data",
        "description": "Retrieve customer information from internal database",
        "parameters": {
            "type": "object",
            "properties": {"customer_id": {"type": "string", "description": "Customer ID"}},
            "required": ["customer_id"],
        },
    },
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1000)
    parser.add_argument("--backend", choices=("llama_cpp", "transformers"), default="llama_cpp")
    parser.add_argument("--count", type=int, default=50, help="samples of each skill")
    parser.add_argument("--figures", nargs="*", choices=tuple(FIGURES), default=tuple(FIGURES))
    parser.add_argument(
        "--model", type=Path, help="another GGUF file or Hugging Face folder in place of the shipped one"
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--constrained", action="store_true")
    parser.add_argument("--transcript", action="store_true")
    options = parser.parse_args()
    model = options.model or (GGUF_PATH if options.backend == "llama_cpp" else HF_PATH)
    if options.constrained:
        reply = runner_reply(model, options.backend)
    elif options.backend == "llama_cpp":
        reply = llama_cpp_reply(model, options.threads)
    else:
        reply = transformers_reply(model, options.threads)
    if options.transcript:
        print_transcript(reply)
    shares = evaluate(reply, seed=options.seed, count=options.count, figures=options.figures)
    for name, share in shares.items():
        print(f"{name:18} {share:6.1%}")
    print(
        json.dumps(
            {
                "seed": options.seed,
                "backend": options.backend,
                "constrained": options.constrained,
                "count": options.count,
                **shares,
            }
        )
    )


def print_transcript(reply: Reply) -> None:
    """The README's examples and what the model answers to them."""
    asked = [(prompt, ()) for prompt in README_PROMPTS] + [("What's the status of customer ABC123?", (README_TOOL,))]
    for prompt, tools in asked:
        sample = Sample(skill="readme", messages=(user(prompt), assistant("")), tools=tools)
        print(f"> {prompt}\n{reply(sample)}\n")


def runner_reply(path: Path, backend: str) -> Reply:
    """The library's runner; its calls are written out again in the model's own notation, as the checks read it."""
    from llm import LLMConfig, ModelPool, create_runner

    async def generate(sample: Sample) -> str:
        async with pool.acquire_context(config) as handle:
            tools = list(sample.tools) or None
            result = await create_runner(handle).generate(messages=list(sample.prompt), tools=tools)
        calls = [{"name": call["tool_name"], "arguments": call["args"]} for call in result.get("tool_calls", ())]
        return result["reply"] + "".join(f"<tool_call>\n{json.dumps(call)}\n</tool_call>" for call in calls)

    config = LLMConfig(
        model_name=str(path), backend=backend, temperature=0.0, n_ctx=4096, max_new_tokens=MOST_NEW_TOKENS
    )
    pool = ModelPool(max_models=1)
    loop = asyncio.new_event_loop()
    return lambda sample: loop.run_until_complete(generate(sample))


def llama_cpp_reply(path: Path, threads: int) -> Reply:
    from llama_cpp import Llama

    model = Llama(str(path), n_ctx=4096, n_threads=threads, n_threads_batch=threads, verbose=False)
    end = model.token_eos()

    def reply(sample: Sample) -> str:
        tokens = model.tokenize(sample.rendered_prompt().encode(), add_bos=False, special=True)
        answer: list[int] = []
        for token in model.generate(tokens, temp=0.0, repeat_penalty=1.0):
            if token == end or len(answer) == MOST_NEW_TOKENS:
                break
            answer.append(token)
        return model.detokenize(answer, special=True).decode(errors="replace")

    return reply


def transformers_reply(path: Path, threads: int) -> Reply:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.set_num_threads(threads)
    tokenizer = AutoTokenizer.from_pretrained(path, local_files_only=True)
    model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32, local_files_only=True)

    def reply(sample: Sample) -> str:
        tokens = tokenizer(sample.rendered_prompt(), return_tensors="pt")
        with torch.inference_mode():
            produced = model.generate(**tokens, max_new_tokens=MOST_NEW_TOKENS, do_sample=False)
        answer = produced[0, tokens["input_ids"].shape[1] :].tolist()
        return str(tokenizer.decode([token for token in answer if token not in model.generation_config.eos_token_id]))

    return reply


if __name__ == "__main__":
    sys.exit(main())

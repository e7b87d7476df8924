"""The first examples: a whole reply, a streamed one, several at once on one model, and answers from a document.

    python sample.py
    python sample.py path/to/document.pdf       docs/harbour-report.pdf is one of ours

The model is the one that LLM_MODEL names in config/options/options.env or in the environment.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

from llm import LLMConfig, LLMError, ModelHandle, ModelPool, create_runner
from settings import app_settings


def heading(text: str) -> None:
    print(f"\n--- {text}")


def introduce(config: LLMConfig) -> None:
    """Say which model answers: the demo must not be taken for an assistant."""
    if config.model_name == "demo":
        print(
            "Answering: the built-in demo model, a few megabytes that show the machinery and know next to nothing.\n"
            "For real answers set LLM_MODEL, for instance "
            "LLM_MODEL=bartowski/Qwen2.5-7B-Instruct-GGUF/Qwen2.5-7B-Instruct-Q4_K_M.gguf"
        )
    else:
        print(f"Answering: {config.model_name} ({config.backend}). LLM_MODEL chooses another.")


async def basic(handle: ModelHandle) -> None:
    """One prompt, one reply."""
    heading("Basic usage: What is Python?")
    runner = create_runner(handle)
    result = await runner.generate(prompt="What is Python?")
    print(result["reply"])
    usage = result["usage"]
    print(f"[{usage['prompt_tokens']} + {usage['completion_tokens']} tokens in {result['latency_seconds']:.2f} s]")


async def streaming(handle: ModelHandle) -> None:
    """The reply as it is written."""
    heading("Streaming: Explain recursion")
    runner = create_runner(handle)
    async for chunk in runner.generate_stream(prompt="Explain recursion"):
        if not chunk.finished:
            print(chunk.text, end="", flush=True)
        else:
            print(f"\n[latency: {chunk.latency_seconds:.2f} s]")


async def concurrent(handle: ModelHandle) -> None:
    """Three callers, one loaded model, one batch."""
    prompts = ["Hello", "Who are you?", "What is Python?"]
    heading("Three prompts at once on one model")
    runner = create_runner(handle)
    results = await asyncio.gather(*(runner.generate(prompt=prompt, temperature=0.0) for prompt in prompts))
    for prompt, result in zip(prompts, results, strict=True):
        print(f"{prompt:16} -> {result['reply']}")


async def documents(handle: ModelHandle, path: Path) -> None:
    """Add a document, search in it, and answer from it with citations."""
    from llm.knowledge import ChromaKnowledgeStore

    heading(f"Documents: {path.name}")
    print("Opening the knowledge store ...", flush=True)
    with await asyncio.to_thread(
        ChromaKnowledgeStore, app_settings.appConfiguration.KnowledgeChromaConfiguration
    ) as store:
        document = await asyncio.to_thread(store.add_document_from_file, path)
        print(
            f"[{document['content_length']} characters, {document['context_chunks']} passages in "
            f"{document['retrieval_chunks']} pieces{', known already' if document['already_there'] else ''}]"
        )
        for warning in document["warnings"]:
            print(f"[{warning}]")
        runner = create_runner(handle, knowledge_store=store)
        runner.set_document_scope({document["id"]})

        found = await runner.asearch("What are the key findings?", top_k=1)
        print(f"\nSearch: What are the key findings?\n{found.text}")
        for question in ("What are the key findings?", "Summarize the recommendations"):
            result = await runner.generate(prompt=question, temperature=0.0, max_new_tokens=200)
            print(f"\n{question}\n{result['reply']}")
            cited = result.get("search_metadata", {}).get("results", [])
            print(f"[from {'; '.join(dict.fromkeys(citation['source'] for citation in cited)) or 'no passage'}]")


async def main(document: Path | None) -> None:
    config = app_settings.appConfiguration.ModelConfiguration
    app_settings.appConfiguration.LoggerConfiguration.apply()
    introduce(config)
    async with ModelPool(max_models=1) as pool:
        print("Loading the model ...", flush=True)
        async with pool.acquire_context(config) as handle:
            await basic(handle)
            await streaming(handle)
            await concurrent(handle)
            if document is not None:
                await documents(handle, document)


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description="Examples of PractorFlow.")
    arguments.add_argument("document", nargs="?", type=Path, help="a document to answer from, such as a PDF file")
    try:
        asyncio.run(main(arguments.parse_args().document))
    except LLMError as error:
        sys.exit(f"{type(error).__name__}: {error}")
    except KeyboardInterrupt:
        sys.exit("\nStopped.")

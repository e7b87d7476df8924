"""The workflow that is watched: everything that a user of the library does, once, in one process.

`python -m llm.offline_proof.workflow PLAN` writes a line of JSON for each step, so that a report shows what ran even
where something broke. Every text that goes in bears a canary; the steps write down counts, and never what was said.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..base.messages import GenerateResult
from ..factory import create_runner
from ..hub.policy import DownloadPolicy, set_download_policy
from ..knowledge.chroma_knowledge_config import ChromaKnowledgeConfig
from ..llm_config import LLMConfig
from ..logs import COMPONENTS, get_logger
from ..pool.model_pool import ModelPool
from ..privacy import keep_private

if TYPE_CHECKING:
    from ..pool.model_handle import ModelHandle

OWNER = "offline proof"
_REPORTED = (
    "llama_cpp", "torch", "transformers", "sentence_transformers", "chromadb", "onnxruntime", "docling",
    "huggingface_hub", "tokenizers", "llguidance", "sqlalchemy",
)  # fmt: skip


class Steps:
    """Writes down what ran."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextmanager
    def step(self, name: str) -> Iterator[dict[str, Any]]:
        """One step; what the caller puts into the dictionary is reported with it."""
        facts: dict[str, Any] = {}
        begun = time.monotonic()
        outcome = "failed"
        try:
            yield facts
            outcome = "done"
        except Exception as error:
            facts["error"] = type(error).__name__
            raise
        finally:
            line = {"step": name, "outcome": outcome, "seconds": round(time.monotonic() - begun, 3), **facts}
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")


def run(plan: Mapping[str, Any]) -> None:
    """Run all steps of the plan, and then wait until its time is over: telemetry is often sent late."""
    ends = time.monotonic() + plan["seconds"]
    folder = Path(plan["folder"])
    logging.basicConfig(filename=folder / "log.txt", level=logging.DEBUG)
    for component in COMPONENTS:
        get_logger(component).setLevel(logging.DEBUG)
    set_download_policy(DownloadPolicy(offline=True))
    steps = Steps(folder / "steps.jsonl")
    config = LLMConfig(**plan["model"])
    own = {"persist_directory": str(folder / "knowledge"), "host": None}
    knowledge = ChromaKnowledgeConfig(**{**plan["knowledge"], **own})
    asyncio.run(_everything(steps, folder, config, knowledge, plan["canary"]))
    with steps.step("wait") as facts:
        facts["loaded"] = [name for name in _REPORTED if name in sys.modules]
        facts["could not be silenced"] = list(keep_private().sending)
        time.sleep(max(ends - time.monotonic(), 0.0))


async def _everything(
    steps: Steps, folder: Path, config: LLMConfig, knowledge: ChromaKnowledgeConfig, canary: str
) -> None:
    instructions = f"You answer for the department {canary}."
    async with ModelPool(max_models=1) as pool:
        with steps.step("load"):
            await pool.preload(config)
        async with pool.acquire_context(config) as handle:
            runner = create_runner(handle)
            with steps.step("chat") as facts:
                result = await runner.generate(
                    prompt=f"What is {canary}?", instructions=instructions, max_new_tokens=48
                )
                facts.update(_counts(result))
            with steps.step("stream") as facts:
                facts["chunks"] = 0
                async for chunk in runner.generate_stream(prompt=f"Explain {canary}", max_new_tokens=48):
                    facts["chunks"] += 1
                    facts["finish_reason"] = chunk.finish_reason
            with steps.step("tool call") as facts:
                result = await runner.generate(
                    prompt=f"What is the weather in {canary}?",
                    tools=[_WEATHER],
                    tool_choice="required",
                    max_new_tokens=96,
                )
                facts["calls"] = len(result.get("tool_calls", ()))
            await _documents(steps, knowledge, handle, canary)
            await _session(steps, folder, handle, canary)
        with steps.step("unload"):
            await pool.unload_all()


async def _documents(steps: Steps, config: ChromaKnowledgeConfig, handle: ModelHandle, canary: str) -> None:
    from ..document.embedding_location import locate_embedding_model
    from ..knowledge import ChromaKnowledgeStore

    with steps.step("open store") as facts:
        facts["embedding model"] = str(locate_embedding_model(config))
        store = ChromaKnowledgeStore(config)
    with store:
        with steps.step("ingest") as facts:
            for name, text in _DOCUMENTS.items():
                store.add_document_from_bytes(text.format(canary).encode(), name)
            facts.update(store.counts())
        with steps.step("search") as facts:
            passages = store.search(f"What is the budget of {canary}?", 3)
            runner = create_runner(handle, knowledge_store=store)
            runner.set_document_scope({passages[0].document_id})
            found = await runner.asearch(f"What is the budget of {canary}?")
            facts["passages"], facts["in one document"] = len(passages), len(found.metadata["results"])
        with steps.step("answer") as facts:
            result = await runner.generate(prompt="What is the budget?", max_new_tokens=24)
            facts.update(_counts(result))
            facts["passages used"] = len(result["search_metadata"]["results"])
        with steps.step("delete documents") as facts:
            for document in store.list_documents():
                store.delete_document(document["id"])
            store.purge()
            facts.update(store.counts())


async def _session(steps: Steps, folder: Path, handle: ModelHandle, canary: str) -> None:
    from ..session import Conversation, SqlSessionStore

    with SqlSessionStore(f"sqlite:///{folder / 'sessions.db'}") as store:
        with steps.step("session") as facts:
            session = store.create(owner=OWNER, title=canary)
            runner = create_runner(handle, session=Conversation(store, session))
            for question in (f"Hello, I am {canary}.", "Who are you?"):
                await runner.generate(prompt=question, max_new_tokens=24)
            facts["messages"] = len(store.get(session.id, owner=OWNER).messages)
        with steps.step("delete session"):
            store.delete(session.id, owner=OWNER)


_DOCUMENTS = {
    "budget.txt": "The project {0} has a budget of forty thousand euros. It ends in May.",
    "people.html": "<html><body><h1>Project {0}</h1><p>Ada leads {0}, and Grace reviews it.</p></body></html>",
}
_WEATHER: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Current weather of a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "maxLength": 24}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
}


def _counts(result: GenerateResult) -> dict[str, int]:
    usage = result["usage"]
    return {"prompt_tokens": usage["prompt_tokens"], "completion_tokens": usage["completion_tokens"]}


if __name__ == "__main__":
    run(json.loads(Path(sys.argv[1]).read_text("utf-8")))

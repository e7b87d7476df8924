"""A whole model whose replies are written by a function: for tests of what stands on a runner.

    loader = ScriptedLoader(lambda prompt: "Hello!")
    async with ModelPool(loader=loader).acquire_context(loader.config) as handle:
        await create_runner(handle).generate(prompt="Hi")

Template, engine, parser and runner are the real ones; only the device is made of dictionaries. Every byte is a token,
so that a token count is the length of a text, and the prompts that the model has read are exact.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

from ..chat.chat_format import ChatFormat
from ..chat.template import ChatTemplate
from ..demo.chat_template import CHAT_TEMPLATE
from ..engine.batch_engine import BatchEngine
from ..engine.executor import Capabilities, TokenBatch
from ..llm_config import LLMConfig
from .scripted_executor import ScriptedExecutor

REPLY_BEGINS, TURN_ENDS = "<|im_start|>", "<|im_end|>"
Script = Callable[[str], str]


class ByteTokenizer:
    """256 bytes and two control tokens."""

    special_texts = {REPLY_BEGINS: 256, TURN_ENDS: 257}  # noqa: RUF012 - the contract wants a dict
    end_tokens = frozenset({257})
    bos_token = None
    size = 258

    def encode(self, text: str, *, special: bool) -> list[int]:
        if special:
            for control, token in self.special_texts.items():
                if control in text:
                    before, _, behind = text.partition(control)
                    return [*self.encode(before, special=True), token, *self.encode(behind, special=True)]
        return list(text.encode("utf-8", "replace"))

    def piece(self, token: int) -> bytes:
        return bytes([token]) if token < 256 else list(self.special_texts)[token - 256].encode()

    def text(self, tokens: Sequence[int]) -> str:
        return b"".join(map(self.piece, tokens)).decode("utf-8", "replace")


class ScriptedModel:
    """What ScriptedLoader loads."""

    def __init__(self, config: LLMConfig, script: Script, before_compute: Callable[[TokenBatch], None] | None) -> None:
        self.context_window = config.n_ctx
        self.memory_bytes = 1
        self.prompts: list[str] = []
        self.tokenizer = ByteTokenizer()
        self.chat = ChatFormat(
            ChatTemplate(CHAT_TEMPLATE, special_tokens={}, control_texts=self.tokenizer.special_texts)
        )
        self._reply = lru_cache(256)(lambda prompt: script(self.tokenizer.text(prompt)).encode())
        capabilities = Capabilities(
            vocabulary=self.tokenizer.size,
            window=config.n_ctx,
            cells=2 * config.n_ctx,
            max_sequences=64,
            max_batch=config.n_batch,
            max_outputs=config.n_batch,
        )
        self.engine = BatchEngine(
            lambda: ScriptedExecutor(self._next_token, capabilities, before_compute=before_compute),
            max_concurrency=config.max_concurrency,
            max_queue=config.max_queue,
            name=config.model_name,
        )

    def close(self) -> None:
        self.engine.close()

    def _next_token(self, tokens: Sequence[int]) -> int:
        begun = len(tokens) - 1 - tokens[::-1].index(256)
        opening = tokens.index(10, begun) + 1  # "<|im_start|>assistant" and a line break
        said = len(tokens) - opening
        prompt = tuple(tokens[:opening])
        if said == 0:
            self.prompts.append(self.tokenizer.text(prompt))
        reply = self._reply(prompt)
        return reply[said] if said < len(reply) else 257


class ScriptedLoader:
    """A model loader for ModelPool.

    Args:
        script: from the prompt, as the model reads it, to the reply.
        window: tokens of the context window.
        before_compute: called before each step, on the engine's thread; a test may block here.

    Attributes:
        config: to acquire the model with.
        model: the one that was loaded last.
    """

    model: ScriptedModel

    def __init__(
        self, script: Script, *, window: int = 4096, before_compute: Callable[[TokenBatch], None] | None = None
    ) -> None:
        self.config = LLMConfig(model_name="scripted", n_ctx=window, n_batch=512, temperature=0.0, max_new_tokens=512)
        self._script = script
        self._before_compute = before_compute

    def estimate_memory(self, config: LLMConfig) -> int:  # noqa: ARG002 - the contract
        return 1

    def load(self, config: LLMConfig) -> ScriptedModel:
        self.model = ScriptedModel(config, self._script, self._before_compute)
        return self.model

"""A local model as Pydantic AI's agents use any model.

The reply is read from the same stream whether it is asked for whole or piece by piece, so both have the same parts.
Invariant: whatever ends a request (its end, a break, a cancellation, a time limit) ends the generation at the next
token.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import TracebackType
from typing import Any, ClassVar

from pydantic_ai.exceptions import UnexpectedModelBehavior
from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models import Model, ModelRequestParameters, StreamedResponse, check_allow_model_requests
from pydantic_ai.profiles import ModelProfile, ModelProfileSpec, merge_profile
from pydantic_ai.settings import ModelSettings
from pydantic_ai.tools import RunContext
from pydantic_ai.usage import RequestUsage

from ..base.llm_runner import LLMRunner
from ..base.options import GenerateOptions
from ..llm_config import LLMConfig
from ..logs import AGENT, get_logger
from ..pool.model_pool import ModelPool
from .compatibility import instruction_texts
from .errors import mapped_errors
from .message_converter import to_messages
from .profile import profile_of
from .runner_source import HeldRunner, PooledRunner, RunnerSource
from .settings import generation_options
from .stream_response import LocalStreamedResponse

PROVIDER = "practorflow"

log = get_logger(AGENT)


class LocalLLMModel(Model[None]):
    """A model of this library for Pydantic AI.

        agent = Agent(LocalLLMModel(runner))

    Any number of agents and runs may use one at once; the engine computes their requests in one batch.

    Args:
        runner: generates. The agent keeps the conversation, so the runner needs no session; its lease is the caller's.
        settings: defaults for each request; see LocalLLMModelSettings.
        profile: what differs from the profile that follows from the model.
    """

    unsupported_settings = frozenset({"extra_headers", "max_retries", "service_tier", "citations"})
    _unsupported_file_inputs = frozenset({"image", "document", "audio", "video"})
    _relocates_tool_files: ClassVar[bool] = True

    def __init__(
        self,
        runner: LLMRunner,
        *,
        settings: ModelSettings | None = None,
        profile: ModelProfileSpec | None = None,
    ) -> None:
        super().__init__(settings=settings, profile=profile)
        self._source: RunnerSource = HeldRunner(runner)
        self._held: list[AbstractAsyncContextManager[Any]] = []

    @classmethod
    def from_pool(
        cls,
        pool: ModelPool,
        config: LLMConfig,
        *,
        settings: ModelSettings | None = None,
        profile: ModelProfileSpec | None = None,
    ) -> LocalLLMModel:
        """A model that leases itself from a pool for each run, and for the length of `async with model` or an agent.

        Args:
            pool: where it is loaded.
            config: which model, with its sampling settings.
            settings: defaults for each request.
            profile: what differs from the profile that follows from the model.
        """
        model = cls.__new__(cls)
        Model.__init__(model, settings=settings, profile=profile)
        model._source = PooledRunner(pool, config)
        model._held = []
        return model

    @property
    def model_name(self) -> str:
        """What was asked for in the configuration."""
        return self._source.model_name

    @property
    def system(self) -> str:
        """The name of this library, which provides the model."""
        return PROVIDER

    @property
    def provider(self) -> None:
        """None: there is no service behind this model."""
        return None

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Generate a whole response.

        Raises:
            ModelAPIError: of the class that says what went wrong, from this library's own error.
            UserError: the request asks for what this model never does.
        """
        async with self.request_stream(messages, model_settings, model_request_parameters) as response:
            async for _ in response:
                pass
            return response.get()

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,  # noqa: ARG002 - the framework's interface
    ) -> AsyncIterator[StreamedResponse]:
        """Generate a response piece by piece. Leaving the block stops the generation at its next token.

        The first piece is waited for, so that what keeps the model from answering is raised here.

        Raises:
            ModelAPIError: as for `request`.
            UserError: as for `request`.
        """
        check_allow_model_requests()
        begun = time.monotonic()
        async with self._runner() as runner:
            settings, parameters = self.prepare_request(model_settings, model_request_parameters)
            with mapped_errors(self.model_name):
                stream = runner.generate_stream(**self._options(messages, settings, parameters))
            try:
                with mapped_errors(self.model_name):
                    first = await anext(stream, None)
                if first is None:
                    raise UnexpectedModelBehavior("The stream ended before it had begun.")
                yield LocalStreamedResponse(
                    parameters,
                    stream=stream,
                    first=first,
                    name=self.model_name,
                    provider=self.system,
                    parallel=(settings or {}).get("parallel_tool_calls") is not False,
                )
            finally:
                await stream.aclose()
                log.info(
                    "a request of %d messages and %d tools to %r was over after %.3f s",
                    len(messages),
                    len(parameters.function_tools),
                    self.model_name,
                    time.monotonic() - begun,
                )

    async def count_tokens(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> RequestUsage:
        """The tokens that the request's prompt has, exactly, tools and instructions included. Computes nothing.

        Raises:
            ModelAPIError: as for `request`.
            UserError: as for `request`.
        """
        async with self._runner() as runner:
            settings, parameters = self.prepare_request(model_settings, model_request_parameters)
            with mapped_errors(self.model_name):
                count = await runner.count_tokens(**self._options(messages, settings, parameters))
        return RequestUsage(input_tokens=count)

    async def __aenter__(self) -> LocalLLMModel:
        """Hold the lease until the block ends."""
        held = self._runner()
        await held.__aenter__()
        self._held.append(held)
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        await self._held.pop().__aexit__(exc_type, exc_val, exc_tb)

    @asynccontextmanager
    async def _run_scope(self) -> AsyncIterator[None]:
        """One lease for the length of a run, from its first request on: a model that is never asked is not loaded,
        and one that cannot be is an error of its request, which falls back."""
        async with self._source.hold():
            yield

    @asynccontextmanager
    async def _runner(self) -> AsyncIterator[LLMRunner]:
        known = self._source.abilities
        source = self._source.use()
        with mapped_errors(self.model_name):
            runner = await source.__aenter__()
        try:
            if known is None and self._source.abilities is not None:
                self.__dict__.pop("profile", None)  # it was made before the model was known
            yield runner
        finally:
            await source.__aexit__(None, None, None)

    def _instance_profile_defaults(self, profile: ModelProfile) -> ModelProfile:
        constrained = (self.settings or {}).get("local_constrain") is not False
        return merge_profile(profile, profile_of(self._source.abilities, constrained=constrained))

    def _options(
        self, messages: list[ModelMessage], settings: ModelSettings | None, parameters: ModelRequestParameters
    ) -> GenerateOptions:
        instructions = instruction_texts(self, messages, parameters)
        options = generation_options(settings, parameters, self._source.abilities)
        options["messages"] = to_messages(messages, instructions)
        options["tell_all_calls"] = True
        return options

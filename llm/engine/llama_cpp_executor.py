"""One llama.cpp context as an executor: batches in, logits out, sequences in one unified key-value memory.

Return codes of `llama_decode`: 0 done, 1 no room (nothing changed), 2 aborted (part of the batch may be in memory),
negative broken. Whatever makes llama.cpp abort the process (a batch above its size, a sequence id out of range, too
many outputs) is refused here by assertions, because the engine never asks for it.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import numpy.typing as npt

from ..exceptions import EngineFailedError, ModelLoadError
from ..llama_cpp_library import initialised_library, take_recent_errors
from .executor import Capabilities, ComputeStatus, TokenBatch

UBATCH = 512


class LlamaCppExecutor:
    """A context on a loaded model.

    Args:
        model: the `llama_model` pointer; it must outlive this object.
        cells: tokens of key-value memory.
        max_batch: rows of one batch.
        max_running: sequences that decode at once; recurrent models get no more sequences than this.
        threads: of the CPU.
        offload: keep the key-value memory on the GPU when there is one.

    Raises:
        ModelLoadError: there is no memory for the context.
    """

    def __init__(
        self, model: Any, *, cells: int, max_batch: int, max_running: int, threads: int, offload: bool = True
    ) -> None:
        self._library = library = initialised_library()
        recurrent = library.llama_model_is_recurrent(model) or library.llama_model_is_hybrid(model)
        params = library.llama_context_default_params()
        params.n_ctx = cells
        params.n_batch = max_batch
        params.n_ubatch = min(UBATCH, max_batch)
        params.n_seq_max = max_running if recurrent else min(256, 2 * max_running + 16)
        # llama.cpp plans for one output of every sequence and aborts the process when this is less
        params.n_outputs_max = max_outputs = max(params.n_seq_max, max_running + 16)
        params.n_threads = params.n_threads_batch = threads
        params.kv_unified = True
        params.swa_full = True
        params.offload_kqv = params.op_offload = offload
        params.no_perf = True
        self._context = library.llama_init_from_model(model, params)
        if not self._context:
            raise ModelLoadError(
                f"llama.cpp could not set up a context of {cells} tokens. Lower LLM_N_CTX, or free memory. "
                f"It said: {take_recent_errors() or 'nothing'}"
            )
        self._memory = library.llama_get_memory(self._context)
        vocabulary = library.llama_vocab_n_tokens(library.llama_model_get_vocab(model))
        cells = library.llama_n_ctx(self._context)
        trained = library.llama_model_n_ctx_train(model)
        self._capabilities = Capabilities(
            vocabulary=vocabulary,
            window=min(cells, trained) if trained > 0 else cells,
            cells=cells,
            max_sequences=params.n_seq_max,
            max_batch=max_batch,
            max_outputs=max_outputs,
            can_share=not recurrent,
            can_truncate=not recurrent,
        )
        self._batch = TokenBatch(max_batch)
        self._native_batch = self._describe_batch()
        # libc's strlen serves as the abort callback: it reads one byte per graph node and, unlike a Python function,
        # needs no interpreter lock. A zero byte is an empty string is "go on".
        self._abort_flag = ctypes.create_string_buffer(2)
        strlen = ctypes.cast(ctypes.CDLL(None).strlen, library.ggml_abort_callback)
        self._keep_alive = strlen
        library.llama_set_abort_callback(self._context, strlen, ctypes.cast(self._abort_flag, ctypes.c_void_p))

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    @property
    def batch(self) -> TokenBatch:
        return self._batch

    def compute(self) -> ComputeStatus:
        batch = self._batch
        assert 0 < batch.size <= self._capabilities.max_batch
        assert int(batch.outputs[: batch.size].sum()) <= self._capabilities.max_outputs
        self._native_batch.n_tokens = batch.size
        status = self._library.llama_decode(self._context, self._native_batch)
        if status == 0:
            self._library.llama_synchronize(self._context)
        self._abort_flag[0] = b"\0"
        if status == 0:
            return "done"
        if status == 1:
            return "full"
        if status == 2:
            return "aborted"
        raise EngineFailedError(
            f"llama.cpp failed to compute a batch of {batch.size} tokens (code {status}: "
            f"{take_recent_errors() or 'no message'}). Requests under way are lost; new ones may work."
        )

    def logits(self, row: int) -> npt.NDArray[np.float32]:
        pointer = self._library.llama_get_logits_ith(self._context, row)
        if not pointer:
            raise EngineFailedError(f"llama.cpp has no logits for row {row} of the batch.")
        return np.ctypeslib.as_array(pointer, (self._capabilities.vocabulary,))

    def share(self, source: int, target: int, length: int) -> None:
        assert source != target
        self._library.llama_memory_seq_cp(self._memory, source, target, 0, length)

    def truncate(self, sequence: int, length: int) -> None:
        assert 0 <= sequence < self._capabilities.max_sequences
        if not self._library.llama_memory_seq_rm(self._memory, sequence, length, -1):
            raise EngineFailedError(f"llama.cpp could not shorten sequence {sequence} to {length} tokens.")

    def length(self, sequence: int) -> int:
        return int(self._library.llama_memory_seq_pos_max(self._memory, sequence)) + 1

    def abort(self) -> None:
        self._abort_flag[0] = b"\1"

    def clear_abort(self) -> None:
        self._abort_flag[0] = b"\0"

    def close(self) -> None:
        if self._context:
            self._library.llama_free(self._context)
            self._context = None

    def _describe_batch(self) -> Any:
        """A `llama_batch` that points into the numpy arrays, so that filling those fills it."""
        batch, capacity = self._batch, self._batch.capacity
        self._ones = np.ones(capacity, dtype=np.int32)
        addresses = batch.sequences.ctypes.data + batch.sequences.itemsize * np.arange(capacity)
        self._sequence_pointers = addresses.astype(np.uintp)
        native = self._library.llama_batch()
        for name, array in (
            ("token", batch.tokens),
            ("pos", batch.positions),
            ("n_seq_id", self._ones),
            ("seq_id", self._sequence_pointers),
            ("logits", batch.outputs),
        ):
            field_type = dict(self._library.llama_batch._fields_)[name]
            setattr(native, name, ctypes.cast(array.ctypes.data, field_type))
        return native

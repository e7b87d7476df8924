"""Loads each model named on standard input as the engine would, and says what became of it: one word for each line.

A program of its own: native code that aborts ends this process and nobody else.
"""

from __future__ import annotations

import ctypes
import os
import sys

os.environ["GGML_NO_BACKTRACE"] = "1"  # an abort would otherwise start a debugger

import llama_cpp

PROMPT = b"hello there\n"
CONTEXT = 64


@llama_cpp.llama_log_callback
def discard(level: int, text: bytes, user_data: object) -> None:
    """Keep native messages out of the test's output."""


def outcome(path: bytes) -> str:
    model_parameters = llama_cpp.llama_model_default_params()
    model_parameters.n_gpu_layers = 0
    model = llama_cpp.llama_model_load_from_file(path, model_parameters)
    if not model:
        return "refused"
    parameters = llama_cpp.llama_context_default_params()
    parameters.n_ctx = parameters.n_batch = parameters.n_ubatch = CONTEXT
    parameters.n_threads = parameters.n_threads_batch = 1
    context = llama_cpp.llama_init_from_model(model, parameters)
    if not context:
        llama_cpp.llama_model_free(model)
        return "refused"
    vocabulary = llama_cpp.llama_model_get_vocab(model)
    tokens = (llama_cpp.llama_token * CONTEXT)()
    count = llama_cpp.llama_tokenize(vocabulary, PROMPT, len(PROMPT), tokens, CONTEXT, True, True)
    if count > 0:
        llama_cpp.llama_decode(context, llama_cpp.llama_batch_get_one(tokens, count))
    piece = ctypes.create_string_buffer(256)
    for token in range(llama_cpp.llama_vocab_n_tokens(vocabulary)):
        llama_cpp.llama_token_to_piece(vocabulary, token, piece, len(piece), 0, True)
    llama_cpp.llama_free(context)
    llama_cpp.llama_model_free(model)
    return "loaded"


def main() -> None:
    llama_cpp.llama_log_set(discard, ctypes.c_void_p(0))
    llama_cpp.llama_backend_init()
    for line in sys.stdin:
        print(outcome(os.fsencode(line.rstrip("\n"))), flush=True)


if __name__ == "__main__":
    main()

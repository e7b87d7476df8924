"""`practorflow estimate`: how much memory a model takes, before it is loaded or even downloaded."""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING, Any

from ..exceptions import ConfigError
from . import exit_codes
from .command import Command, Context
from .model_options import add_model_place, chosen_model
from .output import size

if TYPE_CHECKING:
    from ..hub.gguf_memory import MemoryEstimate, Shape
    from ..llm_config import LLMConfig

CONTEXTS = (2048, 4096, 8192, 16384, 32768, 65536, 131072)
_SIZE = re.compile(r"\d+(\.\d+)?[bB]")

_DESCRIPTION = """\
Tell how much memory a model takes, by the length of its context window (LLM_N_CTX), with the terms of the formula:

  weights     the tensors of the file
  key-value   tokens x sum over layers of key-value heads x (key + value width) x 2 bytes
  compute     512 x (4 x (vocabulary + 8 x embedding + 2 x feed-forward) + 2 x tokens), an upper bound
  output      4 x vocabulary x LLM_MAX_CONCURRENCY

MODEL is a name as in LLM_MODEL; of a model in the hub only the header is fetched. Or it is a size, such as 7B: then the
measures are those of the Qwen2.5 model of that size and the weights follow from --quantization.

  practorflow estimate
  practorflow estimate bartowski/Qwen2.5-7B-Instruct-GGUF/Qwen2.5-7B-Instruct-Q4_K_M.gguf
  practorflow estimate 14B --quantization Q8_0 --contexts 8192,32768
  practorflow estimate --guide
"""


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    from ..hub.model_shapes import BITS_PER_WEIGHT, SIZES, USUAL_QUANTIZATION

    parser.add_argument("model", nargs="?", metavar="MODEL", help=f"a model, or one of {', '.join(SIZES)}")
    parser.add_argument(
        "--contexts",
        metavar="N,N",
        help=f"lengths of the context window in tokens (LLM_N_CTX, and {CONTEXTS[0]} doubled up to the model's own)",
    )
    parser.add_argument(
        "--quantization", choices=tuple(BITS_PER_WEIGHT), help=f"for a size only ({USUAL_QUANTIZATION})"
    )
    parser.add_argument(
        "--guide", action="store_true", help="instead a table of sizes and context windows, as Markdown"
    )
    add_model_place(parser)


def _run(options: argparse.Namespace, context: Context) -> int:
    contexts = _contexts(options.contexts)
    if options.guide:
        _guide(contexts or (4096, 8192, 32768), context)
        return exit_codes.OK
    config = context.configuration().ModelConfiguration
    if options.model is not None and _SIZE.fullmatch(options.model):
        from ..hub.model_shapes import USUAL_QUANTIZATION, shape_of_size

        quantization = options.quantization or USUAL_QUANTIZATION
        name, shape = f"{options.model.upper()} {quantization}", shape_of_size(options.model, quantization)
        trained: int = shape.context_length
        _show(context, config, name, shape, trained, contexts)
        return exit_codes.OK
    if options.quantization is not None:
        raise ConfigError("--quantization", options.quantization, "for a size such as 7B; a file has its own")
    if options.model is not None:
        options.model_name = options.model
    config = chosen_model(config, options)
    if config.backend != "llama_cpp":
        return _total_only(context, config)
    from ..hub.resolve import gguf_header_of

    header = gguf_header_of(config)
    _show(context, config, config.model_name, header, header.context_length, contexts)
    return exit_codes.OK


def _contexts(text: str | None) -> tuple[int, ...]:
    if text is None:
        return ()
    numbers = text.replace(" ", "").split(",")
    if not all(number.isdecimal() and 16 <= int(number) <= 1 << 24 for number in numbers):
        raise ConfigError("--contexts", text, "whole numbers from 16 with commas between them")
    return tuple(map(int, numbers))


def _show(
    context: Context, config: LLMConfig, name: str, shape: Shape, trained: int, contexts: tuple[int, ...]
) -> None:
    from ..hub.gguf_memory import gguf_memory, key_value_bytes_per_token

    if not contexts:
        contexts = tuple(sorted({*(n for n in CONTEXTS if n <= trained), config.n_ctx}))
    rows = [(n_ctx, gguf_memory(shape, n_ctx, sequences=config.max_concurrency)) for n_ctx in contexts]
    memory = machine_memory()
    output = context.output
    if output.as_json:
        output.document(
            {
                "model": name,
                "trained_context": trained,
                "key_value_bytes_per_token": key_value_bytes_per_token(shape),
                "max_concurrency": config.max_concurrency,
                "machine_memory_bytes": memory,
                "estimates": [_terms(n_ctx, estimate) for n_ctx, estimate in rows],
            }
        )
        return
    output.note(f"{name}: trained for {trained} tokens, {key_value_bytes_per_token(shape)} bytes of cache per token.")
    headings = ("N_CTX", "WEIGHTS", "KEY-VALUE", "COMPUTE", "OUTPUT", "TOTAL")
    output.table(
        headings,
        [(n_ctx, *map(size, (one.weights, one.key_value, one.compute, one.output, one.total))) for n_ctx, one in rows],
    )
    output.note(f"This machine has {size(memory)} of memory. LLM_N_CTX is {config.n_ctx} now.")


def _terms(n_ctx: int, estimate: MemoryEstimate) -> dict[str, int]:
    return {
        "n_ctx": n_ctx,
        "weights": estimate.weights,
        "key_value": estimate.key_value,
        "compute": estimate.compute,
        "output": estimate.output,
        "total": estimate.total,
    }


def _total_only(context: Context, config: LLMConfig) -> int:
    """What the pool reckons with for other backends, in one number."""
    from ..factory import default_loader

    total = default_loader().estimate_memory(config)
    if context.output.as_json:
        context.output.document({"model": config.model_name, "estimates": [{"n_ctx": config.n_ctx, "total": total}]})
    else:
        context.output.table(("N_CTX", "TOTAL"), [(config.n_ctx, size(total))])
    return exit_codes.OK


def _guide(contexts: tuple[int, ...], context: Context) -> None:
    rows = guide(contexts)
    if context.output.as_json:
        context.output.document({"contexts": contexts, "sizes": rows})
        return
    for line in guide_table(contexts, rows):
        context.output.line(line)


def guide(contexts: tuple[int, ...]) -> list[dict[str, Any]]:
    """Bytes of each usual size with each context window, one request at a time."""
    from ..hub.gguf_memory import gguf_memory
    from ..hub.model_shapes import SIZES, USUAL_QUANTIZATION, shape_of_size

    return [
        {
            "size": name,
            "quantization": USUAL_QUANTIZATION,
            "weights": shape_of_size(name).tensor_bytes,
            "totals": [gguf_memory(shape_of_size(name), n_ctx).total for n_ctx in contexts],
        }
        for name in SIZES
    ]


def guide_table(contexts: tuple[int, ...], rows: list[dict[str, Any]]) -> list[str]:
    """The guide as the README shows it."""
    headings = ["model", "weights", *(f"with `LLM_N_CTX={n_ctx}`" for n_ctx in contexts)]
    lines = [f"| {' | '.join(headings)} |", "|" + "---|" * len(headings)]
    for row in rows:
        cells = [f"{row['size']} {row['quantization']}", size(row["weights"]), *map(size, row["totals"])]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def machine_memory() -> int:
    """Bytes of main memory."""
    import psutil  # type: ignore[import-untyped, unused-ignore]

    return int(psutil.virtual_memory().total)


COMMAND = Command("estimate", "memory by model and context window", _DESCRIPTION, _add_arguments, _run)

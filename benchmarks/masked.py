"""Decoding under a JSON schema against free decoding, on a vocabulary of 151,936 tokens.

    python benchmarks/masked.py

A random model wants what the schema forbids nearly every time, so that nearly every token needs the mask of the whole
vocabulary: the dearest case. Target: 0.9 of the free speed.
"""

from __future__ import annotations

from figures import arguments, benchmark_model, compare, finish
from peers import Job, OurEngine, interleaved, load_weights, random_prompt

from llm.base.call_syntax import CallSyntax
from llm.chat.llama_cpp_tokenizer import LlamaCppTokenizer
from llm.grammar.constraint import GrammarCompiler
from llm.grammar.response_grammar import response_grammar
from llm.llama_cpp_library import initialised_library

TOKENS = 96
SCHEMA = {
    "type": "array",
    "minItems": 200,
    "items": {
        "type": "object",
        "properties": {"name": {"type": "string"}, "count": {"type": "integer"}, "kind": {"enum": ["red", "blue"]}},
        "required": ["name", "count", "kind"],
    },
}


def main() -> None:
    options = arguments(__doc__ or "", rounds=5)
    weights = load_weights(benchmark_model(options.model))
    tokenizer = LlamaCppTokenizer(initialised_library().llama_model_get_vocab(weights))
    masked = OurEngine(weights, lookup=False, compile_constraint=GrammarCompiler(tokenizer), name="masked")
    masked.grammar = response_grammar(CallSyntax(), [], response_schema=SCHEMA)
    free = OurEngine(weights, lookup=False, name="free")
    results = interleaved([masked, free], lambda n: [Job(random_prompt(32, seed=n), TOKENS)], rounds=options.rounds)
    table = compare(
        {name: [r[0].tokens_per_second for r in rounds] for name, rounds in results.items()},
        base="free",
        unit="tokens/s",
    )
    masked.close()
    free.close()
    finish("masked decoding", target=0.9, ratio=table["masked"]["ratio"], tokens_per_second=table)


if __name__ == "__main__":
    main()

"""What a constraint costs per token on a vocabulary of 128,000 tokens, beside everything else that a token costs.

    python benchmarks/constraint.py

No model is needed: the vocabulary is made from the words of Python's own standard library (each word's beginnings, the
frequent ones first), which gives tokens of lengths and overlaps like those of a trained one. Each scenario writes one
fixed reply. Per token it measures `allows`, all that is paid where the model wants an allowed token, and `fill_mask`,
which is paid besides where it wants another. Every reply is measured on a fresh compiler, so that nothing is warm, and
once more warm. Target: below half a millisecond per token, cold.
"""

from __future__ import annotations

import argparse
import json
import re
import resource
import statistics
import sysconfig
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from figures import finish

from llm.base.call_syntax import CallSyntax
from llm.grammar.constraint import GrammarCompiler, GrammarConstraint
from llm.grammar.response_grammar import response_grammar

SIZE = 128_000
LONGEST = 24
PIECE = re.compile(rb" ?[A-Za-z]+|[0-9]{1,3}| ?[^\sA-Za-z0-9]+|\s+")
T = TypeVar("T")


class WordVocabulary:
    """The bytes, the frequent beginnings of words, and an end token."""

    def __init__(self, size: int) -> None:
        words: Counter[bytes] = Counter()
        for path in sorted(Path(sysconfig.get_paths()["stdlib"]).rglob("*.py")):
            words.update(PIECE.findall(path.read_bytes()))
        beginnings: Counter[bytes] = Counter()
        for word, count in words.items():
            for end in range(2, min(len(word), LONGEST) + 1):
                beginnings[word[:end]] += count
        self._pieces = [bytes([byte]) for byte in range(256)]
        self._pieces += [piece for piece, _ in beginnings.most_common(size - len(self._pieces) - 1)]
        self._tokens = {piece: token for token, piece in enumerate(self._pieces)}
        self.size = len(self._pieces) + 1
        self.end_tokens = frozenset({len(self._pieces)})
        self.special_texts = {"<|end|>": len(self._pieces)}

    def piece(self, token: int) -> bytes:
        return self._pieces[token]

    def encode(self, text: str, *, special: bool) -> list[int]:
        assert not special
        data, start, tokens = text.encode(), 0, []
        while start < len(data):
            end = min(start + LONGEST, len(data))
            while data[start:end] not in self._tokens:
                end -= 1
            tokens.append(self._tokens[data[start:end]])
            start = end
        return tokens


def tool(name: str, **properties: Any) -> dict[str, Any]:
    return {"name": name, "parameters": {"type": "object", "properties": properties, "required": list(properties)}}


STRING, INTEGER = {"type": "string"}, {"type": "integer"}
TOOLS = [
    tool("write", path=STRING, text=STRING, mode={"enum": ["replace", "append"]}),
    *(tool(f"get_{name}", city=STRING, days={**INTEGER, "minimum": 1, "maximum": 9}) for name in ("weather", "time")),
    *(tool(f"action_{number}", first=STRING, second=INTEGER) for number in range(17)),
]
PROSE = "The quick brown fox jumps over the lazy dog, and then it does so again, because nobody was looking. "
PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 60},
        "born": {"type": "string", "format": "date"},
        "email": {"type": "string", "pattern": r"^[a-z.]+@[a-z]+\.(org|com)$"},
        "tags": {"type": "array", "items": {"enum": ["a", "b", "c"]}, "maxItems": 5},
        "address": {"anyOf": [{"type": "object", "properties": {"street": STRING, "zip": INTEGER}}, {"type": "null"}]},
        "about": STRING,
    },
    "required": ["name", "born", "email", "tags", "address", "about"],
}
ADA = {
    "name": "Ada Lovelace",
    "born": "1815-12-10",
    "email": "ada.l@example.org",
    "tags": ["a", "c"],
    "address": {"street": "St James's Square", "zip": 12345},
    "about": PROSE * 3,
}
HERMES = CallSyntax(call_open="<tool_call>\n", call_close="\n</tool_call>", call_separator="\n")
TAGGED = CallSyntax(
    nesting="parameters",
    call_open="<tool_call>\n<function=",
    call_close="</function>\n</tool_call>",
    name_close=">\n",
    parameter_open="<parameter=",
    key_close=">\n",
    parameter_close="\n</parameter>\n",
)
WRITE = {"path": "notes/fox.txt", "text": PROSE * 3, "mode": "append"}
CALL = f"<tool_call>\n{json.dumps({'name': 'write', 'arguments': WRITE})}\n</tool_call>"
TAGGED_CALL = (
    "<tool_call>\n<function=write>\n"
    + "".join(f"<parameter={key}>\n{value}\n</parameter>\n" for key, value in WRITE.items())
    + "</function>\n</tool_call>"
)

SCENARIOS: dict[str, tuple[CallSyntax, dict[str, Any], str]] = {
    "free text, twenty tools": (HERMES, {"tools": TOOLS}, PROSE * 5),
    "text, then a call": (HERMES, {"tools": TOOLS}, PROSE + CALL),
    "required call, JSON": (HERMES, {"tools": TOOLS, "tool_choice": "required"}, CALL),
    "required call, tags": (TAGGED, {"tools": TOOLS, "tool_choice": "required"}, TAGGED_CALL),
    "structured answer": (HERMES, {"tools": [], "response_schema": PERSON}, json.dumps(ADA)),
}


def timed(call: Callable[[], T]) -> tuple[float, T]:
    begun = time.perf_counter()
    result = call()
    return time.perf_counter() - begun, result


def write(constraint: GrammarConstraint, vocabulary: WordVocabulary, text: str) -> dict[str, list[float]]:
    """Seconds of each call at each token."""
    mask = np.zeros((vocabulary.size + 31) // 32, dtype=np.int32)
    seconds: dict[str, list[float]] = {"forced": [], "allows": [], "mask": []}
    for token in vocabulary.encode(text, special=False):
        seconds["forced"].append(timed(constraint.forced_tokens)[0])
        seconds["mask"].append(timed(lambda: constraint.fill_mask(mask))[0])
        spent, allowed = timed(lambda token=token: constraint.allows(token))  # type: ignore[misc]
        seconds["allows"].append(spent)
        assert allowed, "the reply of a scenario breaks its grammar"
        constraint.advance(token)
    assert constraint.allows(min(vocabulary.end_tokens))
    return seconds


def summary(seconds: list[float]) -> dict[str, float]:
    micro = sorted(value * 1e6 for value in seconds)
    return {
        "mean_us": round(statistics.fmean(micro), 1),
        "median_us": round(statistics.median(micro), 1),
        "p99_us": round(micro[int(len(micro) * 0.99)], 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="times that each reply is written cold and warm")
    options = parser.parse_args()
    vocabulary = WordVocabulary(SIZE)
    table: dict[str, Any] = {}
    for name, (syntax, wanted, text) in SCENARIOS.items():
        build, grammar = timed(lambda: response_grammar(syntax, wanted.pop("tools"), **wanted))  # noqa: B023
        assert grammar is not None
        cold: dict[str, list[float]] = {}
        warm: dict[str, list[float]] = {}
        ready, compiled = [], []
        for _ in range(options.rounds):
            compiler = GrammarCompiler(vocabulary)
            ready.append(timed(lambda: compiler("start: /a/"))[0])  # noqa: B023
            compiled.append(timed(lambda: compiler(grammar))[0])  # noqa: B023
            for seconds in (cold, warm):
                for kind, values in write(compiler(grammar), vocabulary, text).items():
                    seconds.setdefault(kind, []).extend(values)
        table[name] = {
            "tokens": len(cold["mask"]) // options.rounds,
            "build_ms": round(build * 1e3, 2),
            "compile_ms": round(statistics.median(compiled) * 1e3, 2),
            "cold": {kind: summary(values) for kind, values in cold.items()},
            "warm": {kind: summary(values) for kind, values in warm.items()},
        }
        row, first = table[name], table[name]["cold"]
        print(
            f"{name:26} compile {row['compile_ms']:6.1f} ms   cold: allows {first['allows']['mean_us']:5.1f} us,"
            f" mask {first['mask']['mean_us']:6.1f} us (p99 {first['mask']['p99_us']:7.1f}),"
            f" forced {first['forced']['mean_us']:5.1f} us",
            flush=True,
        )
    dearest = max(sum(row["cold"][kind]["mean_us"] for kind in ("allows", "mask", "forced")) for row in table.values())
    finish(
        "cost of a constraint per token",
        vocabulary=vocabulary.size,
        vocabulary_is="synthetic: beginnings of words of the standard library's source",
        vocabulary_ready_s=round(statistics.median(ready), 2),
        target_us=500,
        dearest_scenario_us=round(dearest, 1),
        most_memory_mib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        scenarios=table,
    )


if __name__ == "__main__":
    main()

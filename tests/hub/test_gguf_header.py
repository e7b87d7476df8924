"""What a GGUF header says, and the files that are refused before native code sees them."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from pathlib import Path

import gguf
import numpy as np
import pytest

from llm.exceptions import ModelFormatError
from llm.hub.gguf_format import TENSOR_TYPES, ArrayShape, SkippedText
from llm.hub.gguf_header import check_gguf, part_names
from llm.hub.gguf_memory import estimate_gguf_memory, key_value_bytes_per_token
from llm.hub.gguf_reader import read_gguf

GGUFBuilder = Callable[..., Path]
Change = Callable[[gguf.GGUFWriter], object]


def number(value: int) -> bytes:
    return struct.pack("<Q", value)


def text(value: bytes) -> bytes:
    return number(len(value)) + value


def entry(key: bytes, kind: int, value: bytes) -> bytes:
    return text(key) + struct.pack("<I", kind) + value


def metadata(**values: int | bytes) -> list[bytes]:
    """Metadata of a tiny model, with some of it changed; keys are written with '__' for '.'."""
    all_values: dict[str, int | bytes] = {
        "general.architecture": b"qwen2",
        "qwen2.block_count": 1,
        "qwen2.context_length": 128,
        "qwen2.embedding_length": 32,
        "qwen2.attention.head_count": 4,
        "qwen2.attention.head_count_kv": 2,
        "qwen2.feed_forward_length": 64,
        **{key.replace("__", "."): value for key, value in values.items()},
    }
    return [
        entry(key.encode(), 8, text(value))
        if isinstance(value, bytes)
        else entry(key.encode(), 4, struct.pack("<I", value))
        for key, value in all_values.items()
    ]


def tensor(name: bytes, dimensions: tuple[int, ...] = (32,), kind: int = 0, offset: int = 0) -> bytes:
    shape = b"".join(map(number, dimensions))
    return text(name) + struct.pack("<I", len(dimensions)) + shape + struct.pack("<I", kind) + number(offset)


def assemble(entries: list[bytes], tensors: list[bytes], data: int = 128, version: int = 3, **counts: int) -> bytes:
    head = b"GGUF" + struct.pack("<I", version)
    head += number(counts.get("tensor_count", len(tensors))) + number(counts.get("entry_count", len(entries)))
    head += b"".join(entries) + b"".join(tensors)
    return head + bytes(-len(head) % 32) + bytes(data)


def check(folder: Path, content: bytes) -> None:
    path = folder / "model.gguf"
    path.write_bytes(content)
    check_gguf(path)


SOUND = assemble(metadata(), [tensor(b"token_embd.weight")])


def test_a_header_tells_what_the_pool_needs(tmp_path: Path, write_gguf: GGUFBuilder) -> None:
    """Shape, sizes and template of a model written by the format's own library."""
    path = write_gguf(tmp_path / "model.gguf", layers=3, width=64, heads=8, heads_kv=4)
    header = check_gguf(path)
    reader = gguf.GGUFReader(path)
    assert (header.architecture, header.version, header.block_count, header.file_type) == ("qwen2", 3, 3, 0)
    assert (header.context_length, header.embedding_length, header.feed_forward_length) == (512, 64, 64)
    assert (header.head_counts, header.head_counts_kv) == ((8,) * 3, (4,) * 3)
    assert (header.key_length, header.value_length) == (8, 8)
    assert header.vocabulary_size == 262
    assert header.tensor_count == len(reader.tensors)
    assert header.tensor_bytes == sum(int(entry.n_bytes) for entry in reader.tensors)
    assert header.chat_template == "{% for message in messages %}{{ message.content }}{% endfor %}"
    assert header.path == path


def test_a_header_does_not_print_its_template(tmp_path: Path, write_gguf: GGUFBuilder) -> None:
    """A repr is for logs; templates are long, and are the model's business."""
    assert "for message" not in repr(check_gguf(write_gguf(tmp_path / "model.gguf")))


def test_the_hand_written_file_of_these_tests_is_sound(tmp_path: Path) -> None:
    """The files below are refused for what is changed in them and not for what they have in common."""
    check(tmp_path, SOUND)


def test_tensor_types_are_those_of_the_format() -> None:
    """Names, block sizes and byte sizes agree with the format's own library."""
    known = {int(kind): (kind.name, *sizes) for kind, sizes in gguf.GGML_QUANT_SIZES.items()}
    known[int(gguf.GGMLQuantizationType.Q8_1)] = (
        "Q8_1",
        32,
        36,
    )  # that library counts two floats, llama.cpp two halves
    assert {kind: sizes for kind, sizes in TENSOR_TYPES.items() if kind in known} == known


def test_every_kind_of_value_is_stepped_over_exactly(tmp_path: Path, write_gguf: GGUFBuilder) -> None:
    """Metadata of every type, scalars and lists, leaves the reader where the next key begins."""

    def add_everything(writer: gguf.GGUFWriter) -> None:
        writer.add_uint8("x.u8", 255)
        writer.add_int8("x.i8", -1)
        writer.add_uint16("x.u16", 65535)
        writer.add_int16("x.i16", -1)
        writer.add_int32("x.i32", -1)
        writer.add_float32("x.f32", 1.5)
        writer.add_uint64("x.u64", 1 << 40)
        writer.add_int64("x.i64", -1)
        writer.add_float64("x.f64", 2.5)
        writer.add_bool("x.bool", True)
        writer.add_string("x.text", "ä")
        writer.add_string("x.long", "x" * (2 << 20))
        writer.add_array("x.numbers", [1, 2, 3])
        writer.add_array("x.many", list(range(1000)))
        writer.add_array("x.floats", [0.5] * 3)
        writer.add_array("x.flags", [True, False])
        writer.add_array("x.texts", ["", "a", "bc"])
        writer.add_string("x.last", "end")

    contents = read_gguf(write_gguf(tmp_path / "model.gguf", change=add_everything))
    values = contents.metadata
    assert [values[f"x.{name}"] for name in ("u8", "i8", "u16", "i16", "i32")] == [255, -1, 65535, -1, -1]
    assert [values[f"x.{name}"] for name in ("f32", "u64", "i64", "f64", "bool")] == [1.5, 1 << 40, -1, 2.5, True]
    assert values["x.text"] == "ä".encode()
    assert (values["x.numbers"], values["x.flags"], values["x.last"]) == ((1, 2, 3), (True, False), b"end")
    # What is long, and lists of texts, are stepped over.
    assert values["x.long"] == SkippedText(2 << 20)
    assert (values["x.many"], values["x.texts"]) == (ArrayShape(5, 1000), ArrayShape(8, 3))


def test_a_model_in_several_files_is_one_model(tmp_path: Path, write_gguf: GGUFBuilder) -> None:
    """Weights are counted over all parts, and each part is checked."""
    whole = check_gguf(write_gguf(tmp_path / "whole.gguf"))
    write_gguf(tmp_path / "split.gguf", split_max_tensors=12)
    first = tmp_path / "split-00001-of-00003.gguf"
    header = check_gguf(first)
    assert [path.name for path in header.parts] == [f"split-0000{n}-of-00003.gguf" for n in (1, 2, 3)]
    assert (header.tensor_count, header.tensor_bytes) == (whole.tensor_count, whole.tensor_bytes)
    with pytest.raises(ModelFormatError, match="a later part of a model in 3 files; give the first one"):
        check_gguf(tmp_path / "split-00002-of-00003.gguf")
    third = tmp_path / "split-00003-of-00003.gguf"
    content = third.read_bytes()
    third.write_bytes(content[:-100])
    with pytest.raises(ModelFormatError, match="its tensors end at byte"):
        check_gguf(first)
    third.write_bytes((tmp_path / "split-00002-of-00003.gguf").read_bytes())
    with pytest.raises(ModelFormatError, match="does not say that it is part 3 of 3"):
        check_gguf(first)
    third.unlink()
    with pytest.raises(ModelFormatError, match="1 of its 3 files are missing, the first of them 'split-00003"):
        check_gguf(first)
    alone = first.rename(tmp_path / "renamed.gguf")
    with pytest.raises(ModelFormatError, match=r"its name must end in '-00001-of-00003.gguf'"):
        check_gguf(alone)


def test_names_of_parts() -> None:
    """The names of all files follow from that of any of them."""
    assert part_names("m-Q4.gguf") == ("m-Q4.gguf",)
    assert part_names("m-00002-of-00002.gguf") == ("m-00001-of-00002.gguf", "m-00002-of-00002.gguf")
    assert part_names("m-00001-of-99999.gguf") == ("m-00001-of-99999.gguf",)
    assert part_names("m-00001-of-00000.gguf") == ("m-00001-of-00000.gguf",)


CONTAINERS: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "has 0 bytes; a GGUF file has more"),
    "magic alone": (b"GGUF", "has 4 bytes; a GGUF file has more"),
    "other magic": (b"GGML" + SOUND[4:], "does not begin with 'GGUF'"),
    "text": (b"This is a text and not a model at all.", "does not begin with 'GGUF'"),
    "version 1": (assemble(metadata(), [], version=1), "its version is 1"),
    "version 99": (assemble(metadata(), [], version=99), "its version is 99"),
    "big-endian": (assemble(metadata(), [], version=3 << 24), "big-endian"),
    "2**60 entries": (assemble(metadata(), [], entry_count=1 << 60), "metadata entries; up to"),
    "2**60 tensors": (assemble(metadata(), [], tensor_count=1 << 60), "tensors; up to"),
    "more entries than bytes": (assemble(metadata(), [], entry_count=60_000), "more than the file can hold"),
    "more tensors than bytes": (assemble(metadata(), [], tensor_count=100_000), "more than the file can hold"),
    "an empty key": (assemble([entry(b"", 4, bytes(4))], []), "metadata entry 0 is empty"),
    "a long key": (assemble([entry(b"k" * 70_000, 4, bytes(4))], []), "has 70000 bytes; up to"),
    "an endless key": (assemble([number(2**63) + b"x" * 99], []), "up to 65536 are allowed"),
    "a key that is no text": (assemble([entry(b"\xff\xfe", 4, bytes(4))], []), "is not text"),
    "a key twice": (assemble([*metadata(), *metadata()], []), "stands in it twice"),
    "an unknown type": (assemble([entry(b"k", 13, bytes(8))], []), "unknown type 13"),
    "an endless string": (assemble([entry(b"k", 8, number(1 << 50))], []), "more than the 67108864 allowed"),
    "a string past the end": (assemble([entry(b"k", 8, number(5000))], []), "cut short or damaged"),
    "a list of lists": (assemble([entry(b"k", 9, struct.pack("<IQ", 9, 1) + bytes(20))], []), "element type 9"),
    "an endless list": (assemble([entry(b"k", 9, struct.pack("<IQ", 0, 1 << 62))], []), "numbers in 'k'; up to"),
    "a list past the end": (assemble([entry(b"k", 9, struct.pack("<IQ", 4, 9999))], []), "than the file can hold"),
    "endless strings": (assemble([entry(b"k", 9, struct.pack("<IQ", 8, 1 << 40))], []), "strings in 'k'; up to"),
    "a list of strings past the end": (
        assemble([entry(b"k", 9, struct.pack("<IQ", 8, 2) + number(1 << 63) + bytes(9))], []),
        "cut short or damaged",
    ),
    "no alignment": (assemble(metadata(general__alignment=0), []), "its alignment is 0"),
    "an odd alignment": (assemble(metadata(general__alignment=48), []), "its alignment is 48"),
    "an alignment that is a text": (assemble(metadata(general__alignment=b"32"), []), "its alignment is b'32'"),
    "no tensor name": (assemble(metadata(), [tensor(b"")]), "tensor 0 has no name"),
    "a long tensor name": (assemble(metadata(), [tensor(b"t" * 64)]), "64 bytes; up to 63"),
    "a tensor twice": (assemble(metadata(), [tensor(b"t"), tensor(b"t", offset=128)], 256), "the name of another"),
    "no dimensions": (assemble(metadata(), [tensor(b"t", ())]), "has 0 dimensions"),
    "five dimensions": (assemble(metadata(), [tensor(b"t", (1,) * 5)]), "has 5 dimensions"),
    "an empty dimension": (assemble(metadata(), [tensor(b"t", (32, 0))]), "has a dimension of 0"),
    "a negative dimension": (assemble(metadata(), [tensor(b"t", (2**64 - 32,))]), "has a dimension of 184467"),
    "dimensions that overflow": (assemble(metadata(), [tensor(b"t", (2**32, 2**32))]), "has a dimension of 4294967296"),
    "more weights than bytes": (assemble(metadata(), [tensor(b"t", (64, 64))]), "takes 16384 bytes"),
    "an unknown tensor type": (assemble(metadata(), [tensor(b"t", kind=4)]), "unknown type 4"),
    "a broken block": (assemble(metadata(), [tensor(b"t", (33,), kind=8)]), "not a multiple of 32"),
    "an offset elsewhere": (assemble(metadata(), [tensor(b"t", offset=32)]), "offset 32 where 0 is expected"),
    "a tensor past the end": (assemble(metadata(), [tensor(b"t")], data=100), "its tensors end at byte"),
}


@pytest.mark.parametrize(("content", "reason"), CONTAINERS.values(), ids=CONTAINERS)
def test_a_broken_container_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    """Whatever is wrong with the file as such is a ModelFormatError that says what."""
    with pytest.raises(ModelFormatError, match=reason):
        check(tmp_path, content)


MODELS: dict[str, tuple[dict[str, int | bytes], str]] = {
    "an adapter": ({"general__type": b"adapter"}, "it holds b'adapter' and not a language model"),
    "an odd architecture": ({"general__architecture": b"../qwen2"}, "not a name"),
    "no layers": ({"qwen2__block_count": 0}, "a whole number from 1 to 512"),
    "a hundred thousand layers": ({"qwen2__block_count": 100_000}, "'qwen2.block_count' is 100000"),
    "layers as text": ({"qwen2__block_count": b"2"}, "'qwen2.block_count' is b'2'"),
    "no width": ({"qwen2__embedding_length": 0}, "embedding_length' is 0"),
    "no context": ({"qwen2__context_length": 0}, "context_length' is 0"),
    "heads that do not divide": ({"qwen2__attention__head_count_kv": 3}, "4 heads and 3 key-value heads"),
    "more heads than width": ({"qwen2__attention__head_count": 64}, "do not fit an embedding of 32"),
    "endless heads": ({"qwen2__attention__head_count": 1 << 31}, "from 0 to 65536"),
    "unequal widths": ({"qwen2__attention__key_length": 16}, "have one width"),
    "rotation wider than the key": ({"qwen2__rope__dimension_count": 64}, "64 rotated dimensions"),
    "rotation narrower than the key": ({"qwen2__rope__dimension_count": 4}, "have one width"),
    "an unknown scaling": ({"qwen2__rope__scaling__type": b"dream"}, "rope scaling is b'dream'"),
    "endless experts": ({"qwen2__expert_count": 5000}, "expert_count' is 5000"),
    "experts that are never used": ({"qwen2__expert_count": 8}, "0 of 8 experts are used"),
    "experts that do not exist": ({"qwen2__expert_used_count": 2}, "2 of 0 experts are used"),
    "groups of nobody": (
        {"qwen2__expert_count": 8, "qwen2__expert_used_count": 2, "qwen2__expert_group_count": 3},
        "8 experts are in 3 groups",
    ),
    "more draft layers than layers": ({"qwen2__nextn_predict_layers": 2}, "nextn_predict_layers' is 2"),
    "a rounding term that is text": ({"qwen2__attention__layer_norm_rms_epsilon": b"x"}, "rms_epsilon is b'x'"),
    "a long template": ({"tokenizer__chat_template": b"x" * 300_000}, "chat template is not a text of up to"),
    "a template that is no text": ({"tokenizer__chat_template": b"\xff"}, "chat template is not UTF-8"),
    "tokens that are no list": ({"tokenizer__ggml__tokens": b"a"}, "vocabulary is not a list"),
}


@pytest.mark.parametrize(("values", "reason"), MODELS.values(), ids=MODELS)
def test_a_model_that_could_harm_the_process_is_refused(
    tmp_path: Path, values: dict[str, int | bytes], reason: str
) -> None:
    """Values for which native code aborts are found in a file that is sound otherwise."""
    with pytest.raises(ModelFormatError, match=reason):
        check(tmp_path, assemble(metadata(**values), [tensor(b"token_embd.weight")]))


def strings(key: bytes, texts: list[bytes]) -> bytes:
    return entry(key, 9, struct.pack("<IQ", 8, len(texts)) + b"".join(map(text, texts)))


VOCABULARIES: dict[str, tuple[list[bytes], str]] = {
    "a token twice": ([strings(b"tokenizer.ggml.tokens", [b"a", b"b", b"a"])], "stands in its vocabulary twice"),
    "twice up to a zero byte": ([strings(b"tokenizer.ggml.tokens", [b"a", b"a\0b"])], "stands in its vocabulary twice"),
    "a token named like an empty one": (
        [strings(b"tokenizer.ggml.tokens", [b"", b"[EMPTY_0]"])],
        "stands in its vocabulary twice",
    ),
    "no token at all": ([strings(b"tokenizer.ggml.tokens", [])], "vocabulary is not a list"),
    "no token for a byte": (
        [
            strings(b"tokenizer.ggml.tokens", [b"<0x%02X>" % byte for byte in range(256) if byte != 10]),
            entry(b"tokenizer.ggml.model", 8, text(b"llama")),
        ],
        "no token for the byte 10",
    ),
    "an added token that does not exist": (
        [
            strings(b"tokenizer.ggml.tokens", [b"a", b"b"]),
            entry(b"tokenizer.ggml.add_bos_token", 7, b"\1"),
            entry(b"tokenizer.ggml.bos_token_id", 4, struct.pack("<I", 2)),
        ],
        "bos_token_id' is 2",
    ),
    "an added token that is not named": (
        [strings(b"tokenizer.ggml.tokens", [b"a", b"b"]), entry(b"tokenizer.ggml.add_eos_token", 7, b"\1")],
        "has no 'tokenizer.ggml.eos_token_id'",
    ),
    "a negative rounding term": (
        [entry(b"qwen2.attention.layer_norm_rms_epsilon", 6, struct.pack("<f", -1e-6))],
        "rms_epsilon is -",
    ),
    "a rounding term that is no number": (
        [entry(b"qwen2.attention.layer_norm_rms_epsilon", 6, struct.pack("<f", float("nan")))],
        "rms_epsilon is nan",
    ),
}


@pytest.mark.parametrize(("entries", "reason"), VOCABULARIES.values(), ids=VOCABULARIES)
def test_a_vocabulary_that_could_harm_the_process_is_refused(tmp_path: Path, entries: list[bytes], reason: str) -> None:
    """Native code aborts while it reads the vocabulary, or at the first tokenization."""
    with pytest.raises(ModelFormatError, match=reason):
        check(tmp_path, assemble([*metadata(), *entries], [tensor(b"token_embd.weight")]))


def test_several_empty_tokens_are_sound(tmp_path: Path) -> None:
    """Native code names them after their places, so they are not the same token."""
    check(tmp_path, assemble([*metadata(), strings(b"tokenizer.ggml.tokens", [b"a", b"", b""])], [tensor(b"t.weight")]))


def test_a_list_of_the_wrong_length_is_refused(tmp_path: Path) -> None:
    """Values of each layer must be as many as there are layers."""
    three = entry(b"qwen2.attention.head_count_kv", 9, struct.pack("<IQ", 4, 3) + struct.pack("<III", 2, 2, 2))
    entries = [item for item in metadata() if b"head_count_kv" not in item]
    with pytest.raises(ModelFormatError, match="has 3 values for 1 layers"):
        check(tmp_path, assemble([*entries, three], [tensor(b"token_embd.weight")]))


def test_weights_of_whole_numbers_are_refused(tmp_path: Path) -> None:
    """Types that no graph computes with abort in the middle of the first token."""
    with pytest.raises(ModelFormatError, match=r"'token_embd.weight' are of type I32"):
        check(tmp_path, assemble(metadata(), [tensor(b"token_embd.weight", kind=26)]))


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    """A pipe would wait for ever and a device never end: both are refused at once, and so is a folder."""
    os.mkfifo(tmp_path / "pipe.gguf")
    (tmp_path / "folder.gguf").mkdir()
    for path in (tmp_path / "pipe.gguf", tmp_path / "folder.gguf", Path("/dev/zero")):
        with pytest.raises(ModelFormatError, match="not a regular file"):
            check_gguf(path)
    with pytest.raises(ModelFormatError, match="cannot be opened"):
        check_gguf(tmp_path / "absent.gguf")


def test_a_large_vocabulary_costs_no_more_than_its_bytes(tmp_path: Path) -> None:
    """200,000 tokens and as many merges, and nothing else of them is kept than how many there are."""
    tokens = [b"token %d" % index for index in range(200_000)]
    entries = [
        *metadata(),
        strings(b"tokenizer.ggml.tokens", tokens),
        strings(b"tokenizer.ggml.merges", tokens),
        entry(b"tokenizer.ggml.token_type", 9, struct.pack("<IQ", 5, len(tokens)) + bytes(4 * len(tokens))),
    ]
    path = tmp_path / "model.gguf"
    path.write_bytes(assemble(entries, [tensor(b"token_embd.weight")]))
    assert check_gguf(path).vocabulary_size == 200_000
    assert read_gguf(path).metadata["tokenizer.ggml.merges"] == ArrayShape(8, 200_000)


def test_memory_is_told_from_the_header(tmp_path: Path, write_gguf: GGUFBuilder) -> None:
    """Every term of the documented formula, in numbers."""
    header = check_gguf(write_gguf(tmp_path / "model.gguf", layers=3, width=64, heads=8, heads_kv=4))
    assert key_value_bytes_per_token(header) == 3 * 4 * (8 + 8) * 2
    weights, cache = header.tensor_bytes, 1000 * 384
    compute = 512 * (4 * (262 + 8 * 64 + 2 * 64) + 2 * 1000)
    output = 4 * 262 * 32
    assert estimate_gguf_memory(header, 1000, sequences=32) == weights + cache + compute + output


def test_layers_without_keys_and_values_take_no_cache(tmp_path: Path, write_gguf: GGUFBuilder) -> None:
    """In a hybrid network only the attention layers count."""

    def hybrid(writer: gguf.GGUFWriter) -> None:
        del writer.kv_data[0]["qwen2.attention.head_count_kv"]
        writer.add_head_count_kv([0, 2, 0, 2])

    header = check_gguf(write_gguf(tmp_path / "model.gguf", layers=4, change=hybrid))
    assert header.head_counts_kv == (0, 2, 0, 2)
    assert key_value_bytes_per_token(header) == 4 * (8 + 8) * 2


def test_quantized_weights_are_counted_as_they_are_stored(tmp_path: Path, write_gguf: GGUFBuilder) -> None:
    """Bytes of a quantized tensor are those of its blocks."""

    def add_quantized(writer: gguf.GGUFWriter) -> None:
        blocks = np.zeros((4, 34), dtype=np.uint8)
        writer.add_tensor("extra.weight", blocks, raw_dtype=gguf.GGMLQuantizationType.Q8_0)

    plain = check_gguf(write_gguf(tmp_path / "plain.gguf"))
    more = check_gguf(write_gguf(tmp_path / "more.gguf", change=add_quantized))
    assert more.tensor_bytes - plain.tensor_bytes == 4 * 34

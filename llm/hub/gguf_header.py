"""What a GGUF model says about itself, checked before native code sees the file.

llama.cpp ends the process, not the load, for some values that a damaged or hostile file can hold (100,000 layers, a
token that stands in the vocabulary twice). `check_gguf` refuses those with ModelFormatError and returns what the
pool and the engine need to know beforehand. A file that passes may still be refused by llama.cpp, with an error.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from .gguf_format import GGUFContents
from .gguf_metadata import ModelMetadata, shown
from .gguf_reader import VOCABULARY, read_gguf

MAX_LAYERS = 512
MAX_EXPERTS = 1024
MAX_HEADS = 1 << 16
MAX_WIDTH = 1 << 24
MAX_CONTEXT = (1 << 31) - 1
MAX_TEMPLATE_BYTES = 1 << 18
MAX_PARTS = 1000
HIGHEST_DEFAULT_TOKEN = 11  # ids that llama.cpp assumes where a file names no token

_PART = re.compile(r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf")
_ROPE_SCALINGS = (b"none", b"linear", b"yarn", b"longrope")
_NEVER_WEIGHTS = frozenset(("I8", "I16", "I32", "I64", "F64"))
_INDEX_TABLE = "tid2eid"  # the one ".weight" that holds indices and not weights

# Architectures whose graph demands that keys, values and rotated dimensions have one width, and that end the process
# where they do not. The others have widths of their own.
_ONE_HEAD_WIDTH = """
apertus arcee arctic baichuan chameleon codeshell dbrx deci deepseek dots1 dream ernie4_5 ernie4_5-moe exaone
exaone4 falcon granite granitemoe grok grovemoe hunyuan-dense hunyuan-moe internlm2 jais2 llada llada-moe llama
llama4 maincoder mellum mistral3 nemotron olmo olmo2 olmoe orion pangu-embedded plamo qwen2 qwen2moe qwen2vl qwen3
qwen3moe qwen3vl qwen3vlmoe seed_oss smallthinker smollm3 starcoder2 xverse
"""


@dataclass(frozen=True, kw_only=True)
class GGUFHeader:
    """The facts of one model, all its files together.

    Attributes:
        parts: the files that make up the model, the first one first.
        version: version of the file format.
        architecture: family of the network, such as ``qwen2``.
        file_type: number of the predominant quantization, where the file declares it.
        block_count: layers.
        context_length: tokens that the model was trained for.
        embedding_length: width of the residual stream.
        feed_forward_length: width of the widest feed-forward layer.
        head_counts: query heads of each layer.
        head_counts_kv: key-value heads of each layer; 0 where a layer keeps no keys and values.
        key_length: width of one key.
        value_length: width of one value.
        vocabulary_size: tokens in the vocabulary.
        tensor_count: tensors in all files.
        tensor_bytes: bytes of all weights.
        chat_template: the model's own chat template, if it carries one.
    """

    parts: tuple[Path, ...]
    version: int
    architecture: str
    file_type: int | None
    block_count: int
    context_length: int
    embedding_length: int
    feed_forward_length: int
    head_counts: tuple[int, ...]
    head_counts_kv: tuple[int, ...]
    key_length: int
    value_length: int
    vocabulary_size: int
    tensor_count: int
    tensor_bytes: int
    chat_template: str | None = field(default=None, repr=False)

    @property
    def path(self) -> Path:
        """The file to load; llama.cpp finds the other parts by their names."""
        return self.parts[0]


def check_gguf(path: str | Path) -> GGUFHeader:
    """Check a GGUF model, all of its files, and return what it says about itself.

    Args:
        path: a ``.gguf`` file; of a model in several files, the first.

    Raises:
        ModelFormatError: it is not a sound GGUF model; says what is wrong.
    """
    first = ModelMetadata(read_gguf(Path(path)))
    contents = (first.contents, *_further_parts(first))
    first.check_kind()
    first.read_architecture()
    blocks = first.integer("{}.block_count", 1, MAX_LAYERS)
    first.integer("{}.nextn_predict_layers", 0, blocks, default=0)
    embedding = first.integer("{}.embedding_length", 1, MAX_WIDTH)
    heads = first.per_layer("{}.attention.head_count", blocks, MAX_HEADS)
    heads_kv = first.per_layer("{}.attention.head_count_kv", blocks, MAX_HEADS, default=heads)
    key_length, value_length = _head_widths(first, embedding, heads, heads_kv)
    _check_experts(first, blocks)
    _check_rope(first)
    _check_epsilons(first)
    for part in contents:
        _check_tensor_types(part)
    file_type = first.integer("general.file_type", 0, 1 << 16, default=-1)
    return GGUFHeader(
        parts=tuple(part.path for part in contents),
        version=first.contents.version,
        architecture=first.architecture,
        file_type=None if file_type < 0 else file_type,
        block_count=blocks,
        context_length=first.integer("{}.context_length", 1, MAX_CONTEXT),
        embedding_length=embedding,
        feed_forward_length=max(first.per_layer("{}.feed_forward_length", blocks, MAX_WIDTH)),
        head_counts=heads,
        head_counts_kv=heads_kv,
        key_length=key_length,
        value_length=value_length,
        vocabulary_size=_vocabulary_size(first),
        tensor_count=sum(len(part.tensors) for part in contents),
        tensor_bytes=sum(part.tensor_bytes for part in contents),
        chat_template=_chat_template(first),
    )


def part_names(name: str) -> tuple[str, ...]:
    """The names of all files of a model, given that of any of them: ``x-00001-of-00002.gguf`` has two."""
    match = _PART.fullmatch(name)
    if match is None or not 1 <= int(match["count"]) <= MAX_PARTS:
        return (name,)
    count = int(match["count"])
    return tuple(f"{match['stem']}-{number:05d}-of-{count:05d}.gguf" for number in range(1, count + 1))


def _further_parts(first: ModelMetadata) -> tuple[GGUFContents, ...]:
    count = first.integer("split.count", 0, MAX_PARTS, default=1)
    if count <= 1:
        return ()
    path = first.contents.path
    if first.integer("split.no", 0, MAX_PARTS, default=0) != 0:
        first.refuse(f"it is a later part of a model in {count} files; give the first one")
    names = part_names(path.name)
    if len(names) != count or names[0] != path.name:
        first.refuse(f"it is the first of {count} files, so its name must end in '-00001-of-{count:05d}.gguf'")
    missing = [name for name in names if not path.with_name(name).is_file()]
    if missing:
        first.refuse(f"{len(missing)} of its {count} files are missing, the first of them {missing[0]!r}")
    further = tuple(read_gguf(path.with_name(name)) for name in names[1:])
    seen = {tensor.name for tensor in first.contents.tensors}
    for number, contents in enumerate(further, start=1):
        part = ModelMetadata(contents)
        if part.integer("split.no", 0, MAX_PARTS) != number:
            part.refuse(f"it does not say that it is part {number + 1} of {count}")
        names_here = {tensor.name for tensor in contents.tensors}
        if not seen.isdisjoint(names_here):
            part.refuse(f"tensor {min(seen & names_here)!r} is in an earlier part too")
        seen |= names_here
    announced = first.integer("split.tensors.count", 0, 1 << 31)
    if announced != len(seen):
        first.refuse(f"it announces {announced} tensors and its {count} files hold {len(seen)}")
    return further


def _head_widths(
    model: ModelMetadata, embedding: int, heads: tuple[int, ...], heads_kv: tuple[int, ...]
) -> tuple[int, int]:
    if not any(heads):
        return 0, 0  # a network without attention
    for layer, (count, count_kv) in enumerate(zip(heads, heads_kv, strict=True)):
        if count_kv and (count % count_kv or not count):
            model.refuse(f"layer {layer} has {count} heads and {count_kv} key-value heads")
    default = embedding // max(heads)
    key_length = model.integer("{}.attention.key_length", 1, MAX_WIDTH, default=default)
    value_length = model.integer("{}.attention.value_length", 1, MAX_WIDTH, default=default)
    rotated = model.integer("{}.rope.dimension_count", 0, MAX_WIDTH, default=key_length)
    if not key_length or not value_length:
        model.refuse(f"{max(heads)} heads do not fit an embedding of {embedding}")
    if rotated > key_length:
        model.refuse(f"{rotated} rotated dimensions do not fit a key of {key_length}")
    if model.architecture in _ONE_HEAD_WIDTH.split() and not key_length == value_length == rotated:
        model.refuse(
            f"with {model.architecture!r}, keys ({key_length}), values ({value_length}) and rotated dimensions "
            f"({rotated}) have one width"
        )
    return key_length, value_length


def _check_experts(model: ModelMetadata, blocks: int) -> None:
    experts = model.integer("{}.expert_count", 0, MAX_EXPERTS, default=0)
    used = max(model.per_layer("{}.expert_used_count", blocks, MAX_EXPERTS))
    groups = model.integer("{}.expert_group_count", 0, MAX_EXPERTS, default=0)
    groups_used = model.integer("{}.expert_group_used_count", 0, MAX_EXPERTS, default=0)
    if not experts and not used and not groups:
        return
    if experts == 1 and model.architecture.startswith("hunyuan"):
        return  # llama.cpp reads one expert as none there
    if not 0 < used <= experts:
        model.refuse(f"{used} of {experts} experts are used")
    if groups >= experts or (groups > 1 and (experts % groups or not 0 < groups_used < groups)):
        model.refuse(f"{experts} experts are in {groups} groups, of which {groups_used} are used")


def _check_rope(model: ModelMetadata) -> None:
    scaling = model.value("{}.rope.scaling.type", b"linear")
    if scaling not in _ROPE_SCALINGS:
        model.refuse(f"its rope scaling is {shown(scaling)}")


def _check_epsilons(model: ModelMetadata) -> None:
    for key in ("layer_norm_epsilon", "layer_norm_rms_epsilon", "group_norm_epsilon"):
        value = model.value(f"{{}}.attention.{key}", 0.0)
        if not isinstance(value, float) or not 0.0 <= value < 1.0:
            model.refuse(f"its {key} is {shown(value)}")


def _check_tensor_types(contents: GGUFContents) -> None:
    for tensor in contents.tensors:
        weights = tensor.name.endswith((".weight", ".bias")) and _INDEX_TABLE not in tensor.name
        if weights and tensor.type_name in _NEVER_WEIGHTS:
            ModelMetadata(contents).refuse(f"weights {tensor.name!r} are of type {tensor.type_name}")


def _vocabulary_size(model: ModelMetadata) -> int:
    tokens = model.value(VOCABULARY)
    if tokens is None:
        return model.integer("{}.vocab_size", 1, MAX_WIDTH, default=0)
    if not isinstance(tokens, tuple) or not tokens or not isinstance(tokens[0], bytes):
        model.refuse("its vocabulary is not a list of tokens")
    # Native code ends a text at its first zero byte and names an empty token after its place.
    texts = {bytes(text).partition(b"\0")[0] or b"[EMPTY_%d]" % index for index, text in enumerate(tokens)}
    if len(texts) != len(tokens):
        model.refuse("a token stands in its vocabulary twice")
    tokenizer = model.value("tokenizer.ggml.model")
    if tokenizer == b"llama":
        missing = [byte for byte in range(256) if b"<0x%02X>" % byte not in texts and bytes((byte,)) not in texts]
        if missing:
            model.refuse(f"its vocabulary has no token for the byte {missing[0]}")
    for name in ("bos", "eos"):
        _check_added_token(model, name, len(tokens), has_default=tokenizer in (b"llama", b"gpt2"))
    return len(tokens)


def _check_added_token(model: ModelMetadata, name: str, vocabulary: int, *, has_default: bool) -> None:
    if model.value(f"tokenizer.ggml.add_{name}_token") is not True:
        return
    default = 0 if has_default and vocabulary > HIGHEST_DEFAULT_TOKEN else None
    model.integer(f"tokenizer.ggml.{name}_token_id", 0, vocabulary - 1, default=default)


def _chat_template(model: ModelMetadata) -> str | None:
    template = model.value("tokenizer.chat_template")
    if template is None:
        return None
    if not isinstance(template, bytes) or len(template) > MAX_TEMPLATE_BYTES:
        model.refuse(f"its chat template is not a text of up to {MAX_TEMPLATE_BYTES} bytes")
    try:
        return template.decode("utf-8")
    except UnicodeDecodeError:
        model.refuse("its chat template is not UTF-8 text")

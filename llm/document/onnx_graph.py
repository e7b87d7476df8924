"""The network of an embedding model as an ONNX graph, made directly from its weights: no torch, no export.

The large matrices become 8-bit integers with a scale for each column; everything else stays as it is. Weights use 7 of
the 8 bits: CPUs without VNNI add two products in 16 bits, and with 8 they overflow without a word.

The families are those of BERT: the same network with other names and positions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
import numpy.typing as npt

from ..exceptions import ModelFormatError
from . import onnx_file
from .embedding_folder import EmbeddingFolder

Weights = Mapping[str, npt.NDArray[np.float32]]
Precision = Literal["int8", "fp32"]

_ARCHITECTURES = ("bert", "roberta", "xlm-roberta")
_LEVELS = 63
_FLOAT, _INT32 = 1, 6  # as ONNX numbers its types


def can_build(folder: EmbeddingFolder) -> bool:
    """Whether a graph can be made of this model."""
    return (
        folder.architecture in _ARCHITECTURES
        and folder.pooling in ("mean", "cls")
        and folder.config.get("hidden_act") == "gelu"
        and folder.config.get("position_embedding_type", "absolute") == "absolute"
        and folder.config.get("torch_dtype", folder.config.get("dtype")) != "bfloat16"
        and all((folder.path / file).is_file() for file in ("model.safetensors", "tokenizer.json"))
    )


def build_graph(folder: EmbeddingFolder, weights: Weights, *, precision: Precision = "int8") -> bytes:
    """The graph as the bytes of an ONNX file.

    Its inputs are `input_ids`, `attention_mask` and `positions`, which counts from 0; its output, `vectors`, is not
    normalised.

    Raises:
        ModelFormatError: a weight is missing or has another shape than the configuration says.
    """
    try:
        return _Builder(folder, weights, precision).build()
    except (KeyError, TypeError, ValueError) as exc:
        raise ModelFormatError(
            f"The weights in {str(folder.path)!r} do not fit its config.json ({exc}). Download the model again."
        ) from exc


class _Builder:
    def __init__(self, folder: EmbeddingFolder, weights: Weights, precision: Precision) -> None:
        self._folder = folder
        self._weights = weights
        self._precision = precision
        self._nodes: list[bytes] = []
        self._tensors: list[bytes] = []
        self._count = 0
        self._prefix = next((p for p in ("", "bert.", "roberta.") if f"{p}embeddings.LayerNorm.weight" in weights), "")
        self._mask = ""
        self._epsilon = _float(folder.config, "layer_norm_eps")
        self._heads = _int(folder.config, "num_attention_heads")

    def build(self) -> bytes:
        self._mask = self._op("Cast", "attention_mask", to=_INT32)
        hidden = self._embeddings()
        for layer in range(_int(self._folder.config, "num_hidden_layers")):
            hidden = self._layer(hidden, f"encoder.layer.{layer}")
        self._pool(hidden)
        size = _int(self._folder.config, "hidden_size")
        return onnx_file.model(
            self._nodes,
            self._tensors,
            [
                onnx_file.value("input_ids", "int64", ("batch", "tokens")),
                onnx_file.value("attention_mask", "int64", ("batch", "tokens")),
                onnx_file.value("positions", "int64", ("tokens",)),
            ],
            [onnx_file.value("vectors", "float32", ("batch", size))],
        )

    def _embeddings(self) -> str:
        positions = self._weight("embeddings.position_embeddings.weight")
        if self._folder.architecture != "bert":
            # Positions begin behind the padding token's, whose index is itself a position.
            positions = positions[_int(self._folder.config, "pad_token_id") + 1 :]
        # All tokens have type 0, so its vector is part of each position's.
        positions = positions + self._weight("embeddings.token_type_embeddings.weight")[0]
        words = self._op("Gather", self._tensor(self._weight("embeddings.word_embeddings.weight")), "input_ids")
        places = self._op("Gather", self._tensor(positions), "positions")
        both = self._op("Add", words, places)
        return self._op(
            "LayerNormalization",
            both,
            self._tensor(self._weight("embeddings.LayerNorm.weight")),
            self._tensor(self._weight("embeddings.LayerNorm.bias")),
            axis=-1,
            epsilon=self._epsilon,
        )

    def _layer(self, hidden: str, name: str) -> str:
        attention = f"{name}.attention"
        kinds = ("query", "key", "value")
        matrix = np.concatenate([self._weight(f"{attention}.self.{kind}.weight") for kind in kinds])
        bias = np.concatenate([self._weight(f"{attention}.self.{kind}.bias") for kind in kinds])
        projected = self._project(hidden, matrix, bias)
        query, key, values = self._split(projected)
        mixed = self._op(
            "MultiHeadAttention",
            query,
            key,
            values,
            "",
            self._mask,
            domain=onnx_file.MICROSOFT,
            num_heads=self._heads,
        )
        hidden = self._add_and_norm(self._dense(mixed, f"{attention}.output.dense"), hidden, f"{attention}.output")
        inner = self._op("Gelu", self._dense(hidden, f"{name}.intermediate.dense"), domain=onnx_file.MICROSOFT)
        return self._add_and_norm(self._dense(inner, f"{name}.output.dense"), hidden, f"{name}.output")

    def _pool(self, hidden: str) -> None:
        if self._folder.pooling == "cls":
            self._op("Gather", hidden, self._integer(0), axis=1, output="vectors")
            return
        # The mean without its division: all vectors are brought to length 1 afterwards.
        ones = self._op("Cast", "attention_mask", to=_FLOAT)
        row = self._op("Unsqueeze", ones, self._tensor(np.array([1], dtype=np.int64)))
        total = self._op("MatMul", row, hidden)
        self._op("Squeeze", total, self._tensor(np.array([1], dtype=np.int64)), output="vectors")

    def _dense(self, hidden: str, name: str) -> str:
        return self._project(hidden, self._weight(f"{name}.weight"), self._weight(f"{name}.bias"))

    def _project(self, hidden: str, matrix: npt.NDArray[np.float32], bias: npt.NDArray[np.float32]) -> str:
        """`hidden` times the transposed matrix, plus the bias."""
        columns = matrix.T
        if self._precision == "fp32":
            return self._op("Add", self._op("MatMul", hidden, self._tensor(columns)), self._tensor(bias))
        scales = np.maximum(np.abs(columns).max(axis=0), 1e-12).astype(np.float32) / np.float32(_LEVELS)
        whole = np.rint(columns / scales).astype(np.int8)
        zeros = np.zeros(len(scales), dtype=np.int8)
        return self._op(
            "DynamicQuantizeMatMul",
            hidden,
            self._tensor(whole),
            self._tensor(scales),
            self._tensor(zeros),
            self._tensor(bias),
            domain=onnx_file.MICROSOFT,
        )

    def _add_and_norm(self, new: str, hidden: str, name: str) -> str:
        return self._op(
            "SkipLayerNormalization",
            new,
            hidden,
            self._tensor(self._weight(f"{name}.LayerNorm.weight")),
            self._tensor(self._weight(f"{name}.LayerNorm.bias")),
            domain=onnx_file.MICROSOFT,
            epsilon=self._epsilon,
        )

    def _split(self, projected: str) -> tuple[str, str, str]:
        names = (f"{projected}_q", f"{projected}_k", f"{projected}_v")
        self._nodes.append(onnx_file.node("Split", [projected], names, {"axis": -1}))
        return names

    def _integer(self, number: int) -> str:
        return self._tensor(np.array(number, dtype=np.int64))

    def _weight(self, name: str) -> npt.NDArray[np.float32]:
        return self._weights[self._prefix + name]

    def _tensor(self, array: npt.NDArray[np.generic]) -> str:
        self._count += 1
        name = f"t{self._count}"
        self._tensors.append(onnx_file.tensor(name, array))
        return name

    def _op(
        self, operator: str, *inputs: str, domain: str = "", output: str = "", **attributes: onnx_file.Attribute
    ) -> str:
        self._count += 1
        name = output or f"n{self._count}"
        self._nodes.append(onnx_file.node(operator, inputs, [name], attributes, domain))
        return name


def _int(config: Mapping[str, object], name: str) -> int:
    number = config[name]
    if isinstance(number, bool) or not isinstance(number, int):
        raise TypeError(f"{name} is not a whole number")
    return number


def _float(config: Mapping[str, object], name: str) -> float:
    number = config[name]
    if isinstance(number, bool) or not isinstance(number, (int, float)):
        raise TypeError(f"{name} is not a number")
    return float(number)

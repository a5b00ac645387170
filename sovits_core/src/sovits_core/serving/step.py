"""S1's step for ONNX Runtime alone: fused attention on a cache that stays in place, weights of 32, 8 or 4 bits.

It is built from the weights of a stored `s1_step`, so that every base has it; with 32 bits its answers are those of
`s1_step` but for the order of additions. ONNX Runtime's node is that of grouped queries (Ainslie et al. 2023, GQA,
arXiv:2305.13245); here every query head has key and value heads of its own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from sovits_core.errors import BaseRejected
from sovits_core.serving.rounding import Bits, WeightBits, round_blocks
from sovits_core.serving.stored import StoredWeights

CONTRIB = "com.microsoft"
OPSET = 17
IR_VERSION = 8
PREFIX = "body.s1."
"""Of all weights' names in a stored graph of S1."""
BLOCK = 128
"""Weights that share a scale: half the scales of 64 for the same error (docs/performance.md)."""
ON_INTEGERS = 4
"""MatMulNBits' accuracy level that rounds activations to eight bits and multiplies integers."""
EPSILON = 1e-5
"""Of the norms."""
ADAPTER_KEY = re.compile(r"base_model\.model\.s1\.(?P<module>.+)\.lora_(?P<matrix>[AB])\.weight")


@dataclass(frozen=True)
class StepGraph:
    """A step graph, and how its inputs are made.

    Inputs: `token` int64 [rows], `position` int64 [rows] (of the tokens among the audio tokens), `filled` int32 [rows]
    (slots that are filled before this step), `total` int32 [1] (the largest of them and one more), `past_keys.<layer>`
    and `past_values.<layer>` float32 [rows, heads, slots, width], and each row's adapter: matrices [rows, rank, inputs]
    and [rows, outputs, rank]. Outputs: `logits` [rows, vocabulary], `keys.<layer>` and `values.<layer>`, which must be
    bound to the same memory as the past.
    """

    model: onnx.ModelProto
    folder: Path
    """Where the model's external data lie."""
    layers: int
    heads: int
    width: int
    vocabulary: int
    adapter: Mapping[str, tuple[str, int]]
    """Input to the stacked tensor of base.json that it is part of, and its index there."""


def build_step(
    stored: onnx.ModelProto,
    folder: Path,
    lora: Mapping[str, Sequence[str]],
    bits: WeightBits = 32,
) -> StepGraph:
    """Build the step graph of a base.

    Args:
        stored: `s1_step` without its external data.
        folder: where these are.
        lora: stacked adapter inputs of `s1_step` and the adapter tensors that each is made of, as base.json has them.
        bits: of the weights of the layers. With 4 those that give the logits have 8, with 8 they have 32.

    Raises:
        BaseRejected: the stored graph is not the step of an S1, or ONNX Runtime has no kernel for its heads.
    """
    return _Builder(stored, folder, lora, bits).build()


class _Builder:
    """Appends nodes in the order in which they run."""

    def __init__(
        self,
        stored: onnx.ModelProto,
        folder: Path,
        lora: Mapping[str, Sequence[str]],
        bits: WeightBits,
    ) -> None:
        self._weights = StoredWeights(stored, folder)
        self._folder = folder
        self._bits = bits
        self.layers, _, self.heads, self.width = _cache_shape(stored)
        self.hidden = self.heads * self.width
        self._adapters = _adapters(lora)
        self._adapter_inputs: dict[str, tuple[str, int]] = {}
        self._nodes: list[onnx.NodeProto] = []
        self._initializers: list[onnx.TensorProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []

    def build(self) -> StepGraph:
        x = self._embed()  # (rows, hidden)
        self._input("filled", TensorProto.INT32, ["rows"])
        self._input("total", TensorProto.INT32, [1])
        for layer in range(self.layers):
            x = self._layer(x, layer)
        vocabulary = self._logits(x)
        graph = helper.make_graph(
            [*self._weights.nodes, *self._nodes],
            "s1_step",
            self._inputs,
            self._outputs,
            [*self._weights.initializers, *self._initializers],
        )
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(CONTRIB, 1)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)
        return StepGraph(
            model, self._folder, self.layers, self.heads, self.width, vocabulary, dict(self._adapter_inputs)
        )

    def _embed(self) -> str:
        """The token's embedding and its position's, computed as in training: sine on even channels, cosine on odd."""
        token, position = (self._input(name, TensorProto.INT64, ["rows"]) for name in ("token", "position"))
        half = np.exp(np.arange(0, self.hidden, 2, dtype=np.float32) * np.float32(-np.log(10000.0) / self.hidden))
        even = self._constant("even", np.arange(self.hidden) % 2 == 0)
        place = self._node("Cast", [position], to=TensorProto.FLOAT)
        column = self._node("Unsqueeze", [place, self._constant("last_axis", [1])])  # (rows, 1)
        angles = self._node("Mul", [column, self._constant("frequencies", half.repeat(2))])  # (rows, hidden)
        waves = self._node("Where", [even, self._node("Sin", [angles]), self._node("Cos", [angles])])
        scaled = self._node("Mul", [waves, self._weight("audio_position.scale")])
        return self._node("Add", [self._node("Gather", [self._weight("audio_embedding.weight"), token]), scaled])

    def _layer(self, x: str, layer: int) -> str:
        name = f"layers.{layer}"
        mixed = self._attention(self._linear(x, f"{name}.attention.qkv"), layer)
        x = self._norm(self._linear(mixed, f"{name}.attention.out"), x, f"{name}.attention_norm")
        inner = self._node("Relu", [self._linear(x, f"{name}.feed_forward.up")])
        return self._norm(self._linear(inner, f"{name}.feed_forward.down"), x, f"{name}.feed_forward_norm")

    def _attention(self, qkv: str, layer: int) -> str:
        """qkv: (rows, 3 hidden) -> (rows, hidden); the new keys and values are written to the cache."""
        shape: list[int | str] = ["rows", self.heads, "slots", self.width]
        past = [self._input(f"past_{part}.{layer}", TensorProto.FLOAT, shape) for part in ("keys", "values")]
        present = [self._output(f"{part}.{layer}", shape) for part in ("keys", "values")]
        one = self._node("Reshape", [qkv, self._constant("sequence", [-1, 1, 3 * self.hidden])])
        mixed = f"attention.{layer}"
        self._nodes.append(
            helper.make_node(
                "GroupQueryAttention",
                [one, "", "", *past, "filled", "total"],
                [mixed, *present],
                domain=CONTRIB,
                num_heads=self.heads,
                kv_num_heads=self.heads,
            )
        )
        return self._node("Reshape", [mixed, self._constant("row", [-1, self.hidden])])

    def _linear(self, x: str, module: str) -> str:
        """x: (rows, inputs) -> (rows, outputs), with the adapter where the module can have one."""
        weight, bias = self._module(module)
        base = self._product(x, weight, self._weights.take(bias))
        if module not in self._adapters:
            return base
        outputs, inputs = self._weights.shape(weight)
        a, b = (self._adapter_input(*self._adapters[module][matrix]) for matrix in ("A", "B"))
        self._input(a, TensorProto.FLOAT, ["rows", "rank", inputs])
        self._input(b, TensorProto.FLOAT, ["rows", outputs, "rank"])
        column = self._node("Unsqueeze", [x, self._constant("adapter_axis", [2])])  # (rows, inputs, 1)
        adapted = self._node("MatMul", [b, self._node("MatMul", [a, column])])  # (rows, outputs, 1)
        return self._node("Add", [base, self._node("Squeeze", [adapted, "adapter_axis"])])

    def _product(self, x: str, weight: str, bias: str) -> str:
        """x: (rows, inputs) times a weight (outputs, inputs), and its bias."""
        if self._bits == 32:
            return self._node("Gemm", [x, self._weights.take(weight), bias], transB=1)
        return self._rounded(x, weight, self._weights.array(weight), bias, self._bits)

    def _rounded(self, x: str, name: str, matrix: Any, bias: str, bits: Bits) -> str:
        levels, scales = round_blocks(matrix, bits, BLOCK)
        # no zero points (the middle then), no order of groups
        inputs = [x, self._constant(f"{name}.levels", levels), self._constant(f"{name}.scales", scales)]
        outputs, width = matrix.shape
        settings = {"K": width, "N": outputs, "bits": bits, "block_size": BLOCK, "accuracy_level": ON_INTEGERS}
        return self._node("MatMulNBits", [*inputs, *(["", "", bias] if bias else [])], domain=CONTRIB, **settings)

    def _norm(self, x: str, residual: str, module: str) -> str:
        parts = [self._weight(f"{module}.weight"), self._weight(f"{module}.bias")]
        return self._node("SkipLayerNormalization", [x, residual, *parts], domain=CONTRIB, epsilon=EPSILON)

    def _logits(self, x: str) -> int:
        """Return the size of the vocabulary."""
        weight = self._weights.writer("logits").input[1]  # (hidden, vocabulary); the exporter names it with a number
        hidden, vocabulary = self._weights.shape(weight)
        if hidden != self.hidden:
            raise BaseRejected(f"the logits of s1_step come from {hidden} channels, its cache has {self.hidden}")
        self._output("logits", ["rows", vocabulary])
        if self._bits == 4:
            self._rounded(x, "predict", self._weights.array(weight).T, "", 8)
        else:
            self._node("MatMul", [x, self._weights.take(weight)])
        self._nodes[-1].output[0] = "logits"
        return vocabulary

    def _module(self, module: str) -> tuple[str, str]:
        """The names of a linear layer's weight (outputs, inputs) and bias."""
        inner = f"{PREFIX}{module}.layer" if module in self._adapters else f"{PREFIX}{module}"
        weight = f"{inner}.weight"
        reader = self._weights.reader(weight)
        if reader.op_type != "Gemm" or not any(a.name == "transB" and a.i for a in reader.attribute):
            raise BaseRejected(f"{weight} of s1_step is not the weight of a Gemm with transB; export the base again")
        return weight, f"{inner}.bias"

    def _weight(self, name: str) -> str:
        return self._weights.take(PREFIX + name)

    def _adapter_input(self, stack: str, index: int) -> str:
        name = f"{stack}.{index}"
        self._adapter_inputs[name] = (stack, index)
        return name

    def _input(self, name: str, kind: int, shape: Sequence[int | str]) -> str:
        self._inputs.append(helper.make_tensor_value_info(name, kind, shape))
        return name

    def _output(self, name: str, shape: Sequence[int | str]) -> str:
        self._outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
        return name

    def _constant(self, name: str, values: Any) -> str:
        if all(tensor.name != name for tensor in self._initializers):
            self._initializers.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def _node(self, kind: str, inputs: Sequence[str], **settings: Any) -> str:
        name = f"{kind}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, inputs, [name], **settings))
        return name


def _cache_shape(stored: onnx.ModelProto) -> tuple[int, int, int, int]:
    """Layers, rows, heads and the width of a head, from the shape of the input `keys`."""
    shapes = {given.name: [axis.dim_value for axis in given.type.tensor_type.shape.dim] for given in stored.graph.input}
    shape = shapes.get("keys", [])
    if len(shape) != 5 or not all(size for axis, size in enumerate(shape) if axis != 3):
        raise BaseRejected(f"the input keys of s1_step has the shape {shape}; all axes but the fourth must be fixed")
    layers, rows, heads, _, width = shape
    if width % 8:
        raise BaseRejected(f"the heads of s1_step are {width} wide; ONNX Runtime's attention needs a multiple of 8")
    return layers, rows, heads, width


def _adapters(lora: Mapping[str, Sequence[str]]) -> dict[str, dict[str, tuple[str, int]]]:
    """Module to its A and B: the stacked input, and the index in it."""
    found: dict[str, dict[str, tuple[str, int]]] = {}
    for stack, keys in lora.items():
        for index, key in enumerate(keys):
            match = ADAPTER_KEY.fullmatch(key)
            if match is None:
                raise BaseRejected(f"base.json names {key} for {stack} of s1_step, which is no adapter tensor of S1")
            found.setdefault(match["module"], {})[match["matrix"]] = (stack, index)
    if halves := [module for module, matrices in found.items() if len(matrices) != 2]:
        raise BaseRejected(f"base.json names only one of two adapter matrices of {', '.join(halves)} for s1_step")
    return found

"""S2's decode graph in two: latents of a whole sentence, and the samples of any stretch of them.

The encoder looks at all tokens and is cheap; the waveform generator takes most of the time and sees a few frames only.
So what has been heard is not computed again as more tokens come, and a long sentence needs no more memory than a short.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from sovits_core.errors import BaseRejected
from sovits_core.serving.generator import CONVOLUTIONS, Generator, find_generator, rewrite_generator, settings_of
from sovits_core.serving.sessions import open_session

Array = NDArray[Any]
LATENTS = "latents"
WAVE = "wav"
STRETCH = 250
"""Frames, 5 s, that a server makes samples of at a time: what others wait for, and all that needs memory."""


@dataclass(frozen=True)
class DecoderGraphs:
    """The two graphs; their external data are those of the graph that they were."""

    latents: onnx.ModelProto
    """All inputs of the decode graph -> `latents` float32 [1, channels, frames]."""
    wave: onnx.ModelProto
    """`latents` -> `wav`, float32, so many samples for each frame."""
    margin: int
    """Frames to either side of a stretch that its samples depend on."""


class DecoderSession:
    """Both graphs in ONNX Runtime."""

    def __init__(self, graphs: DecoderGraphs, folder: Path, threads: int) -> None:
        """Open them; their external data lie in the folder."""
        self._margin = graphs.margin
        self._latents, self._wave = (open_session(graph, folder, threads) for graph in (graphs.latents, graphs.wave))

    def latents(self, inputs: Mapping[str, Array]) -> NDArray[np.float32]:
        """Return float32 (1, channels, frames) for all inputs of the decode graph."""
        found: NDArray[np.float32] = self._latents.run(None, dict(inputs))[0]
        return found

    def wave(self, latents: NDArray[np.float32], first: int, last: int) -> NDArray[np.float32]:
        """Return the samples (n,) of the frames from the first to before the last."""
        left, right = max(0, first - self._margin), min(latents.shape[2], last + self._margin)
        stretch = np.ascontiguousarray(latents[:, :, left:right])
        wave: NDArray[np.float32] = self._wave.run(None, {LATENTS: stretch})[0].reshape(-1)
        hop = wave.size // (right - left)
        return wave[(first - left) * hop : (last - left) * hop]


def stretches(first: int, last: int) -> Iterator[tuple[int, int]]:
    """Yield the frames from the first to before the last in stretches that are made at a time."""
    for start in range(first, last, STRETCH):
        yield start, min(last, start + STRETCH)


def split_decoder(model: onnx.ModelProto) -> DecoderGraphs:
    """Split a decode graph, which is changed.

    Raises:
        BaseRejected: it has no waveform generator that we know.
    """
    found = find_generator(model.graph)
    if found is None or [output.name for output in model.graph.output] != [WAVE]:
        raise BaseRejected("s2_decode does not end with a waveform generator that we know; export the base again")
    margin = _margin(found)
    rewrite_generator(model)
    for node in model.graph.node:
        for names in (node.input, node.output):
            for place, name in enumerate(names):
                names[place] = LATENTS if name == found.entry else name
    latents = helper.make_tensor_value_info(LATENTS, TensorProto.FLOAT, [1, "channels", "frames"])
    wave = model.graph.output[0]
    return DecoderGraphs(
        latents=_part_of(model, model.graph.input, latents, until=()),
        wave=_part_of(model, [latents], wave, until=(LATENTS,)),
        margin=margin,
    )


def _margin(generator: Generator) -> int:
    """How many frames to either side the samples of a frame are computed from: from the last node to the first."""
    reach: dict[str, int] = {}  # of each tensor, in its own samples
    for node in reversed(generator.nodes):
        beyond = reach.get(node.output[0], 0)
        if node.op_type in CONVOLUTIONS:
            beyond = _beyond(node, beyond)
        for name in node.input:
            reach[name] = max(reach.get(name, 0), beyond)
    return reach[generator.entry]


def _beyond(node: onnx.NodeProto, beyond: int) -> int:
    """Samples before and after a stretch that a convolution reads, to make it with as many samples beyond it."""
    settings = settings_of(node)
    kernel, stride, dilation = (int(settings.get(name, [1])[0]) for name in ("kernel_shape", "strides", "dilations"))
    before, after = settings.get("pads", [0, 0])
    width = (kernel - 1) * dilation
    reach: int = max(before, width - before, after, width - after)
    return beyond * stride + reach if node.op_type == "Conv" else math.ceil((beyond + reach) / stride)


def _part_of(
    model: onnx.ModelProto,
    inputs: Iterable[onnx.ValueInfoProto],
    output: onnx.ValueInfoProto,
    until: tuple[str, ...],
) -> onnx.ModelProto:
    """The nodes that an output depends on, back to the tensors `until`."""
    made = {name: node for node in model.graph.node for name in node.output}
    needed, left = {*until}, [output.name]
    while left:
        name = left.pop()
        if name not in needed:
            needed.add(name)
            left.extend(made[name].input if name in made else ())
    nodes = [node for node in model.graph.node if not needed.difference(until).isdisjoint(node.output)]
    weights = [tensor for tensor in model.graph.initializer if tensor.name in needed]
    graph = helper.make_graph(nodes, model.graph.name, [*inputs], [output], weights)
    return helper.make_model(graph, opset_imports=[*model.opset_import], ir_version=model.ir_version)

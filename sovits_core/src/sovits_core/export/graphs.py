"""Traces S1's prefill and step and S2's decoding to ONNX, as docs/contracts.md describes them."""

import copy
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import Tensor, nn

from sovits_core.errors import ExportError
from sovits_core.export import passes
from sovits_core.export.shrink import WeightsFile, shrink
from sovits_core.export.slots import Group, slot_for
from sovits_core.formats.adapters import Target, adapted_modules
from sovits_core.models import Synthesizer, TextToSemantic
from sovits_core.models.networks import Networks

OPSET = 17
"""The oldest with a layer normalisation of its own."""
EXAMPLE_RANK = 2
BASE_GRAPHS = ("s1_prefill", "s1_step", "s2_decode")
"""Graphs of every base."""

Axes = dict[str, dict[int, str]]


class Prefill(nn.Module):
    """`TextToSemantic.prefill` as a forward."""

    def __init__(self, s1: TextToSemantic) -> None:
        super().__init__()
        self.s1 = s1

    def forward(self, phones: Tensor, bert: Tensor, prompt: Tensor) -> tuple[Tensor, ...]:
        """See `TextToSemantic.prefill`."""
        return self.s1.prefill(phones, bert, prompt)


class Step(nn.Module):
    """`TextToSemantic.step` as a forward."""

    def __init__(self, s1: TextToSemantic) -> None:
        super().__init__()
        self.s1 = s1

    def forward(
        self, token: Tensor, position: Tensor, keys: Tensor, values: Tensor, length: Tensor
    ) -> tuple[Tensor, ...]:
        """See `TextToSemantic.step`."""
        return self.s1.step(token, position, keys, values, length)


class Decode(nn.Module):
    """`Synthesizer.decode` of one utterance as a forward."""

    def __init__(self, s2: Synthesizer) -> None:
        super().__init__()
        self.s2 = s2

    def forward(self, codes: Tensor, text: Tensor, ge: Tensor, noise: Tensor) -> tuple[Tensor, ...]:
        """See `Synthesizer.decode`; the channel axis of the samples is dropped."""
        return (self.s2.decode(codes, text, ge, noise)[:, 0],)


class Adapted(nn.Module):
    """A body, followed in the arguments by two stacks of matrices per group of slots."""

    def __init__(self, body: nn.Module, groups: Sequence[Group]) -> None:
        super().__init__()
        self.body = body
        self.groups = groups

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """The body's own inputs, then A and B of each group."""
        own = len(inputs) - 2 * len(self.groups)
        for index, group in enumerate(self.groups):
            group.fill(inputs[own + 2 * index], inputs[own + 2 * index + 1])
        outputs: tuple[Tensor, ...] = self.body(*inputs[:own])
        return outputs


@dataclass(frozen=True)
class Graph:
    """One graph to write: examples fix the types and ranks, axes name what may vary."""

    name: str
    body: nn.Module
    weights: str
    examples: dict[str, Tensor]
    outputs: list[str]
    axes: Axes


def export_graphs(
    networks: Networks,
    folder: Path,
    targets: tuple[Target, ...] = ("attention",),
    *,
    graphs: Sequence[str] = BASE_GRAPHS,
    half: bool = True,
) -> dict[str, dict[str, Any]]:
    """Write onnx/s1_prefill.onnx, s1_step.onnx, s2_decode.onnx and their weights under a folder.

    The networks stay as they are: a copy is traced, in evaluation mode with weight norm folded. Large weights lie in
    a file that both S1 graphs share. All arithmetic is in float32. Servers run what `sovits_core.serving` makes of it.

    Args:
        networks: without an adapter attached.
        folder: the base bundle's.
        targets: which adapters the graphs can take; an adapter must then have them all.
        graphs: which to write.
        half: store large weights as float16, to be cast as the graph is loaded. Official files hold halves anyway, but
            for the synthesizer's normed weights, which folding makes anew: rounding those costs about 1e-3 of the wave.

    Returns:
        The `graphs` section of base.json.

    Raises:
        AdapterRejected: a target does not exist or cannot be an input.
        ExportError: a weight does not fit float16, or a graph is unknown.
    """
    if unknown := [name for name in graphs if name not in BASE_GRAPHS]:
        raise ExportError(f"graphs={unknown}: choose from {', '.join(BASE_GRAPHS)}")
    networks = copy.deepcopy(networks).cpu().float().eval().requires_grad_(requires_grad=False)
    networks.s2.fold_weight_norm()
    groups = _make_slots(networks, targets)
    (folder / "onnx").mkdir(parents=True, exist_ok=True)
    writer = Writer(folder, half=half)
    makers = {
        "s1_prefill": lambda: _prefill(networks.s1),
        "s1_step": lambda: _step(networks.s1),
        "s2_decode": lambda: _decode(networks.s2),
    }
    for name in graphs:
        graph = makers[name]()
        own = [group for group in groups if group.modules[0].startswith(graph.weights + ".")]
        model = trace(graph, own, folder / "onnx" / f"{name}.onnx")
        if graph.name == "s1_step":
            passes.pick_layers(model)
            passes.join_additions_with_norms(model)
        writer.write(name, model, graph.weights, own)
    return writer.sections


class Writer:
    """Writes graphs beside one another; those that name the same weights share a file of them."""

    def __init__(self, folder: Path, *, half: bool) -> None:
        self._half = half
        self.sections: dict[str, dict[str, Any]] = {}
        """The `graphs` section of base.json."""
        self._folder = folder / "onnx"
        self._files: dict[str, WeightsFile] = {}

    def write(self, name: str, model: onnx.ModelProto, weights: str, groups: Sequence[Group]) -> None:
        """Write a graph and what is new in its file of weights, and note it for base.json."""
        if weights not in self._files:
            self._files[weights] = WeightsFile(self._folder / f"{weights}.weights")
        shrink(model, self._files[weights], half=self._half)
        onnx.save(model, self._folder / f"{name}.onnx")
        inputs = [entry for group in groups for entry in group.inputs()]
        self.sections[name] = {"file": f"onnx/{name}.onnx", "lora": inputs}


def _make_slots(networks: Networks, targets: tuple[Target, ...]) -> list[Group]:
    """Put a slot around every adapted layer."""
    groups = []
    for group, names in adapted_modules(networks, targets).items():
        slots = tuple(slot_for(networks.get_submodule(name), name) for name in names)
        for name, slot in zip(names, slots, strict=True):
            networks.set_submodule(name, slot)
        groups.append(Group(group, tuple(names), slots))
    return groups


def _prefill(s1: TextToSemantic) -> Graph:
    config = s1.config
    examples = {
        "phones": torch.arange(5)[None] % config.phonemes,
        "bert": torch.zeros(1, 5, config.bert_dim),
        "prompt": torch.arange(4)[None] % config.vocabulary,
    }
    cache = {3: "cached"}
    axes: Axes = {"phones": {1: "text"}, "bert": {1: "text"}, "prompt": {1: "prompt"}, "keys": cache, "values": cache}
    return Graph("s1_prefill", Prefill(s1), "s1", examples, ["logits", "keys", "values"], axes)


def _step(s1: TextToSemantic) -> Graph:
    config = s1.config
    cache = torch.zeros(config.layers, 1, config.heads, 8, config.hidden // config.heads)
    examples = {
        "token": torch.zeros(1, 1, dtype=torch.long),
        "position": torch.tensor([3]),
        "keys": cache,
        "values": cache.clone(),
        "length": torch.tensor([6]),
    }
    axes: Axes = {"keys": {3: "slots"}, "values": {3: "slots"}}
    return Graph("s1_step", Step(s1), "s1", examples, ["logits", "new_keys", "new_values"], axes)


def _decode(s2: Synthesizer) -> Graph:
    config = s2.config
    examples = {
        "codes": torch.arange(6)[None] % config.codebook_size,
        "text": torch.arange(5)[None] % config.phonemes,
        "ge": torch.zeros(1, config.speaker_embedding, 1),
        "noise": torch.zeros(1, config.latent, 12),
    }
    axes: Axes = {"codes": {1: "codes"}, "text": {1: "text"}, "noise": {2: "frames"}, "wav": {1: "samples"}}
    return Graph("s2_decode", Decode(s2), "s2", examples, ["wav"], axes)


def trace(graph: Graph, groups: Sequence[Group], path: Path) -> onnx.ModelProto:
    """Write a graph whole to a file, the groups' adapters among its inputs, and return it."""
    examples, axes = dict(graph.examples), dict(graph.axes)
    for group in groups:
        a, b = (str(entry["name"]) for entry in group.inputs())
        examples[a], examples[b] = group.examples(EXAMPLE_RANK)
        axes[a], axes[b] = {1: "rank"}, {2: "rank"}
    with warnings.catch_warnings():
        # The TorchScript exporter announces its successor, which needs onnxscript and fixes axes that must stay free.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", torch.jit.TracerWarning)  # type: ignore[attr-defined]
        # Only says that it leaves some shape arithmetic to ONNX Runtime, which folds it.
        warnings.filterwarnings("ignore", "Constant folding", UserWarning)
        torch.onnx.export(
            Adapted(graph.body, groups).eval(),
            tuple(examples.values()),
            str(path),
            input_names=list(examples),
            output_names=graph.outputs,
            dynamic_axes=axes,
            opset_version=OPSET,
            dynamo=False,
        )
    return onnx.load(path)

import copy
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from sovits_core.adapters import GROUPS, Target, adapter_tensors, attach_adapter
from sovits_core.errors import ExportError
from sovits_core.export import export_graphs
from sovits_core.networks import Networks

TOLERANCE = 5e-6

Sections = dict[str, dict[str, Any]]


class Exported:
    """The three graphs of some networks and how to call them with an adapter's tensors, as a server does."""

    def __init__(self, networks: Networks, folder: Path, targets: tuple[Target, ...]) -> None:
        self.folder = folder
        self.sections: Sections = export_graphs(networks, folder, targets)
        self._sessions = {
            name: onnxruntime.InferenceSession(folder / section["file"], providers=["CPUExecutionProvider"])
            for name, section in self.sections.items()
        }

    def run(self, graph: str, adapter: dict[str, Tensor] | None, **inputs: Tensor) -> list[Tensor]:
        feed = {name: tensor.numpy() for name, tensor in inputs.items()}
        feed |= self.adapter_inputs(graph, adapter)
        return [torch.from_numpy(output) for output in self._sessions[graph].run(None, feed)]

    def adapter_inputs(self, graph: str, adapter: dict[str, Tensor] | None) -> dict[str, np.ndarray]:
        if adapter is None:
            return self._zeros_of_rank_one(graph)
        feed = {}
        for entry in self.sections[graph]["lora"]:
            matrices = [adapter[key] for key in entry["keys"]]
            stacked = torch.stack([m[..., 0] if m.ndim == 3 and m.shape[2] == 1 else m for m in matrices])
            feed[entry["name"]] = stacked.numpy()
        return feed

    def _zeros_of_rank_one(self, graph: str) -> dict[str, np.ndarray]:
        """Shapes come from the graph itself: the one axis with a name is the rank."""
        model = onnx.load(self.folder / self.sections[graph]["file"], load_external_data=False)
        shapes = {entry.name: entry.type.tensor_type.shape.dim for entry in model.graph.input}
        names = [entry["name"] for entry in self.sections[graph]["lora"]]
        return {name: np.zeros([axis.dim_value or 1 for axis in shapes[name]], np.float32) for name in names}


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory, small_networks: Networks) -> Exported:
    return Exported(small_networks, tmp_path_factory.mktemp("base"), ("attention",))


@pytest.fixture(scope="module")
def exported_with_everything(tmp_path_factory: pytest.TempPathFactory, small_networks: Networks) -> Exported:
    return Exported(small_networks, tmp_path_factory.mktemp("base"), tuple(GROUPS))


def adapted(networks: Networks, rank: int, targets: tuple[Target, ...]) -> tuple[Networks, dict[str, Tensor]]:
    """A copy of the networks with a loud adapter, and its tensors."""
    changed = copy.deepcopy(networks)
    model = attach_adapter(changed, rank, targets, seed=0)
    torch.manual_seed(3)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.copy_(0.3 * torch.randn_like(parameter))
    return changed.eval(), adapter_tensors(model)


def assert_same(torch_outputs: tuple[Tensor, ...], graph_outputs: list[Tensor]) -> None:
    assert len(torch_outputs) == len(graph_outputs)
    for ours, theirs in zip(torch_outputs, graph_outputs, strict=True):
        assert ours.shape == theirs.shape
        assert float((ours - theirs).abs().max()) <= TOLERANCE * max(1.0, float(ours.abs().max()))


@torch.no_grad()
def assert_graphs_speak_like(
    networks: Networks, exported: Exported, adapter: dict[str, Tensor] | None, text: int, prompt: int
) -> None:
    torch.manual_seed(text)
    s1, s2 = networks.s1, networks.s2
    start = {
        "phones": torch.randint(0, 40, (1, text)),
        "bert": torch.randn(1, text, 8),
        "prompt": torch.randint(0, 32, (1, prompt)),
    }
    outputs = s1.prefill(**start)
    assert_same(outputs, exported.run("s1_prefill", adapter, **start))
    _, keys, values = outputs
    one = {
        "token": torch.tensor([[5]]),
        "position": torch.tensor([prompt]),
        "keys": functional.pad(keys, (0, 0, 0, 13), value=99.0),
        "values": functional.pad(values, (0, 0, 0, 13), value=99.0),
        "length": torch.tensor([text + prompt]),
    }
    assert_same(s1.step(**one), exported.run("s1_step", adapter, **one))
    whole = {
        "codes": torch.randint(0, 32, (1, 3 + prompt)),
        "text": start["phones"],
        "ge": torch.randn(1, 24, 1),
        "noise": torch.randn(1, 16, 2 * (3 + prompt)),
    }
    wav = s2.decode(**whole)
    assert wav.abs().max() > 0.1
    assert_same((wav[:, 0],), exported.run("s2_decode", adapter, **whole))


@pytest.mark.parametrize(("text", "prompt"), [(9, 7), (1, 0), (2, 40)])
def test_zeros_of_rank_one_are_the_base(small_networks: Networks, exported: Exported, text: int, prompt: int) -> None:
    assert_graphs_speak_like(small_networks, exported, None, text, prompt)


@pytest.mark.parametrize("rank", [1, 5])
def test_an_adapter_of_any_rank_sounds_as_in_torch(small_networks: Networks, exported: Exported, rank: int) -> None:
    changed, adapter = adapted(small_networks, rank, ("attention",))
    assert_graphs_speak_like(changed, exported, adapter, 9, 7)
    with pytest.raises(AssertionError):
        assert_graphs_speak_like(changed, exported, None, 9, 7)


def test_all_targets_can_be_inputs(small_networks: Networks, exported_with_everything: Exported) -> None:
    changed, adapter = adapted(small_networks, 2, tuple(GROUPS))
    assert_graphs_speak_like(changed, exported_with_everything, adapter, 9, 7)
    named = {
        key
        for section in exported_with_everything.sections.values()
        for entry in section["lora"]
        for key in entry["keys"]
    }
    assert named == adapter.keys()


def test_large_weights_are_half_size_and_shared_by_both_s1_graphs(exported: Exported, small_networks: Networks) -> None:
    folder = exported.folder / "onnx"
    assert {path.name for path in folder.iterdir()} == {
        "s1_prefill.onnx", "s1_step.onnx", "s1.weights", "s2_decode.onnx", "s2.weights",
    }  # fmt: skip
    weights = sum(parameter.numel() for parameter in small_networks.s1.parameters())
    assert (folder / "s1.weights").stat().st_size < 1.1 * 2 * weights
    for name in ("s1_prefill", "s1_step", "s2_decode"):
        onnx.checker.check_model(str(folder / f"{name}.onnx"))


def test_the_networks_stay_as_they_were(small_networks: Networks, exported: Exported) -> None:
    assert not any(name.endswith(".layer") for name, _ in small_networks.named_modules())
    assert all(parameter.requires_grad for parameter in small_networks.parameters())


def test_a_weight_beyond_half_precision_is_refused(networks: Networks, tmp_path: Path) -> None:
    with torch.no_grad():
        networks.s1.predict.weight[0, 0] = 1e6
    with pytest.raises(ExportError, match="beyond float16"):
        export_graphs(networks, tmp_path)

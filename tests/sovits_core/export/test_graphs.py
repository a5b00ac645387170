import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from sovits_core.bench.measure import arrays, largest_difference
from sovits_core.bench.samples import random_s2, s2_inputs
from sovits_core.bench.sessions import Session, StoredStepLoop
from sovits_core.bundle.model_config import SynthesizerConfig, TextToSemanticConfig, s2_v1, s2_v2_pro, s2_v2_pro_plus
from sovits_core.errors import ExportError
from sovits_core.export import export_graphs
from sovits_core.formats.adapters import GROUPS, Target, adapter_tensors, attach_adapter
from sovits_core.models import Synthesizer, TextToSemantic
from sovits_core.models.networks import Networks
from sovits_core.official.names import load_official
from sovits_core.synthesis.sampling import Sampler, Sampling

TOLERANCE = 5e-6

SMALL_S2 = SynthesizerConfig(
    phonemes=2, codebook_size=2, ssl_dim=2, latent=2, hidden=2, filter=2, ssl_layers=1, text_layers=1,
    mixed_layers=1, cross_hidden=4, speaker_embedding=4, reference_hidden=4, posterior_layers=1, flows=1,
    flow_layers=1, upsample_rates=(2,), upsample_kernels=(2,), upsample_channels=2, block_kernels=(3,),
    block_dilations=((1,),),
)  # fmt: skip
"""Where only S1 matters."""

Golden = Callable[[str], tuple[dict[str, Tensor], dict[str, Tensor]]]
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
    wav = s2.decode(*whole.values())
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


def test_a_graph_nobody_knows_is_refused(networks: Networks, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="s3_decode"):
        export_graphs(networks, tmp_path, graphs=("s3_decode",))
    assert not (tmp_path / "onnx").exists()


def scaled_down(config: SynthesizerConfig) -> SynthesizerConfig:
    """The same shape, an eighth as wide: every proportion between versions stays."""
    widths = ("ssl_dim", "latent", "hidden", "filter", "cross_hidden", "speaker_embedding", "reference_hidden")
    narrow = {name: getattr(config, name) // 8 for name in (*widths, "speaker_vector") if getattr(config, name)}
    channels = {"upsample_channels": config.upsample_channels // 8, "codebook_size": 32}
    return SynthesizerConfig.model_validate(config.model_dump() | narrow | channels)


@pytest.mark.parametrize(
    "config",
    [
        pytest.param(s2_v1(), id="v1"),
        pytest.param(SynthesizerConfig(), id="v2"),
        pytest.param(s2_v2_pro(), id="v2Pro"),
        pytest.param(s2_v2_pro_plus(), id="v2ProPlus"),
    ],
)
@torch.no_grad()
def test_every_version_sounds_in_the_graph_as_in_torch(
    config: SynthesizerConfig, networks: Networks, tmp_path: Path
) -> None:
    s2 = random_s2(scaled_down(config))
    section = export_graphs(Networks(networks.s1, s2), tmp_path, graphs=("s2_decode",))["s2_decode"]
    decode = Session(tmp_path / section["file"], section["lora"], threads=1)
    inputs = s2_inputs(s2.config, codes=9, text=6)
    wav = s2.decode(*inputs.values())
    assert wav.abs().max() > 0.01
    assert largest_difference((wav[:, 0],), decode.run(arrays(inputs))) <= 1e-4


def test_a_step_graph_reads_its_cache_without_splitting_it(tmp_path: Path, networks: Networks) -> None:
    # ONNX Runtime makes one Split of many Gathers, which writes the whole cache again for every token
    section = export_graphs(networks, tmp_path, graphs=("s1_step",))["s1_step"]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    onnxruntime.InferenceSession(tmp_path / section["file"], options, providers=["CPUExecutionProvider"])
    nodes = onnx.load(tmp_path / "optimized.onnx", load_external_data=False).graph.node
    assert not [node for node in nodes if node.op_type in {"Split", "Gather"} and node.input[0] in {"keys", "values"}]
    assert not [node for node in nodes if node.op_type == "LayerNormalization"]


def spoken_by_graphs(prefill: Session, step: Session, inputs: dict[str, np.ndarray], end: int, count: int) -> list[int]:
    """Greedy tokens of the official loop, over graphs."""
    logits, keys, values = prefill.run(inputs)
    prompt = inputs["prompt"][0]
    loop, sampler = (
        StoredStepLoop(step, keys, values),
        Sampler(Sampling(top_k=1), np.random.default_rng(0), end, prompt.tolist()),
    )
    said: list[int] = []
    scores = logits[0]
    while len(said) < count:
        choice = sampler.choose(scores)
        if choice.stop:
            break
        said.append(choice.token)
        scores = loop.read(choice.token, len(prompt) + len(said) - 1)
    return said


@pytest.mark.slow
def test_s1_answers_in_graphs_what_the_official_code_answers(golden: Golden, tmp_path: Path) -> None:
    weights, answers = golden("s1_v2plus")
    s1 = TextToSemantic(TextToSemanticConfig()).eval()
    load_official(s1, weights)
    names = ("s1_prefill", "s1_step")
    sections = export_graphs(Networks(s1, Synthesizer(SMALL_S2)), tmp_path, graphs=names, half=False)
    prefill, step = (Session(tmp_path / sections[name]["file"], sections[name]["lora"], 1) for name in names)
    inputs = {
        "phones": answers["phones"][None].numpy(),
        "bert": answers["bert"].T[None].contiguous().numpy(),
        "prompt": answers["prompt"][None].numpy(),
    }
    assert largest_difference((answers["logits"][-1:],), prefill.run(inputs)[:1]) <= 1e-4
    assert spoken_by_graphs(prefill, step, inputs, 1024, 100) == answers["greedy"].tolist()


@pytest.mark.slow
@pytest.mark.parametrize(("checkpoint", "config"), [("s2G_v2", SynthesizerConfig()), ("s2G_v2Pro", s2_v2_pro())])
def test_s2_answers_in_a_graph_what_the_official_code_answers(
    golden: Golden, networks: Networks, tmp_path: Path, checkpoint: str, config: SynthesizerConfig
) -> None:
    weights, answers = golden(checkpoint)
    s2 = Synthesizer(config).eval()
    load_official(s2, weights)
    section = export_graphs(Networks(networks.s1, s2), tmp_path, graphs=("s2_decode",), half=False)["s2_decode"]
    decode = Session(tmp_path / section["file"], section["lora"], 1)
    inputs = {
        "codes": answers["codes"][None].numpy(),
        "text": answers["text"][None].numpy(),
        "ge": answers["ge"][None, :, None].numpy(),
        "noise": 0.5 * answers["noise"][None].numpy(),
    }
    assert largest_difference((answers["wav"][None],), decode.run(inputs)) <= 1e-4

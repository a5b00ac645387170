"""The step that a server builds answers what the stored graph answers, of every base."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from sovits_core.bundle.base import open_base
from sovits_core.errors import BaseRejected
from sovits_core.export import export_graphs
from sovits_core.formats.adapters import GROUPS
from sovits_core.models.networks import Networks
from sovits_core.serving.loop import StepLoop
from sovits_core.serving.rounding import WeightBits
from sovits_core.serving.rows import StepSession
from sovits_core.serving.step import build_step

TINY = open_base("embedded:tiny")


@dataclass
class Stored:
    """What a base stores of S1, run as it is stored, and an adapter that can be heard."""

    folder: Path
    sections: dict[str, Any]

    def __post_init__(self) -> None:
        self.sessions = {
            name: onnxruntime.InferenceSession(self.path(name), providers=["CPUExecutionProvider"])
            for name in ("s1_prefill", "s1_step")
        }
        rng = np.random.default_rng(0)
        shapes = {given.name: given.shape for given in self.sessions["s1_step"].get_inputs()}
        self.lora = {entry["name"]: tuple(entry["keys"]) for entry in self.sections["s1_step"]["lora"]}
        self.adapter = {
            name: (0.1 * rng.standard_normal([size if isinstance(size, int) else 3 for size in shapes[name]])).astype(
                np.float32
            )
            for name in self.lora
        }

    def path(self, name: str) -> Path:
        return self.folder / self.sections[name]["file"]

    def model(self) -> onnx.ModelProto:
        return onnx.load(self.path("s1_step"), load_external_data=False)

    def step(self, bits: WeightBits = 32) -> StepSession:
        return StepSession(build_step(self.model(), self.path("s1_step").parent, self.lora, bits), threads=1)

    def prefill(self, phones: int, prompt: int, seed: int) -> list[np.ndarray]:
        """Logits, keys and values."""
        rng = np.random.default_rng(seed)
        bert = next(given.shape[2] for given in self.sessions["s1_prefill"].get_inputs() if given.name == "bert")
        inputs = {
            "phones": rng.integers(1, 40, (1, phones)),
            "bert": rng.standard_normal((1, phones, bert)).astype(np.float32),
            "prompt": rng.integers(0, 30, (1, prompt)),
        }
        outputs: list[np.ndarray] = self.sessions["s1_prefill"].run(None, inputs | self.adapter)
        return outputs

    def logits(self, keys: np.ndarray, values: np.ndarray, tokens: Iterator[int], position: int) -> Iterator[Any]:
        """Logits after each token, by the stored graph."""
        for number, token in enumerate(tokens):
            inputs = {"token": np.array([[token]]), "position": np.array([position + number])}
            inputs |= {"keys": keys, "values": values, "length": np.array([keys.shape[3]])}
            logits, new_keys, new_values = self.sessions["s1_step"].run(None, inputs | self.adapter)
            keys, values = np.concatenate([keys, new_keys], axis=3), np.concatenate([values, new_values], axis=3)
            yield logits[0]


@pytest.fixture(scope="module")
def tiny() -> Stored:
    sections = {name: graph.model_dump() for name, graph in TINY.document.graphs.items()}
    return Stored(TINY.folder, sections)


@pytest.fixture(scope="module", params=["frozen", "exported today"])
def stored(
    request: pytest.FixtureRequest, tiny: Stored, small_networks: Networks, tmp_path_factory: pytest.TempPathFactory
) -> Stored:
    """The graphs of the embedded base, and graphs as they are exported today, with every adapter that there is."""
    if request.param == "frozen":
        return tiny
    folder = tmp_path_factory.mktemp("exported")
    return Stored(folder, export_graphs(small_networks, folder, tuple(GROUPS), graphs=("s1_prefill", "s1_step")))


def test_every_step_answers_what_the_stored_graph_answers(stored: Stored) -> None:
    _, keys, values = stored.prefill(phones=9, prompt=7, seed=1)
    loop = StepLoop(stored.step(), stored.adapter, keys, values, room=20)
    tokens = np.random.default_rng(2).integers(0, 30, 20).tolist()
    for number, expected in enumerate(stored.logits(keys, values, iter(tokens), 7)):
        found = loop.read(tokens[number], 7 + number)
        assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


def test_the_adapter_is_heard(stored: Stored) -> None:
    _, keys, values = stored.prefill(phones=9, prompt=7, seed=1)
    none = {name: np.zeros_like(stack) for name, stack in stored.adapter.items()}
    step = stored.step()
    heard, plain = (StepLoop(step, given, keys, values, room=1).read(3, 7) for given in (stored.adapter, none))
    assert np.abs(heard - plain).max() > 0.01


def greedy(stored: Stored, step: StepSession, seed: int, count: int) -> list[int]:
    logits, keys, values = stored.prefill(phones=8 + seed, prompt=10, seed=seed)
    loop, tokens, scores = StepLoop(step, stored.adapter, keys, values, room=count), [], logits[0]
    for number in range(count):
        tokens.append(int(scores.argmax()))
        scores = loop.read(tokens[-1], 10 + number)
    return tokens


def test_the_tiny_base_says_the_same_greedy_tokens_on_every_prompt(tiny: Stored) -> None:
    step = tiny.step()
    for seed in range(5):
        tokens = greedy(tiny, step, seed, 30)
        logits, keys, values = tiny.prefill(phones=8 + seed, prompt=10, seed=seed)
        answers = [logits[0], *tiny.logits(keys, values, iter(tokens[:-1]), 10)]
        assert [int(scores.argmax()) for scores in answers] == tokens


@pytest.mark.parametrize(("bits", "largest"), [(8, 0.06), (4, 0.6)])
def test_fewer_bits_are_close(tiny: Stored, bits: WeightBits, largest: float) -> None:
    _, keys, values = tiny.prefill(phones=9, prompt=7, seed=1)
    exact, rounded = (
        StepLoop(tiny.step(chosen), tiny.adapter, keys, values, room=1).read(3, 7) for chosen in (32, bits)
    )
    assert 1e-4 < np.abs(rounded - exact).max() / np.abs(exact).max() < largest


def test_loops_that_share_a_step_do_not_disturb_one_another(tiny: Stored) -> None:
    step = tiny.step()
    alone = [greedy(tiny, step, seed, 6) for seed in (1, 2)]
    starts = [tiny.prefill(phones=8 + seed, prompt=10, seed=seed) for seed in (1, 2)]
    loops = [StepLoop(step, tiny.adapter, keys, values, room=6) for _, keys, values in starts]
    scores = [logits[0] for logits, _, _ in starts]
    together: list[list[int]] = [[], []]
    for number in range(6):
        for one in range(2):
            together[one].append(int(scores[one].argmax()))
            scores[one] = loops[one].read(together[one][-1], 10 + number)
    assert together == alone


def test_a_cache_that_is_full_is_said_so(tiny: Stored) -> None:
    _, keys, values = tiny.prefill(phones=9, prompt=7, seed=1)
    loop = StepLoop(tiny.step(), tiny.adapter, keys, values, room=1)
    loop.read(3, 7)
    with pytest.raises(IndexError, match="no room for more than 17 positions"):
        loop.read(3, 8)


def renamed(model: onnx.ModelProto, pattern: str) -> None:
    """Give every value that matches another name."""
    for node in model.graph.node:
        for names in (node.input, node.output):
            for place, name in enumerate(names):
                names[place] = re.sub(pattern, "other", name)


def widths(model: onnx.ModelProto, width: int) -> None:
    for given in model.graph.input:
        if given.name in {"keys", "values"}:
            given.type.tensor_type.shape.dim[4].dim_value = width


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        pytest.param(lambda m: widths(m, 20), "20 wide; .* multiple of 8", id="heads of a width without a kernel"),
        pytest.param(lambda m: m.graph.input.pop(2), "input keys of s1_step", id="no cache"),
        pytest.param(lambda m: renamed(m, ".*feed_forward.up.weight"), "no weight .*feed_forward.up", id="no weight"),
        pytest.param(lambda m: renamed(m, "^logits$"), "no node makes logits", id="no logits"),
        pytest.param(lambda m: widths(m, 16), "128 channels, its cache has 64", id="a cache of another width"),
    ],
)
def test_a_graph_that_is_no_step_of_an_s1_is_refused(tiny: Stored, damage: Any, message: str) -> None:
    model = tiny.model()
    damage(model)
    with pytest.raises(BaseRejected, match=message):
        build_step(model, tiny.folder, tiny.lora)


@pytest.mark.parametrize(
    ("lora", "message"),
    [
        pytest.param({"a": ["x"]}, "x for a of s1_step", id="a tensor of another network"),
        pytest.param(
            {"a": ["base_model.model.s1.layers.0.attention.qkv.lora_A.weight"]}, "only one of two", id="half a pair"
        ),
    ],
)
def test_adapter_tensors_that_s1_has_not_are_refused(tiny: Stored, lora: dict[str, list[str]], message: str) -> None:
    with pytest.raises(BaseRejected, match=message):
        build_step(tiny.model(), tiny.folder, lora)

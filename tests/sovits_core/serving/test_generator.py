"""The rewritten generator sounds as the stored one, and what is no generator stays as it is."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from sovits_core.bundle.base import open_base
from sovits_core.export import export_graphs
from sovits_core.formats.adapters import GROUPS
from sovits_core.models.networks import Networks
from sovits_core.serving.generator import rewrite_generator
from sovits_core.serving.sessions import open_session

TINY = open_base("embedded:tiny")


@pytest.fixture(scope="module", params=["frozen", "exported today"])
def stored(request: pytest.FixtureRequest, small_networks: Networks, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embedded base's graph with one block in a stage, and one as it is exported today with two and an adapter."""
    if request.param == "frozen":
        return TINY.path(TINY.document.graphs["s2_decode"].file)
    folder = tmp_path_factory.mktemp("exported")
    return folder / export_graphs(small_networks, folder, tuple(GROUPS), graphs=("s2_decode",))["s2_decode"]["file"]


def inputs_of(model: onnx.ModelProto, tokens: int) -> dict[str, Any]:
    rng = np.random.default_rng(tokens)
    shapes = {given.name: [axis.dim_value for axis in given.type.tensor_type.shape.dim] for given in model.graph.input}
    return {
        name: (0.1 * rng.standard_normal([size or 3 for size in shape])).astype(np.float32)
        for name, shape in shapes.items()
    } | {
        "codes": rng.integers(0, 30, (1, tokens)),
        "text": rng.integers(1, 40, (1, 5)),
        "noise": (0.5 * rng.standard_normal((1, shapes["noise"][1], 2 * tokens))).astype(np.float32),
    }


@pytest.mark.parametrize("tokens", [1, 12, 60])
def test_it_makes_the_same_samples(stored: Path, tokens: int) -> None:
    models = [onnx.load(stored, load_external_data=False) for _ in range(2)]
    assert rewrite_generator(models[1])
    inputs = inputs_of(models[0], tokens)
    ours, theirs = (open_session(model, stored.parent, 1).run(None, inputs)[0] for model in models)
    assert ours.shape == theirs.shape
    assert np.abs(theirs).max() > 0.01
    assert np.abs(ours - theirs).max() <= 2e-6


def test_every_convolution_of_the_generator_has_four_axes_and_nothing_is_stacked(stored: Path) -> None:
    model = onnx.load(stored, load_external_data=False)
    rewrite_generator(model)
    generator = [node for node in model.graph.node if "waveform_generator/stages" in node.name]
    kernels = [
        list(attribute.ints) for node in generator for attribute in node.attribute if attribute.name == "kernel_shape"
    ]
    assert kernels
    assert all(len(kernel) == 2 and kernel[0] == 1 for kernel in kernels)
    assert not {node.op_type for node in generator} & {"ReduceMean", "Concat"}


def chain(*nodes: onnx.NodeProto) -> onnx.ModelProto:
    ends = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in ("x", "wav")]
    return helper.make_model(helper.make_graph([*nodes], "other", ends[:1], ends[1:]))


UPSAMPLE = (
    helper.make_node("LeakyRelu", ["x"], ["a"]),
    helper.make_node("ConvTranspose", ["a", "w"], ["b"], kernel_shape=[4], strides=[2], pads=[1, 1]),
)


@pytest.mark.parametrize(
    "model",
    [
        pytest.param(chain(helper.make_node("Tanh", ["x"], ["wav"])), id="no convolution"),
        pytest.param(chain(*UPSAMPLE, helper.make_node("Sin", ["b"], ["wav"])), id="another nonlinearity"),
        pytest.param(
            chain(*UPSAMPLE, helper.make_node("Add", ["b", "other"], ["c"]), helper.make_node("Tanh", ["c"], ["wav"])),
            id="something that flows in from outside",
        ),
        pytest.param(
            chain(
                *UPSAMPLE,
                helper.make_node("ReduceMean", ["b"], ["c"], axes=[1], keepdims=0),
                helper.make_node("Tanh", ["c"], ["wav"]),
            ),
            id="a mean over channels",
        ),
    ],
)
def test_another_graph_stays_as_it_is(model: onnx.ModelProto) -> None:
    before = model.SerializeToString()
    assert not rewrite_generator(model)
    assert model.SerializeToString() == before


def test_a_mean_that_no_convolution_reads_keeps_its_factor() -> None:
    zero = helper.make_node("Constant", [], ["zero"], value=helper.make_tensor("", onnx.TensorProto.INT64, [1], [0]))
    parts = [helper.make_node("LeakyRelu", ["b"], [f"part{place}"], alpha=0.2 * place) for place in range(3)]
    stack = [helper.make_node("Unsqueeze", [f"part{place}", "zero"], [f"row{place}"]) for place in range(3)]
    model = chain(
        zero, *UPSAMPLE, *parts, *stack,
        helper.make_node("Concat", ["row0", "row1", "row2"], ["rows"], axis=0),
        helper.make_node("ReduceMean", ["rows"], ["c"], axes=[0], keepdims=0),
        helper.make_node("Tanh", ["c"], ["wav"]),
    )  # fmt: skip
    model.opset_import[0].version, model.ir_version = 17, 8
    weights = np.random.default_rng(0).standard_normal((2, 1, 4)).astype(np.float32)
    model.graph.initializer.append(onnx.numpy_helper.from_array(weights, "w"))
    inputs = {"x": np.random.default_rng(1).standard_normal((1, 2, 6)).astype(np.float32)}
    before = open_session(model, Path(), 1).run(None, inputs)[0]
    assert rewrite_generator(model)
    assert np.abs(open_session(model, Path(), 1).run(None, inputs)[0] - before).max() <= 1e-6

"""Guards behind a softmax go, and nothing else does."""

import numpy as np
import onnx
import onnxruntime
import pytest

from sovits_core.bundle.base import open_base
from sovits_core.serving.guards import drop_nan_guards
from sovits_core.serving.sessions import open_session

TINY = open_base("embedded:tiny")


@pytest.mark.parametrize("prompt", [0, 1, 25])
def test_the_prefill_answers_the_same_without_guards(prompt: int) -> None:
    path = TINY.path(TINY.document.graphs["s1_prefill"].file)
    model = onnx.load(path, load_external_data=False)
    drop_nan_guards(model)
    kinds = {node.op_type for node in model.graph.node}
    assert "IsNaN" not in kinds
    assert "Softmax" in kinds
    stored = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(prompt)
    inputs = {
        given.name: np.zeros([size if isinstance(size, int) else 1 for size in given.shape], np.float32)
        for given in stored.get_inputs()
    }
    inputs |= {"phones": rng.integers(1, 300, (1, 12)), "prompt": rng.integers(0, 299, (1, prompt))}
    inputs["bert"] = np.zeros((1, 12, inputs["bert"].shape[2]), np.float32)
    for ours, theirs in zip(
        open_session(model, path.parent, 1).run(None, inputs), stored.run(None, inputs), strict=True
    ):
        assert np.array_equal(ours, theirs)


def test_another_use_of_a_test_for_numbers_stays() -> None:
    node = onnx.helper.make_node
    nodes = [node("IsNaN", ["x"], ["test"]), node("Where", ["test", "x", "y"], ["z"])]
    model = onnx.helper.make_model(onnx.helper.make_graph(nodes, "other", [], []))
    drop_nan_guards(model)
    assert [kept.op_type for kept in model.graph.node] == ["IsNaN", "Where"]

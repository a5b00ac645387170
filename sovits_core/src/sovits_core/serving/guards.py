"""Removes what the exporter puts behind every softmax and what a server never needs."""

from __future__ import annotations

import onnx


def drop_nan_guards(model: onnx.ModelProto) -> None:
    """Let each softmax be read directly, in place; a graph without guards stays as it is.

    The exporter turns a row of a softmax that is not a number to zeros: one that may attend to nothing at all. In S1
    and S2 every position attends to itself at least. The guard is two passes over all scores.
    """
    graph = model.graph
    made = {name: node for node in graph.node for name in node.output}
    guarded: dict[str, str] = {}
    tests: set[str] = set()
    for node in graph.node:
        test = made.get(node.input[0]) if node.op_type == "Where" else None
        if test is not None and test.op_type == "IsNaN" and test.input[0] == node.input[2]:
            guarded[node.output[0]] = node.input[2]
            tests.add(test.output[0])
    kept = [node for node in graph.node if node.output[0] not in guarded]
    for node in kept:
        for place, name in enumerate(node.input):
            node.input[place] = guarded.get(name, name)
    read = {name for node in kept for name in node.input}
    kept = [node for node in kept if node.output[0] not in tests or node.output[0] in read]
    del graph.node[:]
    graph.node.extend(kept)

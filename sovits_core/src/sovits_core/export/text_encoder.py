"""The text encoder as a graph, so that a server without torch gives S1 the vectors that it was trained with."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import BertModel

from sovits_core.export.graphs import Graph, Writer, trace

BERT = "bert"
"""Its name among the graphs, and of its files."""


class Vectors(nn.Module):
    """A BERT of `load_bert` as a forward."""

    def __init__(self, model: BertModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, tokens: Tensor) -> tuple[Tensor, ...]:
        """tokens: int64 (1, characters + 2), with their marks -> float32 (1, characters, width)."""
        return (self.model(tokens).last_hidden_state[:, 1:-1],)


def export_text_encoder(model: BertModel, folder: Path) -> dict[str, dict[str, Any]]:
    """Write onnx/bert.onnx and its weights, as halves, under a base's folder.

    Args:
        model: from `load_bert`, in float32 on the CPU.
        folder: the base bundle's.

    Returns:
        Its part of the `graphs` section of base.json.

    Raises:
        ExportError: a weight does not fit float16.
    """
    axes = {"tokens": {1: "tokens"}, "vectors": {1: "characters"}}
    examples = {"tokens": torch.arange(4)[None]}
    graph = Graph(BERT, Vectors(model), BERT, examples, ["vectors"], axes)
    (folder / "onnx").mkdir(parents=True, exist_ok=True)
    writer = Writer(folder, half=True)
    writer.write(BERT, trace(graph, [], folder / "onnx" / f"{BERT}.onnx"), BERT, [])
    return writer.sections

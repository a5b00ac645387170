"""Graphs for ONNX Runtime with the adapter as an input, so that one loaded base serves every voice."""

from sovits_core.export.graphs import BASE_GRAPHS, export_graphs
from sovits_core.export.text_encoder import export_text_encoder

__all__ = ["BASE_GRAPHS", "export_graphs", "export_text_encoder"]

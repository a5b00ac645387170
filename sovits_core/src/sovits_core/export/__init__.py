"""Graphs for ONNX Runtime with the adapter as an input, so that one loaded base serves every voice."""

from sovits_core.export.graphs import export_graphs

__all__ = ["export_graphs"]

"""Graphs as a server runs them: made from those that a base stores, when it is loaded. Needs onnx, not torch."""

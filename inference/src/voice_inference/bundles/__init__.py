"""Bases and voices: fetched by digest, checked, and loaded into ONNX Runtime."""

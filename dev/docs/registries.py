"""The metric registries of operator and server, as their programs make them."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from voice_inference.metrics import Metrics as InferenceMetrics


def all_registries() -> dict[str, CollectorRegistry]:
    """Return the registries by program."""
    return {"voice-inference": InferenceMetrics().registry}

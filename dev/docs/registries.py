"""The metric registries of operator and server, as their programs make them."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from voice_inference.metrics import Metrics as InferenceMetrics
from voice_operator.metrics import Metrics as OperatorMetrics


def all_registries() -> dict[str, CollectorRegistry]:
    """Return the registries by program."""
    inference = InferenceMetrics()
    return {
        "voice-operator": OperatorMetrics().registry,
        "voice-inference": inference.registry,
        "voice-inference, for keys of all voices": inference.by_key,
    }

"""The input hash: everything that changes the result of a training, and nothing else."""

import hashlib
import json
from typing import Any

from voice_operator.api.voice_model import VoiceModelSpec


def input_hash(
    spec: VoiceModelSpec, *, dataset_digest: str, base: str, base_uri: str, base_digest: str, trainer_image: str
) -> str:
    """Return 64 hex digits; the same input gives the same hash, hence the same names, hence no second training.

    ``base`` is the name that spec.base was resolved to. Gates are part of it although they change no weights: they
    decide whether the stage commits a published voice.
    """
    gates = spec.evaluation.gates
    return digest_of(
        {
            "schema": "voice.sovits.dev/input/v1",
            "language": spec.language,
            "dataset": {"uri": spec.dataset.uri.rstrip("/"), "digest": dataset_digest},
            "base": {"name": base, "uri": base_uri, "digest": base_digest},
            "training": spec.training.document(),
            "texts": list(spec.evaluation.texts),
            "gates": None
            if gates is None
            else sorted((gate.document() for gate in gates), key=lambda gate: gate["metric"]),
            "trainer": trainer_image,
        }
    )


def digest_of(document: Any) -> str:
    """Return the SHA-256 of a document's canonical JSON, as 64 hex digits."""
    return hashlib.sha256(
        json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    ).hexdigest()

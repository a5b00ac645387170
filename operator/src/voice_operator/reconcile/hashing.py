"""Hashes of what changes a result: one over the input of a training, one over that of its evaluation."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from voice_operator.api.evaluation import Evaluation, Gate
from voice_operator.api.voice_model import Preparation, Training
from voice_operator.api.voice_revision import AlgorithmVersions, VoiceRevisionSpec
from voice_operator.reconcile.algorithm import EVALUATION, versions_for
from voice_operator.reconcile.gates import effective_gates

# The default that each training setting had when it was introduced. A setting with this value is left out of the hash,
# so that neither a new field nor a changed default of an old one changes it. Lines are added and never changed.
INTRODUCTION_DEFAULTS: dict[str, Any] = {
    "method": "LoRA",
    "rank": 8,
    "targets": ["attention"],
    "epochs": 10,
    "batchSize": 4,
    "learningRate": "2e-4",
    "seed": 1234,
    "learningRateS1": "",
    "learningRateS2": "",
    "patience": 0,
    "precision": "auto",
}
# The same of what changes the clips. `maxRejected` decides whether there is a result, and changes none.
PREPARATION_DEFAULTS: dict[str, Any] = {"denoise": "auto"}
EMBEDDED = "embedded:"  # scheme of the bases inside the trainer's image


def training_hash(
    *,
    language: str,
    recordings: str,
    base: str,
    training: Training,
    algorithm: AlgorithmVersions,
    preparation: Preparation,
    locale: str = "",
) -> str:
    """Return 64 hex digits over everything that changes the adapter, and over nothing else.

    ``recordings`` is the pinned digest or the fingerprint of the dataset, ``base`` comes from ``base_identity``.
    """
    prepared = {
        name: value for name, value in preparation.document().items() if PREPARATION_DEFAULTS.get(name, value) != value
    }
    return digest_of(
        {
            **({"preparation": prepared} if prepared else {}),
            "schema": "voice.sovits.dev/input/v2",
            "language": language,
            **({"locale": locale} if locale else {}),  # as any setting: left out where it is the default
            "recordings": recordings,
            "base": base,
            "training": _differing_settings(training),
            "algorithm": {"training": algorithm.training, "text": algorithm.text},
        }
    )


def training_hash_of(revision: VoiceRevisionSpec) -> str:
    """Return the training hash that this release gives to the input that a revision records.

    It counts as made by this release's algorithms, whatever made it: an upgrade trains nothing that is published.
    """
    return training_hash(
        language=revision.language,
        recordings=revision.dataset.digest or revision.dataset.fingerprint,
        base=base_identity(revision.base.name, revision.base.uri, revision.base.digest),
        training=revision.training,
        algorithm=versions_for(revision.language),
        preparation=revision.dataset,
        locale=revision.locale,
    )


def evaluation_hash(
    evaluation: Evaluation, minimum: Sequence[Gate] = (), recogniser: str = "", *, official: bool = False
) -> str:
    """Return 64 hex digits over the gates and sentences of an evaluation, whatever their order among the gates.

    The digest of the installation's ``recogniser`` counts where the language has one.

    A minimum of the installation counts where it changes the gates, and where they are the base's, which only the
    trainer knows. ``official`` says whether the bundle has official files, which evaluate's other half publishes.
    """
    gates = effective_gates(evaluation.gates, minimum)
    raised = {"minimum": _documents(minimum)} if gates is None and minimum else {}
    return digest_of(
        {
            **raised,
            **({"official": True} if official else {}),
            **({"recogniser": recogniser} if recogniser else {}),
            "schema": "voice.sovits.dev/evaluation/v1",
            "texts": list(evaluation.texts),
            # No gates and none named are different wishes: the base's own gates apply to the second.
            "gates": None if gates is None else _documents(gates),
            "algorithm": EVALUATION,
        }
    )


def _documents(gates: Iterable[Gate]) -> list[dict[str, Any]]:
    return sorted((gate.document() for gate in gates), key=lambda gate: (gate["metric"], *sorted(gate)))


def base_identity(name: str, uri: str, digest: str) -> str:
    """Return what tells a base from others: its digest, wherever it lies; without one, what the installation calls it.

    An embedded base without a digest is told by its URI: its name is the installation's choice, its content is not.
    """
    return digest or (uri if uri.startswith(EMBEDDED) else name)


def digest_of(document: Any) -> str:
    """Return the SHA-256 of a document's canonical JSON, as 64 hex digits."""
    return hashlib.sha256(
        json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    ).hexdigest()


def _differing_settings(training: Training) -> dict[str, Any]:
    defaults = _canonical(INTRODUCTION_DEFAULTS)
    return {name: value for name, value in _canonical(training.document()).items() if value != defaults[name]}


def _canonical(settings: dict[str, Any]) -> dict[str, Any]:
    """Return the settings in one spelling: learning rates of 2e-4 and 0.0002 train the same voice."""
    return {
        name: str(Decimal(value).normalize()) if name.startswith("learningRate") and value else value
        for name, value in settings.items()
    }

"""The job document (docs/contracts.md): all input of a stage Job, in a ConfigMap."""

import json
from typing import Any

from voice_operator import __version__
from voice_operator.api.schema import API_VERSION
from voice_operator.documents import JOB_SCHEMA
from voice_operator.manifests import attempt_keys
from voice_operator.manifests.labels import VOICE_MODEL, owner, recommended
from voice_operator.manifests.pod import store_files
from voice_operator.reconcile.algorithm import versions_for
from voice_operator.reconcile.effects import StartJob
from voice_operator.reconcile.gates import effective_gates
from voice_operator.reconcile.identity import evaluation_hash_of
from voice_operator.reconcile.names import document_name, job_name, revision_name, revision_uri, workspace_uri
from voice_operator.reconcile.observed import Voice
from voice_operator.settings import Settings

FILE = "job.json"


def job_document(voice: Voice, start: StartJob, input_hash: str, settings: Settings) -> dict[str, Any]:
    """Return the document of one attempt of one stage."""
    spec = voice.spec
    base = settings.bases[voice.base]
    gates = effective_gates(spec.evaluation.gates, voice.minimum_gates)
    recogniser = settings.recogniser_of(spec.language)
    parts = (settings.storage.uri, voice.namespace, voice.name, input_hash)
    return {
        "schema": JOB_SCHEMA,
        "voice": {"namespace": voice.namespace, "name": voice.name, "uid": voice.uid},
        "revision": revision_name(voice.name, input_hash),
        "inputHash": input_hash,
        "evaluationHash": evaluation_hash_of(voice),
        "algorithm": versions_for(spec.language).document(),
        "language": spec.language,
        "locale": spec.locale,
        "dataset": spec.dataset.document() | {"uri": spec.dataset.uri.rstrip("/")},
        "consent": spec.consent.document(),
        "source": spec.source.document(),
        "base": {"name": voice.base, "uri": base.uri, "digest": base.digest},
        "recogniser": None if recogniser is None else {"uri": recogniser.uri, "digest": recogniser.digest},
        "training": spec.training.document(),
        "evaluation": {
            "texts": list(spec.evaluation.texts),
            "gates": None if gates is None else [gate.document() for gate in gates],
            "minimumGates": [gate.document() for gate in voice.minimum_gates],
        },
        "publish": {"official": spec.publish.official},
        "active": _active(voice, start, settings),
        "allowed": {"datasets": list(settings.tenant(voice.namespace).datasets or ())},
        "store": {"workspace": workspace_uri(*parts), "revision": revision_uri(*parts)},
        "compute": {
            "device": "auto" if spec.compute.gpus else "cpu",
            "gradientCheckpointing": spec.compute.gradient_checkpointing,
        },
        "attempt": {"number": start.attempt, "batchSizeDivisor": start.batch_size_divisor},
        "receipts": {
            "job": job_name(voice.name, input_hash, start.stage, start.attempt),
            "keys": f"{attempt_keys.FOLDER}/{attempt_keys.FILE}",
            "inputs": dict(start.inputs),
        },
        "operator": {"version": __version__},
    }


def _active(voice: Voice, start: StartJob, settings: Settings) -> dict[str, str] | None:
    """Return the served revision, which evaluate compares the new one with; its address follows from its name."""
    served = start.active
    if served is None:
        return None
    uri = revision_uri(settings.storage.uri, voice.namespace, voice.name, served.input_hash)
    return {"revision": served.name, "uri": uri, "digest": served.digest}


def job_document_config_map(voice: Voice, start: StartJob, input_hash: str, settings: Settings) -> dict[str, Any]:
    """Return the ConfigMap that the stage's pod mounts; a later attempt of the stage overwrites it."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": document_name(voice.name, input_hash, start.stage),
            "namespace": voice.namespace,
            "labels": recommended(name="voicemodel", instance=voice.name, component=start.stage)
            | {VOICE_MODEL: voice.name},
            "ownerReferences": owner("VoiceModel", voice.name, voice.uid),
            "annotations": {"kubernetes.io/description": f"Job document of {voice.name} ({API_VERSION})"},
        },
        "data": {FILE: json.dumps(job_document(voice, start, input_hash, settings), indent=1, ensure_ascii=False)}
        | store_files(settings),
    }

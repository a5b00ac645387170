"""Where a voice comes from, as an in-toto statement with SLSA's provenance; the same results give the same bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from voice_trainer.job.document import TrainingJob
from voice_trainer.job.results import StageManifest

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "https://voice.sovits.dev/training/v1"
BUILDER = "https://voice.sovits.dev/voice-trainer"


def provenance(
    job: TrainingJob, files: Mapping[str, str], base_digest: str, stages: Mapping[str, StageManifest]
) -> bytes:
    """Return the statement as canonical JSON.

    Args:
        job: what was asked for.
        files: SHA-256 of each other file of the bundle, by its name.
        base_digest: of the base that was adapted.
        stages: the manifests of the stages that made the files.
    """
    recordings = str(stages["prepare"].summary.get("datasetDigest", ""))
    return _canonical(
        {
            "_type": STATEMENT,
            "subject": [{"name": name, "digest": {"sha256": digest}} for name, digest in sorted(files.items())],
            "predicateType": PREDICATE,
            "predicate": {
                "buildDefinition": {
                    "buildType": BUILD_TYPE,
                    "externalParameters": {
                        "language": job.language,
                        **({"locale": job.locale} if job.locale else {}),
                        "training": job.training.model_dump(mode="json", by_alias=True),
                        "denoise": job.dataset.denoise,
                    },
                    "internalParameters": {"inputHash": job.input_hash, "evaluationHash": job.evaluation_hash},
                    "resolvedDependencies": [
                        _dependency("recordings", job.dataset.uri, recordings),
                        _dependency("base", job.base.uri, base_digest),
                        *_source(job.source),
                    ],
                },
                "runDetails": {
                    "builder": {"id": BUILDER, "version": stages["train"].tools},
                    "metadata": {
                        "invocationId": job.revision,
                        "startedOn": stages["prepare"].started_at,
                        "finishedOn": stages["evaluate"].completed_at,
                    },
                },
            },
        }
    )


def _dependency(name: str, uri: str, digest: str) -> dict[str, Any]:
    found = {"digest": {"sha256": digest.removeprefix("sha256:")}} if digest else {}
    return {"name": name, "uri": uri, **found}


def _source(source: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the commit that asked for the voice, where one is named."""
    if not source.get("commit"):
        return []
    uri = f"git+{source['repository']}" if source.get("repository") else "git"
    return [{"name": "spec", "uri": uri, "digest": {"gitCommit": source["commit"]}}]


def _canonical(document: dict[str, Any]) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"

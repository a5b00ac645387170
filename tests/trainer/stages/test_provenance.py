"""Provenance of a voice: what it was made from, in the field's own form, and the same bytes each time."""

import json
from typing import Any

import pytest

from voice_trainer.job.document import TrainingJob
from voice_trainer.job.results import StageManifest
from voice_trainer.stages.provenance import provenance

BASE = "sha256:" + "b" * 64


@pytest.fixture
def job(job_document: dict[str, Any]) -> TrainingJob:
    job_document["source"] = {"repository": "https://git.example.com/voices", "commit": "3f2a9c1d", "author": "Bob"}
    return TrainingJob.model_validate(job_document)


def made(job: TrainingJob, files: dict[str, str]) -> bytes:
    def manifest(stage: str, **summary: Any) -> StageManifest:
        return StageManifest(
            stage=stage,
            input_hash=job.input_hash,
            started_at="2026-11-23T06:00:00Z",
            completed_at="2026-11-23T06:07:00Z",
            files={},
            summary=summary,
            tools={"voice-trainer": "0.1.0"},
        )

    stages = {
        "prepare": manifest("prepare", datasetDigest="sha256:" + "d" * 64),
        "train": manifest("train"),
        "evaluate": manifest("evaluate"),
    }
    return provenance(job, files, BASE, stages)


def test_it_is_an_in_toto_statement_over_all_files_and_all_that_they_were_made_from(job: TrainingJob) -> None:
    document = json.loads(made(job, {"voice.json": "2" * 64, "adapter_model.safetensors": "1" * 64}))
    assert (document["_type"], document["predicateType"]) == (
        "https://in-toto.io/Statement/v1",
        "https://slsa.dev/provenance/v1",
    )
    assert document["subject"] == [
        {"name": "adapter_model.safetensors", "digest": {"sha256": "1" * 64}},
        {"name": "voice.json", "digest": {"sha256": "2" * 64}},
    ]
    build = document["predicate"]["buildDefinition"]
    assert {one["name"]: one["digest"] for one in build["resolvedDependencies"]} == {
        "recordings": {"sha256": "d" * 64},
        "base": {"sha256": "b" * 64},
        "spec": {"gitCommit": "3f2a9c1d"},
    }
    assert build["externalParameters"]["training"]["rank"] == 2
    assert document["predicate"]["runDetails"]["builder"]["version"] == {"voice-trainer": "0.1.0"}
    assert "Alice A." not in json.dumps(document)


def test_the_same_results_give_the_same_bytes(job: TrainingJob) -> None:
    files = {"a": "1" * 64, "b": "2" * 64}
    assert made(job, files) == made(job, dict(reversed(files.items())))
    unnamed = job.model_copy(update={"source": {}})
    assert b"gitCommit" not in made(unnamed, files)

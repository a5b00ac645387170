"""Each document of docs/contracts.md, rendered by the part that writes it and parsed by every part that reads it."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args

import pytest

from sovits_core.text import LANGUAGES, LOCALES
from sovits_core.text.versions import VERSIONS as TEXT_VERSIONS
from voice_inference.api.views import voice_list
from voice_inference.bundles.references import BaseReference
from voice_inference.errors import InvalidDocument as InvalidDesiredVoices
from voice_inference.metrics import Metrics as InferenceMetrics
from voice_inference.voices.desired import DesiredVoice as ServersVoice
from voice_inference.voices.desired import DesiredVoices as ServersVoices
from voice_inference.voices.desired import parse_desired
from voice_inference.voices.registry import VoiceRegistry
from voice_operator import documents as read_by_operator
from voice_operator.api.evaluation import Gate
from voice_operator.api.schema import Language, Locale
from voice_operator.api.voice_model import VoiceModelSpec
from voice_operator.api.voice_status import VoiceModelStatus
from voice_operator.manifests.job_document import job_document
from voice_operator.manifests.voice_list import configured_base, list_document
from voice_operator.reconcile import algorithm
from voice_operator.reconcile.effects import StartJob
from voice_operator.reconcile.observed import DesiredRevision, DesiredVoice, ObservedRevision, ServerRef, Voice
from voice_operator.settings import Settings
from voice_trainer import errors as trainer_errors
from voice_trainer.errors import Refused, UsageError
from voice_trainer.evaluation.gates import chosen_gates
from voice_trainer.job import algorithm as trainers_algorithm
from voice_trainer.job import results as written_by_trainer
from voice_trainer.job.algorithm import require_versions
from voice_trainer.job.allowed import require_allowed
from voice_trainer.job.document import read_job
from voice_trainer.job.exit_codes import failure_of
from voice_trainer.recordings.findings import Finding
from voice_trainer.recordings.selection import summary_findings

INPUT_HASH = "3fa9c2d1" * 8
SETTINGS = Settings.model_validate(
    {
        "images": {"trainer": "trainer:1", "inference": "inference:1"},
        "bases": {
            "tiny": {"uri": "embedded:tiny", "digest": ""},
            "v2Pro": {"uri": "s3://bases/v2Pro", "digest": "sha256:" + "ab" * 32},
        },
        "storage": {"uri": "s3://voices", "secretName": "voices-s3"},
    }
)


def voice(**spec: object) -> Voice:
    wanted = {
        "language": "en",
        "base": "tiny",
        "dataset": {"uri": "s3://voices/datasets/studio/alice/"},
        "consent": {"holder": "Alice A.", "statement": "I agree.", "expires": "2099-11-01"},
    }
    return Voice("studio", "alice", "a-uid", 1, VoiceModelSpec.model_validate(wanted | spec), VoiceModelStatus())


def rendered_job(tmp_path: Path, **spec: object) -> Path:
    document = job_document(voice(**spec), StartJob("train", 2, 4), INPUT_HASH, SETTINGS)
    path = tmp_path / "job.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def test_the_trainer_reads_the_job_that_the_operator_writes(tmp_path: Path) -> None:
    job = read_job(rendered_job(tmp_path))
    assert (job.voice.namespace, job.voice.name, job.voice.uid) == ("studio", "alice", "a-uid")
    assert job.revision == "alice-3fa9c2d1"
    assert job.store.workspace == f"s3://voices/studio/alice/{INPUT_HASH}"
    assert job.store.revision == "s3://voices/studio/alice/revisions/alice-3fa9c2d1"
    assert job.dataset.uri == "s3://voices/datasets/studio/alice"
    assert (job.training.rank, job.training.learning_rate, job.training.targets) == (8, 2e-4, ("attention",))
    assert job.consent is not None
    assert job.consent.holder == "Alice A."
    assert (job.attempt.number, job.micro_batch_size) == (2, 1)


def test_what_is_done_about_noise_and_bad_clips_reaches_the_trainer(tmp_path: Path) -> None:
    job = read_job(rendered_job(tmp_path))
    assert (job.dataset.denoise, job.dataset.max_rejected) == ("auto", 20)
    dataset = {"uri": "s3://voices/datasets/studio/alice", "denoise": "never", "maxRejected": 0}
    job = read_job(rendered_job(tmp_path, dataset=dataset))
    assert (job.dataset.denoise, job.dataset.max_rejected) == ("never", 0)


def test_the_locale_reaches_the_trainer_and_both_know_the_same_ones(tmp_path: Path) -> None:
    assert read_job(rendered_job(tmp_path)).locale == ""
    assert read_job(rendered_job(tmp_path, locale="en-GB")).locale == "en-GB"
    assert get_args(Locale) == ("", *LOCALES)


def test_a_job_with_another_locale_is_refused_by_name(tmp_path: Path) -> None:
    path = rendered_job(tmp_path)
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | {"locale": "en-UK"}), encoding="utf-8")
    with pytest.raises(UsageError, match=r"locale: .*'en-UK' is not known; use one of: .*en-GB"):
        read_job(path)


def test_a_job_of_a_release_without_these_fields_is_prepared_by_their_defaults(tmp_path: Path) -> None:
    path = rendered_job(tmp_path)
    document = json.loads(path.read_text(encoding="utf-8"))
    document["dataset"] = {"uri": document["dataset"]["uri"], "digest": ""}
    path.write_text(json.dumps(document), encoding="utf-8")
    assert read_job(path).dataset.denoise == "auto"


def test_the_operator_reads_what_the_trainer_found_in_the_recordings() -> None:
    findings = [
        Finding(f"clip{n}", "WrongText", "x" * 5000 + "\x1b[2J", "refusal" if n < 3 else "warning") for n in range(30)
    ]
    manifest = written_by_trainer.StageManifest(
        stage="prepare",
        input_hash=INPUT_HASH,
        started_at=written_by_trainer.now(),
        completed_at=written_by_trainer.now(),
        files={},
        summary={"clips": 27, "rejected": 3, "denoised": 4, "speechSeconds": "71.2"}
        | {"findings": summary_findings(findings)},
        tools=written_by_trainer.tools(),
    )
    read = read_by_operator.StageManifest.read(written_by_trainer.to_json(manifest), "manifest.json").summary
    assert (read.clips, read.rejected, read.denoised, read.speech_seconds) == (27, 3, 4, "71.2")
    assert read.findings is not None
    assert [finding.rejected for finding in read.findings] == [True] * 3 + [False] * 17


def test_operator_and_trainer_mean_the_same_versions_of_the_algorithms() -> None:
    assert (algorithm.TRAINING, algorithm.EVALUATION) == (trainers_algorithm.TRAINING, trainers_algorithm.EVALUATION)
    assert algorithm.TEXT == TEXT_VERSIONS
    assert TEXT_VERSIONS.keys() == LANGUAGES.keys(), "each language that has a front end has a version"


@pytest.mark.parametrize("language", get_args(Language))
def test_the_trainer_accepts_the_versions_that_the_operator_asks_for(tmp_path: Path, language: str) -> None:
    job = read_job(rendered_job(tmp_path, language=language))
    assert job.algorithm.model_dump() == {"training": 1, "text": TEXT_VERSIONS[language], "evaluation": 1}
    require_versions(job)


@pytest.mark.parametrize("name", ["training", "text", "evaluation"])
def test_the_trainer_refuses_a_job_for_another_release(tmp_path: Path, name: str) -> None:
    path = rendered_job(tmp_path)
    document = json.loads(path.read_text(encoding="utf-8"))
    own = document["algorithm"][name]
    document["algorithm"][name] = own + 1
    path.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(Refused) as caught:
        require_versions(read_job(path))
    assert failure_of(caught.value, "train").exit_code == 78
    assert str(caught.value) == (
        f"algorithm.{name} is {own + 1}, and this trainer has version {own}; run the trainer image of the operator's "
        "release (chart value images.trainer)"
    )


def test_a_job_of_a_release_without_versions_is_not_checked(tmp_path: Path) -> None:
    path = rendered_job(tmp_path)
    document = json.loads(path.read_text(encoding="utf-8"))
    del document["algorithm"], document["evaluationHash"]
    path.write_text(json.dumps(document), encoding="utf-8")
    job = read_job(path)
    require_versions(job)
    assert job.evaluation_hash == ""


def test_the_trainer_reads_for_which_gates_and_sentences_it_works(tmp_path: Path) -> None:
    one, other = read_job(rendered_job(tmp_path)), read_job(rendered_job(tmp_path, evaluation={"texts": ["Hello."]}))
    assert one.evaluation_hash != other.evaluation_hash
    assert one.input_hash == other.input_hash


def test_gates_that_nobody_named_stay_unnamed_on_the_way_to_the_trainer(tmp_path: Path) -> None:
    assert read_job(rendered_job(tmp_path)).evaluation.gates is None


def test_a_gate_of_the_user_reaches_the_trainer(tmp_path: Path) -> None:
    job = read_job(rendered_job(tmp_path, evaluation={"gates": [{"metric": "stoi", "min": "0.9"}]}))
    assert job.evaluation.gates is not None
    assert [(gate.metric, gate.min, gate.max) for gate in job.evaluation.gates] == [("stoi", Decimal("0.9"), None)]


def test_the_allowed_prefixes_reach_the_trainer(tmp_path: Path) -> None:
    job = read_job(rendered_job(tmp_path))
    assert job.allowed is not None
    assert job.allowed.datasets == ("s3://voices/datasets/studio/",)
    require_allowed(job)
    with pytest.raises(Refused, match="the namespace studio may use s3://voices/datasets/studio/"):
        require_allowed(read_job(rendered_job(tmp_path, dataset={"uri": "s3://voices/datasets/team-b/bob"})))


def test_the_served_revision_reaches_the_trainer_by_the_address_of_its_name(tmp_path: Path) -> None:
    digest = "sha256:" + "ab" * 32
    served = ObservedRevision("alice-9d01b7e4", "9d01b7e4" * 8, "tiny", "s3://elsewhere", digest)
    document = job_document(voice(), StartJob("evaluate", 1, active=served), INPUT_HASH, SETTINGS)
    (tmp_path / "job.json").write_text(json.dumps(document), encoding="utf-8")
    active = read_job(tmp_path / "job.json").active
    assert active is not None
    assert (active.revision, active.digest) == ("alice-9d01b7e4", digest)
    assert active.uri == "s3://voices/studio/alice/revisions/alice-9d01b7e4"
    assert read_job(rendered_job(tmp_path)).active is None


@pytest.mark.parametrize("gates", [None, [], [{"metric": "pesq", "min": "1.0"}]])
def test_the_installations_minimum_reaches_the_trainer_whatever_the_voice_says(tmp_path: Path, gates: Any) -> None:
    minimum = (Gate(metric="pesq", min="3.0"),)
    under_policy = replace(voice(evaluation={"gates": gates}), minimum_gates=minimum)
    document = job_document(under_policy, StartJob("train", 2, 4), INPUT_HASH, SETTINGS)
    (tmp_path / "job.json").write_text(json.dumps(document), encoding="utf-8")
    evaluation = read_job(tmp_path / "job.json").evaluation
    chosen, _ = chosen_gates(evaluation.gates, (), evaluation.minimum_gates, language="en")
    bounds = {gate.metric: gate.min for gate in chosen}
    assert bounds["pesq"] == Decimal("3.5" if gates is None else "3.0"), "the trainer's own default is stricter"


def test_the_trainer_refuses_a_job_of_another_version(tmp_path: Path) -> None:
    path = rendered_job(tmp_path)
    path.write_text(path.read_text(encoding="utf-8").replace("job/v1", "job/v2"), encoding="utf-8")
    with pytest.raises(UsageError, match="schema"):
        read_job(path)


SERVER = ServerRef("voice-system", "default", "a-uid")
ALICE = DesiredVoice(
    "studio/alice", "alice-3fa9c2d1", "s3://voices/studio/alice/revisions/alice-3fa9c2d1", "sha256:" + "cd" * 32
)


def a_list(**about: Any) -> dict[str, object]:
    return list_document(SERVER, [replace(ALICE, **about)], configured_base("tiny", SETTINGS), 7, SETTINGS)


def test_the_server_reads_the_desired_voices_that_the_operator_writes() -> None:
    document = a_list()
    desired = parse_desired(json.dumps(document).encode(), source="the operator")
    assert desired.generation == 7
    assert desired.base.uri == "embedded:tiny"
    found = desired.voices[0]
    assert (found.id, found.revision, found.uri, found.digest) == (ALICE.id, ALICE.revision, ALICE.uri, ALICE.digest)
    assert (found.next, found.previous) == (None, None)


def test_the_server_reads_what_the_operator_names_beside_the_served_revision() -> None:
    other = DesiredRevision(
        "alice-9d01b7e4", "s3://voices/studio/alice/revisions/alice-9d01b7e4", "sha256:" + "ef" * 32
    )
    for role in ("next", "previous"):
        (found,) = parse_desired(json.dumps(a_list(**{role: other})).encode(), source="the operator").voices
        named = getattr(found, role)
        assert (named.id, named.revision, named.uri) == (ALICE.id, other.revision, other.uri)
        assert named.digest == other.digest


def test_the_server_refuses_a_list_of_another_version() -> None:
    document = a_list() | {"schema": "voice.sovits.dev/desired-voices/v2"}
    with pytest.raises(InvalidDesiredVoices, match="schema"):
        parse_desired(json.dumps(document).encode(), source="the operator")


def test_the_operator_reads_the_stage_manifest_that_the_trainer_writes() -> None:
    manifest = written_by_trainer.StageManifest(
        stage="evaluate",
        input_hash=INPUT_HASH,
        evaluation_hash="e" * 64,
        started_at=written_by_trainer.now(),
        completed_at=written_by_trainer.now(),
        files={},
        summary={
            "passed": False,
            "scores": {"pesq": "1.91", "stoi": "0.72"},
            "intervals": {"pesq": "0.12"},
            "gates": [{"metric": "pesq", "min": "3.5", "value": "1.91", "verdict": "failed", "passed": False}],
            "gatesFrom": "default",
        },
        tools=written_by_trainer.tools(),
    )
    read = read_by_operator.StageManifest.read(written_by_trainer.to_json(manifest), "evaluate/manifest.json")
    assert (read.input_hash, read.evaluation_hash) == (INPUT_HASH, "e" * 64)
    assert not read.summary.passed
    assert read.summary.scores == {"pesq": "1.91", "stoi": "0.72"}
    assert read.summary.intervals == {"pesq": "0.12"}
    assert [(gate.metric, gate.min, gate.value, gate.verdict, gate.passed) for gate in read.summary.gates] == [
        ("pesq", "3.5", "1.91", "failed", False)
    ]
    assert read.summary.gates_from == "default"


def test_the_operator_reads_the_progress_that_the_trainer_writes() -> None:
    progress = written_by_trainer.Progress(
        stage="train",
        percent=62,
        epoch=5,
        eta_seconds=54,
        metrics={"loss": "3.21"},
        updated_at=written_by_trainer.now(),
    )
    read = read_by_operator.ProgressDocument.read(written_by_trainer.to_json(progress), "train/progress.json")
    assert (read.stage, read.percent, read.epoch, read.eta_seconds) == ("train", 62, 5, 54)


@pytest.mark.parametrize(
    ("error", "exit_code"),
    [
        pytest.param(trainer_errors.UsageError("--job is missing"), 64, id="usage"),
        pytest.param(ConnectionError("the network is down"), 75, id="anything unknown is tried again"),
    ],
)
def test_the_operator_reads_the_failure_that_the_trainer_leaves(error: Exception, exit_code: int) -> None:
    failure = failure_of(error, "prepare")
    read = read_by_operator.FailureDocument.read(written_by_trainer.to_json(failure), "termination message")
    assert (read.stage, read.exit_code, read.reason) == ("prepare", exit_code, failure.reason)
    assert str(error) in read.message


# What a server answers about its voices (inference server → operator)


def test_the_answer_about_use_is_read_as_the_server_writes_it() -> None:
    registry = VoiceRegistry(InferenceMetrics(), lambda: datetime(2026, 11, 23, 6, 7, tzinfo=UTC))
    reference = BaseReference(name="tiny", uri="embedded:tiny")
    desired = ServersVoice(
        id="studio/alice", revision="alice-1", uri="s3://v/a", digest="sha256:" + "a" * 64, base=reference, generation=1
    )
    registry.update(ServersVoices(1, reference, (desired,)))
    registry._last_used["studio/alice"] = date(2026, 11, 22)
    report = read_by_operator.VoicesReport.read(json.dumps(voice_list(registry)), "http://pod/v1/voices")
    assert report.since == "2026-11-23T06:07:00Z"
    assert [(one.id, one.last_used) for one in report.data] == [("studio/alice", "2026-11-22")]

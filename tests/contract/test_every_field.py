"""No painted doors: every field of every spec changes what the trainer reads, a manifest or a decision.

A field is found by walking the types, so a new one is checked without anybody thinking of it.
"""

import ast
import functools
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal, get_args, get_origin

import pytest
from pydantic import BaseModel, Field

import voice_trainer
from sovits_core.bundle.base import Metric as BaseMetric
from voice_inference.voices.desired import parse_desired
from voice_operator.api.evaluation import (
    BOTH_BOUNDS,
    LESS_IS_BETTER,
    MORE_IS_BETTER,
    NEED_RECOGNISER,
    RECOGNISED,
    Metric,
)
from voice_operator.api.structural import structural_schema
from voice_operator.api.voice_model import Review, Training, VoiceModelSpec
from voice_operator.api.voice_revision import ReviewDecision, VoiceRevisionSpec
from voice_operator.api.voice_server import VoiceServerSpec
from voice_operator.api.voice_status import (
    STAGES,
    FailureClass,
    GateVerdict,
    HubCopy,
    ObservedDataset,
    ResolvedBase,
    StageStatus,
    VoiceModelStatus,
)
from voice_operator.cluster.caches import Caches
from voice_operator.cluster.objects import voice_record
from voice_operator.cluster.observe import find_server
from voice_operator.manifests.job_document import job_document
from voice_operator.manifests.labels import EVALUATION_HASH
from voice_operator.manifests.revision import voice_revision
from voice_operator.manifests.scaling import autoscaler
from voice_operator.manifests.server import deployment, service
from voice_operator.manifests.stage_job import stage_job
from voice_operator.manifests.voice_list import configured_base, list_config_map, list_document
from voice_operator.reconcile import algorithm
from voice_operator.reconcile.access import access_problem
from voice_operator.reconcile.decide import decide
from voice_operator.reconcile.desired import desired_voices
from voice_operator.reconcile.effects import CreateRevision, StartJob
from voice_operator.reconcile.observed import (
    DesiredVoice,
    JobFailure,
    LoadedVoice,
    Observed,
    ObservedJob,
    ObservedRevision,
    ObservedServer,
    PodVoices,
    Proof,
    RevisionRecord,
    StageOutput,
    Voice,
    VoiceServer,
)
from voice_operator.reconcile.seals import SealedRevision
from voice_operator.reconcile.server_status import ObservedDeployment, server_status
from voice_operator.reconcile.status import status_of
from voice_operator.settings import Settings
from voice_trainer.errors import UsageError
from voice_trainer.evaluation.metrics import METRICS
from voice_trainer.evaluation.scores import ClipScores, mean_scores
from voice_trainer.evaluation.sentence_scores import SentenceScores, sentence_estimates
from voice_trainer.job.document import TrainingJob, read_job
from voice_trainer.recognition.error_rates import Errors
from voice_trainer.recognition.recogniser import BUILT_IN

VOICE = {
    "language": "en",
    "dataset": {"uri": "s3://voices/datasets/studio/alice", "digest": "sha256:" + "d" * 64},
    "consent": {
        "holder": "Alice A.",
        "statement": "I agree.",
        "evidence": "s3://voices/evidence/studio/alice.pdf",
        "evidenceDigest": "sha256:" + "f" * 64,
        "expires": "2099-11-01",
    },
    "source": {"repository": "https://git.example.com/voices", "commit": "3f2a9c1d", "author": "Bob B."},
    "base": "tiny",
    "evaluation": {"texts": ["Hello."], "gates": [{"metric": "durationRatio", "min": "3.5", "max": "4.5"}]},
    "publish": {"hub": {"repository": "studio/alice"}},
    "review": {"required": True},
    "lexicon": [{"word": "gif", "reading": "JH IH1 F"}],
}
SERVER = {
    "base": "tiny",
    "allowedNamespaces": ["studio"],
    "keysSecret": "voice-keys",
    "tlsSecret": "voice-tls",
    "resources": {"requests": {"cpu": "1"}, "limits": {"memory": "4Gi"}},
    "autoscaling": {"maxReplicas": 4, "podMetrics": [{"name": "queue", "average": "2"}]},
}

# Where "the value and an x" is no value: another one that is.
OTHERS = {
    "language": "ja",
    "dataset.digest": "sha256:" + "e" * 64,
    "consent.expires": "2020-11-01",
    "source.commit": "4a3b",
    "base": "other",
    "training.learningRate": "1e-3",
    "training.learningRateS1": "1e-3",
    "training.learningRateS2": "1e-3",
    "evaluation.gates[].min": "3.6",
    "evaluation.gates[].max": "4.6",
    "review.timeout": "1m",
    "lexicon[].reading": "G IH1 F",
    "lexicon[].alphabet": "kana",
    "compute.timeout": "90m",
    "compute.schedulingTimeout": "5m",
}

NOW = datetime(2026, 11, 23, 6, 7, tzinfo=UTC)
HASH = "3fa9c2d1" * 8
DIGEST = "sha256:" + "b" * 64
STORAGE = {"uri": "s3://voices", "secretName": "voices-s3"}
BASES = {"tiny": {"uri": "embedded:tiny"}, "other": {"uri": "s3://bases/other", "digest": "sha256:" + "a" * 64}}
SETTINGS = Settings.model_validate(
    {
        "images": {"trainer": "trainer:1", "inference": "inference:1"},
        "bases": BASES,
        "storage": STORAGE,
        "hub": {"tokenSecret": "voice-hub"},
    }
)
OUTPUT = StageOutput("2026-11-23T06:00:00Z", "2026-11-23T06:01:00Z", scores={"pesq": "3.9"})
MEASURED_ONCE = {"intervals": {"pesq": "0.1"}, "scores": {"pesq": "3.9"}}
APPROVALS = tuple(
    ReviewDecision(by=name, decision="Approved", at="2026-11-23T06:00:00Z", digest=DIGEST) for name in ("bob", "dave")
)
RECORD = RevisionRecord(DIGEST, "Alice A.", created=NOW - timedelta(days=1), requested_by=("bob",), decisions=APPROVALS)
JUDGED = {"gates": (GateVerdict(metric="durationRatio", min="3.5", max="4.5", value="4", passed=True),)}
TRAINED = ObservedRevision(
    "alice-3fa9c2d1", HASH, "tiny", "s3://voices/alice", DIGEST, **MEASURED_ONCE, **JUDGED, record=RECORD
)
BETTER = replace(TRAINED, name="alice-00000000", input_hash="0" * 64, digest="sha256:0", scores={"pesq": "4.4"})


# The walk: every leaf of a spec, and the spec with another value there.


def leaves_of(schema: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """Yield the paths of a structural schema's leaves: a.b, a[].b, a.*."""
    if "properties" in schema:
        for name, part in schema["properties"].items():
            yield from leaves_of(part, f"{path}.{name}" if path else name)
    elif "properties" in schema.get("items", {}):
        yield from leaves_of(schema["items"], f"{path}[]")
    elif "additionalProperties" in schema:
        yield from leaves_of(schema["additionalProperties"], f"{path}.*")
    else:
        yield path


def changed(spec: BaseModel, above: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each leaf's path, and a copy of ``spec`` that differs there alone."""
    for name, field in type(spec).model_fields.items():
        path = f"{above}{field.alias}"
        for below, value in variants(getattr(spec, name), field.annotation, path):
            yield below, spec.model_copy(update={name: value})


def variants(value: Any, annotation: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, BaseModel):
        yield from changed(value, f"{path}.")
    elif isinstance(value, tuple) and value and isinstance(value[0], BaseModel):
        for below, item in changed(value[0], f"{path}[]."):
            yield below, (item, *value[1:])
    elif isinstance(value, tuple):
        yield path, (*value, "another")
    elif isinstance(value, dict):
        yield f"{path}.*", {name: f"{text}0" for name, text in value.items()}
    else:
        yield path, another(value, annotation, path)


def another(value: Any, annotation: Any, path: str) -> Any:
    """Return a different value: a valid one where the type has more than one."""
    if path in OTHERS:
        return OTHERS[path]
    if get_origin(annotation) is Literal:
        return next((choice for choice in get_args(annotation) if choice != value), f"not {value}")
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    assert isinstance(value, str), (
        f"{path} is {value!r} in this test's spec: give it a value, so that it can be changed"
    )
    return f"{value}x"


def unread(spec: BaseModel, render: Callable[[Any], Any]) -> set[str]:
    """Return the leaves of ``spec`` whose change leaves all that is rendered as it was."""
    before = render(spec)
    return {path for path, other in changed(spec) if render(other) == before}


# What a spec can change. Sentences for people do not count, nor do hashes: they only name things.
NO_EFFECTS = {"message", "evaluation_hash", "evaluationHash", EVALUATION_HASH}


def effects_of(document: Any) -> Any:
    if isinstance(document, dict):
        return {key: effects_of(value) for key, value in document.items() if key not in NO_EFFECTS}
    if isinstance(document, (list, tuple)):
        return [effects_of(item) for item in document]
    return document


def what_a_voice_changes(folder: Path) -> Callable[[VoiceModelSpec], Any]:
    def render(spec: VoiceModelSpec) -> Any:
        voice = Voice("studio", "alice", "uid", 3, spec, VoiceModelStatus())
        starts = [StartJob(stage, 1) for stage in STAGES]
        rendered = {
            "jobs": [as_the_trainer_reads(job_document(voice, start, HASH, SETTINGS), folder) for start in starts],
            "manifests": [stage_job(voice, start, HASH, SETTINGS) for start in starts],
            "decisions": [decided(observed) for observed in scenes(voice)],
            "servers": servers_found_for(voice),
            "listed": as_the_server_reads(spec),
        }
        return effects_of(rendered)

    return render


def as_the_trainer_reads(document: dict[str, Any], folder: Path) -> Any:
    """A field that the trainer does not know is in the document for nothing."""
    path = folder / "job.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    try:
        return read_job(path).model_dump()
    except UsageError as error:
        return str(error)


def as_the_server_reads(spec: VoiceModelSpec) -> Any:
    """What a server is told of the voice, once a revision is published."""
    metadata = {"namespace": "studio", "name": "alice", "uid": "uid", "generation": 3}
    status = {
        "server": "voice-system/default",
        "artifacts": {"revision": TRAINED.name, "uri": TRAINED.uri, "digest": DIGEST},
        "activeRevision": TRAINED.name,
    }
    record = voice_record({"metadata": metadata, "spec": spec.document(), "status": status}, None)
    base = ResolvedBase(name="tiny", uri="embedded:tiny", digest=DIGEST)
    sealed = SealedRevision("studio/alice", TRAINED.name, HASH, DIGEST, base, DIGEST, "seal")
    found = desired_voices(
        [replace(record, review=Review())],
        "voice-system/default",
        NOW,
        storage="s3://voices",
        sealed=lambda _, __: sealed,
    )
    server = VoiceServer("voice-system", "default", "uid", 1, A_SERVER)
    document = list_document(server, found, configured_base("tiny", SETTINGS), 7, SETTINGS)
    read = parse_desired(json.dumps(document).encode(), source="the list")
    return [voice.model_dump() for voice in read.voices], read.rejected


def decided(observed: Observed) -> Any:
    decision = decide(observed, NOW)
    return [asdict(decision.action), status_of(decision).document()]


def scenes(voice: Voice) -> Iterator[Observed]:
    """What a voice may meet, from its first pass to a second revision."""
    dataset = ObservedDataset(uri="s3://voices/datasets/studio/alice", fingerprint=DIGEST, generation=3)
    new = Observed(voice, dataset=dataset, input_hash=HASH)
    pod = PodVoices("default-1", ready=True, voices={"studio/alice": LoadedVoice(TRAINED.name, DIGEST, "ready")})
    server = ObservedServer("voice-system", "default", "tiny", 1, "http://default.voice-system.svc", (pod,))
    job = ObservedJob("alice-3fa9c2d1-train-1", "train", 1, HASH)
    yield new
    yield replace(new, outputs={"prepare": OUTPUT}, jobs=(job,))
    yield replace(new, revisions=(TRAINED,), server=server)
    yield replace(new, revisions=(TRAINED,), server=None)
    begun = HubCopy(repository="studio/alice", revision=TRAINED.name, digest=DIGEST, state="Copying")
    copying = replace(voice, may_be_copied=True, status=VoiceModelStatus(hub_copy=begun))
    yield replace(new, voice=replace(voice, may_be_copied=True), revisions=(TRAINED,), server=server)
    yield replace(new, voice=copying, revisions=(TRAINED,), server=server)
    served = replace(voice, status=VoiceModelStatus(input_hash="0" * 64, active_revision=BETTER.name))
    yield replace(new, voice=served, revisions=(BETTER, TRAINED), server=server)
    known = VoiceModelStatus(observed_generation=3, last_used=str((NOW - timedelta(days=91)).date()))
    telling = replace(server, pods=(replace(pod, since="2026-01-01T00:00:00Z"),))
    yield replace(new, voice=replace(voice, status=known), revisions=(TRAINED,), server=telling)
    older = [replace(BETTER, name=f"alice-{number:08d}", input_hash=f"{number:064d}") for number in range(1, 9)]
    newest = replace(voice, status=VoiceModelStatus(input_hash=HASH, active_revision=TRAINED.name))
    yield replace(new, voice=newest, revisions=(*older, TRAINED), server=server)
    revoked = voice.spec.model_copy(update={"consent": voice.spec.consent.model_copy(update={"revoked": True})})
    yield replace(new, voice=replace(voice, spec=revoked), revisions=(TRAINED,))
    waiting = replace(job, capacity=voice.spec.compute.capacity, unscheduled_since=NOW - timedelta(minutes=5))
    yield replace(new, outputs={"prepare": OUTPUT}, jobs=(waiting,))
    counts: tuple[tuple[int | None, FailureClass | None, dict[str, int]], ...] = (
        (90, None, {"out_of_memory": 2}),
        (75, None, {"transient": 2}),
        (None, "Preemption", {"preemption": 20}),
    )
    for exit_code, cause, failures in counts:
        before = StageStatus(name="train", state="Running", attempt=3, counted=2, failures=failures)
        known = VoiceModelStatus(input_hash=HASH, stages=(StageStatus(name="prepare", state="Succeeded"), before))
        failed = replace(job, attempt=3, state="Failed", failure=JobFailure("Reason", "", exit_code, cause))
        yield replace(new, voice=replace(voice, status=known), jobs=(failed,))


def servers_found_for(voice: Voice) -> list[str]:
    """Which of some servers the voice finds, each being the only one that there is."""
    found = []
    for namespace, name in (("studio", "default"), ("voice-system", "default"), ("studio", "other")):
        caches = Caches()
        metadata = {"namespace": namespace, "name": name, "uid": "uid", "generation": 1, "resourceVersion": "1"}
        caches.servers.update({"metadata": metadata, "spec": {"base": "tiny"}})
        cluster: Any = SimpleNamespace(caches=caches, settings=SETTINGS)
        found += [f"{namespace}/{name}"] if find_server(cluster, voice) is not None else []
    return found


def what_a_server_changes(spec: VoiceServerSpec) -> Any:
    server = VoiceServer("voice-system", "default", "uid", 1, spec)
    voices = (DesiredVoice("studio/alice", TRAINED.name, TRAINED.uri, DIGEST),)
    document = list_document(server, voices, configured_base(spec.base, SETTINGS), 7, SETTINGS)
    status = server_status(
        server,
        old=None,
        voices=voices,
        pods=(),
        deployment=ObservedDeployment(),
        problem=None,
        generation=7,
        endpoint="http://default.voice-system.svc",
        selector={},
        now=NOW,
    )
    by_replicas = replace(server, spec=spec.model_copy(update={"autoscaling": None}))
    manifests = [
        *(deployment(one, SETTINGS, has_voices=voiced) for one in (server, by_replicas) for voiced in (True, False)),
        autoscaler(server, spec.autoscaling),
        service(server),
        list_config_map(server, document, SETTINGS),
    ]
    admitted = [
        access_problem(
            Voice(namespace, "alice", "uid", 3, A_VOICE, VoiceModelStatus()),
            server.namespace,
            server.name,
            spec,
            servers=None,
            listed=1000,
        )
        for namespace in ("voice-system", "another")
    ]
    return [*manifests, effects_of(status.document()), admitted]


A_VOICE = VoiceModelSpec.model_validate(VOICE)
A_SERVER = VoiceServerSpec.model_validate(SERVER)


@pytest.mark.parametrize("spec", [A_VOICE, A_SERVER], ids=["VoiceModel", "VoiceServer"])
def test_the_walk_meets_every_leaf_that_the_crd_has(spec: BaseModel) -> None:
    met = [path for path, _ in changed(spec)]
    assert sorted(met) == sorted(leaves_of(structural_schema(type(spec))))


def test_every_field_of_a_voice_is_read(tmp_path: Path) -> None:
    painted = unread(A_VOICE, what_a_voice_changes(tmp_path))
    assert painted == set(), "nothing reads these fields of a VoiceModel: read them or have the CRD refuse them"


def test_every_field_of_a_server_is_read() -> None:
    assert unread(A_SERVER, what_a_server_changes) == set()


class TrainingWithOne(Training):
    warmup: int = Field(0, alias="warmup")


class WithPaintedDoors(VoiceModelSpec):
    dialect: str = Field("", alias="dialect")
    training: Training = Field(default_factory=TrainingWithOne)


class ServerWithOne(VoiceServerSpec):
    voices: str = Field("", alias="voices")


def test_a_field_that_nothing_reads_is_found(tmp_path: Path) -> None:
    found = unread(WithPaintedDoors.model_validate(VOICE), what_a_voice_changes(tmp_path))
    assert found == {"dialect", "training.warmup"}, "also one that reaches the job document, unread"
    assert unread(ServerWithOne.model_validate(SERVER), what_a_server_changes) == {"voices"}


@functools.cache
def words_of(package: Any, *, without: tuple[str, ...]) -> set[str]:
    """Return every attribute and text in a package's code: what it can read a field by."""
    (folder,) = map(Path, package.__path__)
    files = [file for file in folder.rglob("*.py") if file.relative_to(folder).as_posix().split("/")[0] not in without]
    nodes = [node for file in files for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))]
    attributes = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    return attributes | {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}


# The trainer uses what it reads, and measures what a gate may name.


@pytest.mark.parametrize("part", ["dataset", "base", "training", "evaluation", "compute"])
def test_the_trainer_uses_every_field_of_its_job_that_comes_from_a_spec(part: str) -> None:
    words = words_of(voice_trainer, without=())
    fields = TrainingJob.model_fields[part].annotation.model_fields  # type: ignore[union-attr]
    only_value = {name for name, field in fields.items() if len(get_args(field.annotation)) == 1}  # parsing reads it
    assert [name for name in fields if name not in words | only_value] == []


def test_every_metric_that_a_gate_may_name_is_measured() -> None:
    assert get_args(Metric) == get_args(BaseMetric) == tuple(METRICS)
    sentence = SentenceScores(
        "x", "x", Errors(0, 1, 0, 1), 0.8, (), 3.0, 1.0, ended=True, repeats=False, longest_pause=0, seconds=1
    )
    clip = ClipScores(pesq=3.9, stoi=0.91)
    measured = mean_scores([clip, clip]) | sentence_estimates([sentence])
    assert measured.keys() == set(METRICS), "evaluate measures what the gates promise"


def test_operator_and_trainer_agree_on_what_is_better_and_what_is_recognised() -> None:
    for better, names in (("higher", MORE_IS_BETTER), ("lower", LESS_IS_BETTER), ("near one", (BOTH_BOUNDS,))):
        assert set(names) == {name for name, metric in METRICS.items() if metric.better == better}
    assert set(RECOGNISED) == set(BUILT_IN)
    assert set(NEED_RECOGNISER) == {name for name, metric in METRICS.items() if metric.recognised}


# A VoiceRevision is a record that the operator writes: each of its fields is filled in.


def everything_changed(spec: Any) -> Any:
    for path, _ in list(changed(spec)):
        spec = next(other for below, other in changed(spec) if below == path)
    return spec


def a_record(spec: VoiceModelSpec, mark: str) -> dict[str, Any]:
    bases = {spec.base: {"uri": f"s3://bases/{mark}", "digest": "sha256:" + mark * 64}}
    settings = Settings.model_validate(
        {
            "images": {"trainer": f"trainer:{mark}", "inference": "inference:1"},
            "bases": bases,
            "defaultBase": spec.base,
            "storage": {"uri": f"s3://voices-{mark}"},
        }
    )
    dataset = ObservedDataset(uri=f"s3://{mark}", digest="sha256:" + mark * 64, fingerprint="sha256:1" + mark * 63)
    about = {
        "metric": f"pesq{mark}",
        "min": f"1.{mark}",
        "max": f"2.{mark}",
        "value": mark,
        "verdict": f"verdict{mark}",
    }
    gates = (GateVerdict.model_validate(about | {"passed": mark == "1"}),)
    published = StageOutput("", "", uri=f"s3://voices/{mark}", digest="sha256:" + mark * 64, size=int(mark))
    scores = {"pesq": f"3.{mark}"}
    evaluated = StageOutput("", "", scores=scores, intervals=scores, gates=gates)
    voice = Voice("studio", f"voice-{mark}", "uid", 1, spec, VoiceModelStatus(), requester=f"user-{mark}")
    voice = replace(voice, recogniser="sha256:2" + mark * 63)
    proof = Proof("train" if mark == "1" else "publish", f"job-{mark}", int(mark), f"sha256:{mark * 64}")
    effect = CreateRevision(f"voice-{mark}-{mark * 8}", published, evaluated, (proof,))
    made: dict[str, Any] = voice_revision(voice, effect, mark * 64, dataset, settings)["spec"]
    return made


def values_of(document: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(document, dict):
        for name, value in document.items():
            # Only scores and their intervals are maps in a revision.
            is_map = path.endswith(("scores", "intervals"))
            yield from values_of(value, f"{path}.*" if is_map else f"{path}.{name}" if path else name)
    elif isinstance(document, (list, tuple)) and document and isinstance(document[0], dict):
        yield from values_of(document[0], f"{path}[]")
    else:
        yield path, document


def test_every_field_of_a_revision_is_filled_in(monkeypatch: pytest.MonkeyPatch) -> None:
    one = dict(values_of(a_record(A_VOICE, "1")))
    monkeypatch.setattr(algorithm, "TRAINING", 2)
    monkeypatch.setattr(algorithm, "EVALUATION", 2)
    monkeypatch.setattr(algorithm, "TEXT", dict.fromkeys(algorithm.TEXT, 9))
    other = dict(values_of(a_record(everything_changed(A_VOICE), "2")))
    constant = {path for path in leaves_of(structural_schema(VoiceRevisionSpec)) if one.get(path) == other.get(path)}
    assert constant == set(), "nothing fills in these fields of a VoiceRevision"

"""The policy as a table: what was observed on the left, what happens next on the right."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest
from tests.operator.reconcile.scenes import DIGEST, HASH, a_voice

from voice_operator.api.evaluation import Gate
from voice_operator.api.voice_status import (
    ClipFinding,
    FailureClass,
    Failures,
    GateVerdict,
    ObservedDataset,
    PreparedRecordings,
    StageStatus,
    Tombstone,
    VoiceModelStatus,
)
from voice_operator.reconcile.alerts import due_alerts
from voice_operator.reconcile.decide import CHECKS, Decision, decide
from voice_operator.reconcile.effects import (
    ActivateWorkload,
    AdoptRevision,
    CreateRevision,
    DeleteJob,
    DeleteRevision,
    SealRevision,
    SetRevisionState,
    StartJob,
    SuspendJob,
)
from voice_operator.reconcile.events import events_between
from voice_operator.reconcile.hashing import evaluation_hash
from voice_operator.reconcile.observed import (
    JobFailure,
    JobPolicy,
    LoadedVoice,
    Observed,
    ObservedJob,
    ObservedRevision,
    ObservedServer,
    ObservedWorkload,
    PodVoices,
    Problem,
    Proof,
    StageFolder,
    StageOutput,
    Voice,
)
from voice_operator.reconcile.status import status_of

NOW = datetime(2026, 11, 23, 6, 7, tzinfo=UTC)
DONE = StageOutput(started_at="2026-11-23T06:00:00Z", completed_at="2026-11-23T06:01:00Z")
PASSED = replace(DONE, scores={"pesq": "3.9"})
MISSED = replace(
    DONE,
    passed=False,
    gates=(GateVerdict(metric="pesq", min="3.5", value="1.2", passed=False),),
    scores={"pesq": "1.2"},
)
PUBLISHED = replace(DONE, uri="s3://voices/studio/alice/revisions/alice-3fa9c2d1", digest=DIGEST, size=5)
REVISION = ObservedRevision("alice-3fa9c2d1", HASH, "tiny", PUBLISHED.uri, DIGEST, scores={"pesq": "3.9"})
OLDER = ObservedRevision("alice-00000000", "0" * 64, "tiny", "s3://voices/old", "sha256:" + "c" * 64, state="Active")
PREPARED = {"prepare": DONE}
TRAINED = PREPARED | {"train": DONE}


def observe(voice: Voice | None = None, **found: Any) -> Observed:
    dataset = ObservedDataset(uri="s3://voices/alice", fingerprint=DIGEST, generation=3)
    voice = voice or a_voice()
    server = found.get("server")
    serving = server if server is not None and server.id == voice.status.server else None
    known = {"voice": voice, "dataset": dataset, "input_hash": HASH, "serving_server": serving}
    return Observed(**(known | found))


def job(stage: str = "prepare", attempt: int = 1, **about: Any) -> ObservedJob:
    name = f"alice-3fa9c2d1-{stage}-{attempt}"
    return ObservedJob(**({"name": name, "stage": stage, "attempt": attempt, "input_hash": HASH} | about))


def failed(exit_code: int, stage: str = "prepare", attempt: int = 1) -> ObservedJob:
    return job(stage, attempt, state="Failed", failure=JobFailure("SomeReason", "some message", exit_code))


def lost(cause: FailureClass, stage: str = "prepare", attempt: int = 1) -> ObservedJob:
    """A Job whose pod Kubernetes ended."""
    return job(stage, attempt, state="Failed", failure=JobFailure(cause, "some message", cause=cause))


def a_server(*pods: PodVoices, base: str = "tiny", replicas: int = 1) -> ObservedServer:
    return ObservedServer("voice-system", "default", base, replicas, "http://default.voice-system.svc", pods)


def a_pod(name: str, digest: str = DIGEST, state: str = "ready", *, ready: bool = True, error: str = "") -> PodVoices:
    return PodVoices(name, ready, {"studio/alice": LoadedVoice("alice-3fa9c2d1", digest, state, error)})


def recorded(**changes: Any) -> VoiceModelStatus:
    serving = {"server": "voice-system/default"} if "active_revision" in changes else {}
    return VoiceModelStatus(**({"input_hash": HASH} | serving | changes))


@pytest.mark.parametrize(
    ("observed", "phase", "reason", "effects"),
    [
        pytest.param(
            observe(), "Preparing", "Preparing", [StartJob("prepare", 1)], id="a new voice starts at the first stage"
        ),
        pytest.param(observe(jobs=(job(),)), "Preparing", "Preparing", [], id="one Job at a time"),
        pytest.param(
            observe(jobs=(job(waiting=Problem("SecretNotFound", "secret s3 not found")),)),
            "Preparing",
            "SecretNotFound",
            [],
            id="a Job that cannot start says why",
        ),
        pytest.param(
            observe(outputs=PREPARED), "Training", "Training", [StartJob("train", 1)], id="training follows preparation"
        ),
        pytest.param(
            observe(outputs=PREPARED, jobs=(job(state="Succeeded"),)),
            "Training",
            "Training",
            [StartJob("train", 1)],
            id="a finished Job of the stage before is in nobody's way",
        ),
        pytest.param(
            observe(outputs=TRAINED),
            "Evaluating",
            "Evaluating",
            [StartJob("evaluate", 1)],
            id="evaluation follows training",
        ),
        pytest.param(
            observe(outputs=TRAINED | {"evaluate": PASSED}),
            "Evaluating",
            "Evaluating",
            [StartJob("evaluate", 1)],
            id="passed but unpublished is not finished",
        ),
        pytest.param(
            observe(outputs=TRAINED | {"evaluate": PASSED, "publish": PUBLISHED}),
            "Loading",
            "Published",
            [CreateRevision("alice-3fa9c2d1", PUBLISHED, PASSED)],
            id="a published voice becomes a revision",
        ),
        pytest.param(
            observe(outputs=TRAINED | {"evaluate": MISSED}), "Failed", "GatesFailed", [], id="a missed gate ends it"
        ),
        pytest.param(observe(jobs=(failed(65),)), "Failed", "SomeReason", [], id="bad data is final"),
        pytest.param(observe(jobs=(failed(64),)), "Failed", "SomeReason", [], id="wrong usage is final"),
        pytest.param(observe(jobs=(failed(78),)), "Failed", "SomeReason", [], id="a refused consent is final"),
        pytest.param(
            observe(jobs=(failed(75),)),
            "Preparing",
            "Retrying",
            [],
            id="a transient fault waits before it is tried again",
        ),
        pytest.param(
            observe(jobs=(failed(137),)),
            "Preparing",
            "Retrying",
            [],
            id="137 may be a lost node and is never final at once",
        ),
        pytest.param(
            observe(jobs=(failed(90, "train"),), outputs=PREPARED),
            "Training",
            "Training",
            [StartJob("train", 2, 2)],
            id="full GPU memory halves the batch at once",
        ),
        pytest.param(
            observe(jobs=(failed(90, "train"), failed(90, "train", 2)), outputs=PREPARED),
            "Training",
            "Training",
            [StartJob("train", 3, 4)],
            id="and again",
        ),
        pytest.param(
            observe(jobs=tuple(failed(90, "train", n) for n in (1, 2, 3)), outputs=PREPARED),
            "Failed",
            "SomeReason",
            [],
            id="until the budget is used up",
        ),
        pytest.param(
            observe(jobs=tuple(failed(75, "prepare", n) for n in (1, 2, 3))),
            "Failed",
            "SomeReason",
            [],
            id="so are transient faults",
        ),
        pytest.param(
            observe(jobs=(lost("DeadlineExceeded"),)),
            "Failed",
            "DeadlineExceeded",
            [],
            id="a deadline is final",
        ),
        pytest.param(
            observe(jobs=(lost("Preemption"),)), "Preparing", "Retrying", [], id="a lost node costs one more attempt"
        ),
        pytest.param(
            observe(a_voice(retries={"preemption": 0}), jobs=(lost("Preemption"),)),
            "Failed",
            "Preemption",
            [],
            id="as many as the spec grants",
        ),
        pytest.param(
            observe(jobs=(lost("OutOfHostMemory", "train"),), outputs=PREPARED),
            "Training",
            "Training",
            [StartJob("train", 2, memory_factor=Fraction(3, 2))],
            id="full host memory is raised by half at once",
        ),
        pytest.param(
            observe(
                jobs=tuple(lost("OutOfHostMemory", "train", n) for n in (1, 2)),
                outputs=PREPARED,
                job_policies={"train": JobPolicy(max_memory_factor=Fraction(2))},
            ),
            "Training",
            "Training",
            [StartJob("train", 3, memory_factor=Fraction(2))],
            id="up to what the installation allows",
        ),
        pytest.param(
            observe(
                jobs=(lost("OutOfHostMemory", "train"),),
                outputs=PREPARED,
                job_policies={"train": JobPolicy(max_memory_factor=Fraction(1))},
            ),
            "Failed",
            "OutOfHostMemory",
            [],
            id="and with less than that it is final",
        ),
        pytest.param(
            observe(
                a_voice(recorded(stages=(StageStatus(name="prepare", state="Pending", attempt=1, counted=1),))),
                jobs=(job(),),
            ),
            "Preparing",
            "JobReplaced",
            [DeleteJob("alice-3fa9c2d1-prepare-1")],
            id="an attempt that was given up is deleted",
        ),
        pytest.param(
            observe(jobs=(job(state="Deleting", deleting_since=NOW - timedelta(seconds=59)),)),
            "Preparing",
            "JobReplaced",
            [],
            id="a Job on its way out is awaited",
        ),
        pytest.param(
            observe(jobs=(job(state="Deleting", deleting_since=NOW - timedelta(seconds=60)),)),
            "Preparing",
            "JobDeleting",
            [],
            id="and told when it takes a minute",
        ),
        pytest.param(
            observe(jobs=(job(input_hash="0" * 64, name="old", state="Deleting", deleting_since=NOW),)),
            "Preparing",
            "JobReplaced",
            [],
            id="also one of an earlier input, and it is not deleted again",
        ),
        pytest.param(
            observe(jobs=(job(state="Succeeded"),)),
            "Preparing",
            "Retrying",
            [],
            id="success without a result is a fault",
        ),
        pytest.param(
            observe(a_voice(recorded(stages=(StageStatus(name="prepare", state="Running", attempt=1),)))),
            "Preparing",
            "Retrying",
            [],
            id="a Job that vanished is a fault",
        ),
        pytest.param(
            observe(a_voice(recorded(stages=(StageStatus(name="prepare", state="Succeeded", attempt=1),)))),
            "Training",
            "Training",
            [StartJob("train", 1)],
            id="a recorded outcome outlives its Job and its manifest",
        ),
        pytest.param(
            observe(jobs=(job(input_hash="0" * 64, name="old"),)),
            "Preparing",
            "InputChanged",
            [DeleteJob("old")],
            id="a Job of an earlier input goes first",
        ),
        pytest.param(
            observe(
                a_voice(consent={"holder": "A", "statement": "s", "revoked": True}),
                jobs=(job(), job("train", state="Succeeded")),
            ),
            "Failed",
            "ConsentRevoked",
            [DeleteJob("alice-3fa9c2d1-prepare-1")],
            id="a revoked consent stops what runs",
        ),
        pytest.param(
            observe(a_voice(consent={"holder": "A", "statement": "s", "expires": "2026-11-22"})),
            "Failed",
            "ConsentExpired",
            [],
            id="a consent that expired yesterday trains nothing",
        ),
        pytest.param(
            observe(a_voice(consent={"holder": "A", "statement": "s", "expires": "2026-11-23"})),
            "Preparing",
            "Preparing",
            [StartJob("prepare", 1)],
            id="the last day still counts",
        ),
        pytest.param(
            observe(a_voice(consent={"holder": " ", "statement": "s"})),
            "Failed",
            "ConsentMissing",
            [],
            id="a nameless consent is none",
        ),
        pytest.param(observe(a_voice(suspend=True)), "Suspended", "Suspended", [], id="suspended starts nothing"),
        pytest.param(
            observe(a_voice(suspend=True), jobs=(job(),)),
            "Suspended",
            "Suspended",
            [SuspendJob("alice-3fa9c2d1-prepare-1", suspend=True)],
            id="suspended pauses what runs",
        ),
        pytest.param(
            observe(a_voice(suspend=True), jobs=(job(queued=True),)),
            "Suspended",
            "Suspended",
            [],
            id="a queue's Job is left to its queue",
        ),
        pytest.param(
            observe(a_voice(suspend=True), jobs=(job(queued=True, workload=ObservedWorkload("w")),)),
            "Suspended",
            "Suspended",
            [ActivateWorkload("w", active=False)],
            id="Kueue suspends the Job of a suspended voice",
        ),
        pytest.param(
            observe(a_voice(suspend=True), jobs=(job(workload=ObservedWorkload("w", active=False)),)),
            "Suspended",
            "Suspended",
            [],
            id="and is told so once",
        ),
        pytest.param(
            observe(jobs=(job(suspended=True, workload=ObservedWorkload("w", active=False, held=True)),)),
            "Preparing",
            "Preparing",
            [ActivateWorkload("w", active=True)],
            id="and queues it again",
        ),
        pytest.param(
            observe(jobs=(job(suspended=True, held=True, workload=ObservedWorkload("w", active=False)),)),
            "Preparing",
            "Preparing",
            [],
            id="what somebody else made inactive is left alone",
        ),
        pytest.param(
            observe(jobs=(job(suspended=True),)),
            "Preparing",
            "Preparing",
            [],
            id="what somebody else suspended is left alone",
        ),
        pytest.param(
            observe(jobs=(job(suspended=True, held=True, queued=True),)),
            "Preparing",
            "Preparing",
            [],
            id="and what a queue suspended",
        ),
        pytest.param(
            observe(jobs=(job(suspended=True, held=True),)),
            "Preparing",
            "Preparing",
            [SuspendJob("alice-3fa9c2d1-prepare-1", suspend=False)],
            id="resuming lets the same Job go on",
        ),
        pytest.param(
            observe(base_known=False, known_bases=("tiny", "v2Pro"), complete=False),
            "Failed",
            "BaseNotFound",
            [],
            id="a base must be known",
        ),
        pytest.param(
            observe(dataset_problem=Problem("DatasetNotFound", "nothing there"), complete=False),
            "Preparing",
            "DatasetNotFound",
            [],
            id="recordings may be on their way",
        ),
        pytest.param(
            observe(revisions=(replace(REVISION, deleting=True),)),
            "Preparing",
            "RevisionDeleting",
            [],
            id="a revision on its way out is awaited",
        ),
        pytest.param(
            observe(a_voice(review={"required": True}), revisions=(replace(REVISION, state="Candidate"),)),
            "AwaitingReview",
            "AwaitingReview",
            [SetRevisionState("alice-3fa9c2d1", "Candidate", False, review="Waiting", approvals="0/1")],
            id="what needs approval is not served",
        ),
        pytest.param(
            observe(a_voice(serving={"pin": "alice-99999999"})),
            "Failed",
            "PinNotFound",
            [],
            id="a pin must name a revision",
        ),
    ],
)
def test_decide(observed: Observed, phase: str, reason: str, effects: list[Any]) -> None:
    action = decide(observed, NOW).action
    assert (action.phase, action.reason, list(action.effects)) == (phase, reason, effects)


@pytest.mark.parametrize(
    ("server", "status", "phase", "reason"),
    [
        pytest.param(None, recorded(), "Loading", "ServerNotFound", id="without a server"),
        pytest.param(a_server(replicas=0), recorded(), "Loading", "ScaledToZero", id="with a server of no pods"),
        pytest.param(
            a_server(a_pod("p1", ready=False)), recorded(), "Loading", "ServerNotReady", id="with no ready pod"
        ),
        pytest.param(a_server(base="v2Pro"), recorded(), "Failed", "BaseMismatch", id="with a server of another base"),
        pytest.param(
            a_server(PodVoices("p1", ready=True)), recorded(), "Loading", "Loading", id="before a pod knows the voice"
        ),
        pytest.param(
            a_server(a_pod("p1", "sha256:other")),
            recorded(),
            "Loading",
            "Loading",
            id="while the name is right and the digest is not",
        ),
        pytest.param(
            a_server(a_pod("p1", state="loading")), recorded(), "Loading", "Loading", id="while it is loading"
        ),
        pytest.param(
            a_server(a_pod("p1", state="failed", error="bad")),
            recorded(),
            "Loading",
            "LoadFailed",
            id="when a pod cannot load it",
        ),
        pytest.param(
            a_server(a_pod("p1"), PodVoices("p2", ready=True)),
            recorded(),
            "Loading",
            "Loading",
            id="until all ready pods have it",
        ),
        pytest.param(
            a_server(a_pod("p1"), a_pod("p2", ready=False)),
            recorded(),
            "Ready",
            "Serving",
            id="not counting pods that start",
        ),
        pytest.param(
            a_server(a_pod("p1"), PodVoices("p2", ready=True)),
            recorded(active_revision="alice-3fa9c2d1"),
            "Ready",
            "Serving",
            id="and stays Ready when a pod is added",
        ),
    ],
)
def test_a_finished_voice_is(server: ObservedServer | None, status: VoiceModelStatus, phase: str, reason: str) -> None:
    action = decide(observe(a_voice(status), revisions=(REVISION,), server=server), NOW).action
    assert (action.phase, action.reason) == (phase, reason)


def settle(observed: Observed) -> tuple[Decision, VoiceModelStatus]:
    decision = decide(observed, NOW)
    return decision, status_of(decision)


def test_a_voice_that_nobody_uses_is_unloaded_then_erased_and_trained_again_when_somebody_asks() -> None:
    """Pass by pass: nothing is deleted before the status says why, nor while it is served."""
    telling = replace(a_pod("p1"), since="2026-01-01T00:00:00Z")
    status = recorded(active_revision=REVISION.name, last_used="2026-08-24", observed_generation=3)  # 91 days ago
    served = replace(REVISION, state="Active")
    decision, status = settle(observe(a_voice(status), revisions=(served,), server=a_server(telling)))
    assert (status.phase, status.artifacts, status.server) == ("Unused", None, None)
    assert [one.erase for one in status.inputs] == ["Unused"]
    assert decision.action.effects == (SetRevisionState(REVISION.name, "Candidate", legal_hold=False),)
    retained = next(one for one in status.conditions if one.type == "Retained")
    assert (retained.status, retained.reason) == ("False", "Unused")
    assert [event.reason for event in events_between(VoiceModelStatus(), status)][-1] == "Unused"

    unloaded = replace(REVISION, state="Candidate")
    decision, status = settle(observe(a_voice(status), revisions=(unloaded,)))
    assert decision.action.effects == (DeleteRevision(REVISION.name),)

    decision, status = settle(observe(a_voice(status)))
    assert (decision.action.phase, decision.action.effects) == ("Unused", ()), "nothing is trained for nobody"
    stone = Tombstone(revision=REVISION.name, input_hash=HASH, why="Unused", time="2026-11-23T06:00:00Z", objects=9)
    decision, status = settle(observe(a_voice(status), erased={HASH: stone}))
    assert (status.inputs, status.erased) == ((), (stone,))

    decision, status = settle(observe(a_voice(status, request="now")))
    assert decision.action.effects == (StartJob("prepare", 1),)
    assert (status.last_used, status.erased) == ("2026-11-23", (stone,))


def test_people_are_told_a_week_before_a_voice_goes() -> None:
    telling = replace(a_pod("p1"), since="2026-01-01T00:00:00Z")
    status = recorded(active_revision=REVISION.name, last_used="2026-08-31", observed_generation=3)
    active = replace(REVISION, state="Active")
    _, status = settle(observe(a_voice(status), revisions=(active,), server=a_server(telling)))
    assert status.phase == "Ready"
    retained = next(one for one in status.conditions if one.type == "Retained")
    assert (retained.status, retained.reason) == ("True", "UnusedSoon")
    assert "on 2026-11-30 it is unloaded" in retained.message
    assert "UnusedSoon" in {event.reason for event in events_between(VoiceModelStatus(), status)}
    assert "UnusedSoon" in {alert.kind for alert in due_alerts(a_voice(status), status, NOW, expiry_days=14)}


def test_the_oldest_of_too_many_revisions_goes_pass_by_pass() -> None:
    old = [replace(OLDER, name=f"alice-{n:08d}", input_hash=f"{n:064d}", state="Superseded") for n in range(5)]
    active = replace(REVISION, state="Active")
    found = {"revisions": (*old, active), "server": a_server(a_pod("p1"))}
    status = recorded(active_revision=REVISION.name)
    decision, status = settle(observe(a_voice(status), **found))
    assert decision.action.effects == ()
    assert {one.hash for one in status.inputs if one.erase} == {old[0].input_hash}
    decision, status = settle(observe(a_voice(status), **found))
    assert decision.action.effects == (DeleteRevision(old[0].name),)
    assert status.phase == "Ready"


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"adoptable": True}, id="the restore of a backup gave it another owner"),
        pytest.param({"labelled": False}, id="somebody removed its label"),
    ],
)
def test_a_served_revision_is_adopted_and_served_on_where(change: dict[str, bool]) -> None:
    revision = replace(REVISION, state="Active", **change)
    voice = a_voice(recorded(active_revision=REVISION.name))
    decision, status = settle(observe(voice, revisions=(revision,), server=a_server(a_pod("p1"))))
    assert decision.action.effects == (AdoptRevision(REVISION.name),)
    assert decision.action.phase == "Ready", "nobody need know"
    assert (status.artifacts, status.server) == (REVISION.artifacts, "voice-system/default")


def test_a_revision_that_is_being_deleted_is_not_adopted() -> None:
    revision = replace(REVISION, deleting=True, labelled=False)
    action = decide(observe(revisions=(revision,)), NOW).action
    assert (action.reason, action.effects) == ("RevisionDeleting", ())


def test_the_status_of_the_same_observation_is_the_same() -> None:
    observed = observe(revisions=(REVISION,), server=a_server(a_pod("p1")))
    _, first = settle(observed)
    later = decide(observe(a_voice(first), revisions=(REVISION,), server=a_server(a_pod("p1"))), NOW.replace(hour=9))
    assert status_of(later) == first
    assert not events_between(first, first)


def test_what_was_found_in_the_recordings_is_shown_as_long_as_they_are_the_input() -> None:
    found = PreparedRecordings(clips=30, rejected=2, findings=(ClipFinding(clip="a1", reason="WrongText"),))
    _, first = settle(observe(outputs={"prepare": replace(DONE, recordings=found)}))
    assert first.recordings == found
    _, again = settle(observe(a_voice(first)))
    assert again.recordings == found, "a manifest that is recorded is not read again"
    _, other = settle(observe(a_voice(first), input_hash="0" * 64))
    assert other.recordings is None


def test_a_served_voice_is_ready_in_every_respect() -> None:
    outputs = TRAINED | {"evaluate": PASSED, "publish": PUBLISHED}
    _, status = settle(observe(revisions=(REVISION,), server=a_server(a_pod("p1")), outputs=outputs))
    truths = {condition.type: condition.status for condition in status.conditions}
    good = (
        "Ready",
        "ConsentValid",
        "Allowed",
        "Prepared",
        "Trained",
        "Evaluated",
        "GatesPassed",
        "Approved",
        "Serving",
        "Retained",
    )
    assert truths == dict.fromkeys(good, "True") | {"Reconciling": "False", "Stalled": "False"}
    assert (status.active_revision, status.candidate_revision) == ("alice-3fa9c2d1", None)
    assert status.endpoint == "http://default.voice-system.svc"
    assert all(condition.observed_generation == 3 for condition in status.conditions)


def test_an_earlier_revision_is_served_until_the_new_one_is_loaded() -> None:
    old = recorded(active_revision=OLDER.name)
    _, status = settle(observe(a_voice(old), revisions=(OLDER, REVISION), server=a_server(PodVoices("p1", ready=True))))
    assert (status.active_revision, status.candidate_revision) == (OLDER.name, REVISION.name)
    assert status.artifacts is not None
    assert status.artifacts.revision == OLDER.name, "the server is told to serve the old one"
    assert status.loading is not None
    assert status.loading.artifacts.revision == REVISION.name, "and to load the new one beside it"
    decision, status = settle(observe(a_voice(status), revisions=(OLDER, REVISION), server=a_server(a_pod("p1"))))
    assert (status.active_revision, status.previous_revision) == (REVISION.name, OLDER.name)
    assert (status.artifacts, status.loading) == (REVISION.artifacts, None)
    assert SetRevisionState(OLDER.name, "Superseded", legal_hold=False) in decision.action.effects


@pytest.mark.parametrize(
    ("digest", "truth"),
    [
        pytest.param(OLDER.digest, "True", id="while the old one is served"),
        pytest.param("sha256:other", "False", id="not when neither is"),
    ],
)
def test_a_voice_serves_during_a_swap(digest: str, truth: str) -> None:
    old = recorded(active_revision=OLDER.name)
    observed = observe(a_voice(old), revisions=(OLDER, REVISION), server=a_server(a_pod("p1", digest)))
    _, status = settle(observed)
    assert {c.type: c.status for c in status.conditions}["Serving"] == truth


def test_training_again_leaves_the_active_revision_served() -> None:
    old = recorded(active_revision=OLDER.name)
    decision, status = settle(observe(a_voice(old), revisions=(OLDER,), server=a_server(a_pod("p1", OLDER.digest))))
    assert StartJob("prepare", 1) in decision.action.effects
    assert status.active_revision == OLDER.name
    assert {c.type: c.status for c in status.conditions}["Serving"] == "True"


def test_a_lost_consent_takes_the_voice_off_the_server() -> None:
    old = recorded(active_revision=REVISION.name)
    voice = a_voice(old, consent={"holder": "A", "statement": "s", "revoked": True})
    _, status = settle(observe(voice, revisions=(REVISION,), server=a_server(a_pod("p1"))))
    assert status.artifacts is None
    assert (status.active_revision, status.previous_revision) == (None, REVISION.name)
    assert {event.reason for event in events_between(old, status)} == {"ConsentRevoked", "Unloaded"}


def test_a_job_that_the_operator_took_away_is_no_failure() -> None:
    running = recorded(stages=(StageStatus(name="prepare", state="Running", attempt=1, job=job().name),))
    voice = a_voice(running, consent={"holder": "A", "statement": "s", "expires": "2020-01-01"})
    _, status = settle(observe(voice, jobs=(job(),)))
    decision, status = settle(observe(a_voice(status)))
    assert decision.action.effects == (StartJob("prepare", 2),)
    assert status.stages[0].failures.transient == 0


def test_a_failure_is_counted_once() -> None:
    observed = observe(jobs=(failed(75),))
    _, first = settle(observed)
    _, second = settle(observe(a_voice(first), jobs=(failed(75),)))
    assert first.stages[0].failures.transient == second.stages[0].failures.transient == 1


def test_a_request_forgives_failures_but_repeats_no_name() -> None:
    _, status = settle(observe(jobs=(failed(65),)))
    decision = decide(observe(a_voice(status, request="2026-11-23"), jobs=(failed(65),)), NOW)
    assert decision.action.effects == (StartJob("prepare", 2),)
    assert status_of(decision).last_handled_request == "2026-11-23"


def test_a_larger_budget_revives_a_voice_that_ran_out_of_attempts() -> None:
    jobs = tuple(failed(75, "prepare", n) for n in (1, 2, 3))
    _, status = settle(observe(jobs=jobs))
    decision = decide(observe(a_voice(status, retries={"transient": 5}), jobs=jobs), NOW.replace(hour=8))
    assert decision.action.effects == (StartJob("prepare", 4),)


def later(status: VoiceModelStatus, seconds: float, *jobs: ObservedJob, **found: Any) -> Decision:
    return decide(observe(a_voice(status), jobs=jobs, **found), NOW + timedelta(seconds=seconds))


def test_a_final_failure_is_tried_again_by_itself_ever_more_slowly() -> None:
    decision, status = settle(observe(jobs=(failed(78),)))
    action = decision.action
    assert (action.phase, action.stalled, action.requeue_after) == ("Failed", True, 600)
    assert action.message == "prepare: some message; tried again at 2026-11-23T06:17:00Z"
    assert later(status, 599, failed(78)).action.reason == "SomeReason"
    again = later(status, 600, failed(78))
    assert again.action.effects == (StartJob("prepare", 2),)
    jobs = (failed(78), failed(78, attempt=2))
    second = later(status_of(again), 600, *jobs)
    assert status_of(second).stages[0].failures == Failures(final=2)
    assert second.action.requeue_after == 1200


def test_wrong_usage_waits_for_a_person() -> None:
    decision, status = settle(observe(jobs=(failed(64),)))
    assert (decision.action.requeue_after, decision.action.message) == (None, "prepare: some message")
    assert later(status, 86400 * 7, failed(64)).action.reason == "SomeReason"


@pytest.mark.parametrize("exit_code", [64, 78])
def test_an_edit_of_the_spec_starts_a_failed_stage_afresh(exit_code: int) -> None:
    jobs = (failed(exit_code),)
    _, status = settle(observe(jobs=jobs))
    edited = replace(a_voice(status), generation=4)
    relisted = ObservedDataset(uri="s3://voices/alice", fingerprint=DIGEST, generation=4)
    unreachable = observe(edited, jobs=jobs, dataset=status.dataset, complete=False)
    unreachable = replace(unreachable, dataset_problem=Problem("DatasetUnreachable", "no answer"))
    _, status = settle(unreachable)
    decision, status = settle(observe(replace(edited, status=status), jobs=jobs, dataset=relisted))
    assert decision.action.effects == (StartJob("prepare", 2),), "also when the store was away at that moment"
    assert status.stages[0].failures == Failures()


def test_a_request_is_kept_until_it_can_be_acted_upon() -> None:
    _, status = settle(observe(jobs=(failed(64),)))
    asked = a_voice(status, request="1")
    blocked = observe(asked, jobs=(failed(64),), complete=False, base_known=False)
    _, status = settle(blocked)
    assert status.last_handled_request is None
    decision, status = settle(observe(replace(asked, status=status), jobs=(failed(64),)))
    assert decision.action.effects == (StartJob("prepare", 2),)
    assert status.last_handled_request == "1"
    _, status = settle(observe(a_voice(status), jobs=(failed(64), failed(64, attempt=2))))
    assert status.stages[0].state == "Failed", "taking the annotation away asks for nothing"


def test_a_request_does_not_wait_for_the_pause_between_attempts() -> None:
    _, status = settle(observe(jobs=(failed(75),)))
    assert decide(observe(a_voice(status, request="1"), jobs=(failed(75),)), NOW).action.effects == (
        StartJob("prepare", 2),
    )


WAITS = Problem("WaitingForNode", "0/3 nodes are available")
SPOT = {"state": "Running", "capacity": "SpotThenOnDemand", "waiting": WAITS}


def waiting(seconds: float, **about: Any) -> ObservedJob:
    """A train Job whose pod has waited for a node for so long."""
    return job("train", unscheduled_since=NOW - timedelta(seconds=seconds), **SPOT | about)


def test_spot_nodes_that_do_not_come_are_given_up() -> None:
    decision, status = settle(observe(jobs=(waiting(590),), outputs=PREPARED))
    assert (decision.action.reason, decision.action.requeue_after) == ("WaitingForNode", 10), "just in time"
    decision, status = settle(observe(a_voice(status), jobs=(waiting(600),), outputs=PREPARED))
    assert decision.action.reason == "SpotGivenUp"
    assert decision.action.effects == (), "the status says why before the Job goes"
    assert "SpotGivenUp" in {event.reason for event in events_between(VoiceModelStatus(input_hash=HASH), status)}
    decision, status = settle(observe(a_voice(status), jobs=(waiting(601),), outputs=PREPARED))
    assert decision.action.effects == (DeleteJob("alice-3fa9c2d1-train-1"),)
    going = waiting(602, state="Deleting", deleting_since=NOW)
    decision, status = settle(observe(a_voice(status), jobs=(going,), outputs=PREPARED))
    assert decision.action.effects == ()
    decision, status = settle(observe(a_voice(status), outputs=PREPARED))
    assert decision.action.effects == (StartJob("train", 2, on_demand_only=True),)
    on_demand = job("train", 2, capacity="OnDemand", unscheduled_since=NOW - timedelta(hours=5), waiting=WAITS)
    decision, status = settle(observe(a_voice(status), jobs=(on_demand,), outputs=PREPARED))
    assert decision.action.message == "alice-3fa9c2d1-train-2 (on-demand nodes): 0/3 nodes are available"
    train = status.stages[1]
    assert (train.state, train.capacity, train.on_demand_only) == ("Running", "OnDemand", True)
    assert train.failures == Failures()
    assert train.last_failure is None


def test_half_the_preemptions_are_enough_of_spot_nodes() -> None:
    def jobs(count: int) -> tuple[ObservedJob, ...]:
        return tuple(replace(lost("Preemption", "train", n), capacity="SpotThenOnDemand") for n in range(1, count + 1))

    voice = a_voice(retries={"preemption": 4})
    one, two = (settle(observe(voice, jobs=jobs(count), outputs=PREPARED))[1].stages[1] for count in (1, 2))
    assert (one.on_demand_only, two.on_demand_only) == (False, True)
    assert two.failures == Failures(preemption=2)


@pytest.mark.parametrize("capacity", ["Spot", "OnDemand", None])
def test_only_who_may_fall_back_does(capacity: str | None) -> None:
    compute = {"capacity": capacity} if capacity else {"gpus": 0}
    observed = observe(a_voice(compute=compute), jobs=(waiting(86400, capacity=capacity),), outputs=PREPARED)
    assert decide(observed, NOW).action.reason == "WaitingForNode"


def test_a_scheduling_timeout_ends_the_attempt_with_the_schedulers_words() -> None:
    voice = a_voice(compute={"capacity": "OnDemand", "schedulingTimeout": "1h"})
    job_of = {"capacity": "OnDemand"}
    decision, _ = settle(observe(voice, jobs=(waiting(3590, **job_of),), outputs=PREPARED))
    assert decision.action.requeue_after == 10
    decision, status = settle(observe(voice, jobs=(waiting(3600, **job_of),), outputs=PREPARED))
    assert decision.action.phase == "Failed"
    assert decision.action.message == (
        "train: no node within spec.compute.schedulingTimeout (1h): 0/3 nodes are available; "
        "tried again at 2026-11-23T06:17:00Z"
    )
    assert decision.action.effects == ()
    decision, status = settle(observe(replace(voice, status=status), jobs=(waiting(3601, **job_of),), outputs=PREPARED))
    assert decision.action.effects == (DeleteJob("alice-3fa9c2d1-train-1"),)
    assert status.stages[1].last_failure is not None
    assert status.stages[1].last_failure.failure_class == "Unschedulable"


def test_spot_nodes_are_given_up_before_the_scheduling_timeout_ends_the_stage() -> None:
    voice = a_voice(compute={"schedulingTimeout": "5m"})
    _, status = settle(observe(voice, jobs=(waiting(300),), outputs=PREPARED))
    assert (status.stages[1].state, status.stages[1].on_demand_only) == ("Pending", True)


def test_an_edit_of_compute_reaches_what_waits_and_leaves_alone_what_runs() -> None:
    policies = {"job_policies": {"train": JobPolicy(template_hash="new")}, "outputs": PREPARED}
    running = job("train", template_hash="old", started=True)
    assert not settle(observe(jobs=(running,), **policies))[0].view.leaving
    _, status = settle(observe(jobs=(job("train", template_hash="old"),), **policies))
    decision, status = settle(observe(a_voice(status), jobs=(job("train", template_hash="old"),), **policies))
    assert decision.action.effects == (DeleteJob("alice-3fa9c2d1-train-1"),)
    decision, status = settle(observe(a_voice(status), **policies))
    assert decision.action.effects == (StartJob("train", 2),)
    assert status.stages[1].failures == Failures()
    assert not settle(observe(jobs=(job("train", template_hash="new"),), **policies))[0].view.leaving


@pytest.mark.parametrize(
    ("about", "seconds"),
    [
        pytest.param({"started": True}, 5, id="the progress of a pod that runs"),
        pytest.param({}, 30, id="a Job that waits, now and then"),
        pytest.param({"next_check": 3.0}, 3, id="a Job without a pod, when that becomes suspicious"),
        pytest.param({"suspended": True, "queued": True}, None, id="no Job in a queue"),
        pytest.param(
            {"suspended": True, "queued": True, "next_check": 11.0}, 11, id="one that its queue has not taken notice of"
        ),
    ],
)
def test_polled_is(about: dict[str, Any], seconds: float | None) -> None:
    assert decide(observe(jobs=(job(**about),)), NOW).action.requeue_after == seconds


KUEUES = Problem("PreemptedByKueue", "Kueue evicted it (Preempted): somebody is more urgent")


def evicted(at: datetime, **about: Any) -> ObservedJob:
    """A Job that Kueue suspended."""
    about = {"suspended": True, "queued": True} | about
    return job("train", workload=ObservedWorkload("w", eviction=KUEUES, evicted_at=at), **about)


def trained(status: VoiceModelStatus) -> StageStatus:
    return next(stage for stage in status.stages if stage.name == "train")


def test_an_eviction_of_what_ran_counts_once_as_a_preemption_and_keeps_the_job() -> None:
    running = job("train", started=True, queued=True, workload=ObservedWorkload("w"))
    _, status = settle(observe(jobs=(running,), outputs=PREPARED))
    assert trained(status).ran
    for at in (NOW, NOW, NOW + timedelta(seconds=60)):  # seen twice, then evicted again before its pod started
        decision, status = settle(observe(a_voice(status), jobs=(evicted(at),), outputs=PREPARED))
        assert decision.action.effects == ()
        assert trained(status).failures == Failures(preemption=1)
        assert (trained(status).state, trained(status).attempt, trained(status).ran) == ("Running", 1, False)
    last = trained(status).last_failure
    assert last is not None
    assert (last.reason, last.message, last.failure_class) == (KUEUES.reason, KUEUES.message, "Preemption")
    _, status = settle(observe(a_voice(status), jobs=(running,), outputs=PREPARED))
    _, status = settle(observe(a_voice(status), jobs=(evicted(NOW + timedelta(seconds=90)),), outputs=PREPARED))
    assert trained(status).failures == Failures(preemption=2)


@pytest.mark.parametrize(
    "stopped",
    [
        pytest.param(
            {"voice": a_voice(consent={"holder": "A", "statement": "s", "expires": "2020-01-01"})},
            id="the consent ended",
        ),
        pytest.param({"complete": False, "refusal": Problem("PolicyViolated", "too much")}, id="it is forbidden"),
    ],
)
def test_a_job_that_is_deleted_before_a_status_names_it_has_used_its_name(stopped: dict[str, Any]) -> None:
    decision, status = settle(observe(jobs=(job("prepare"),), **stopped))
    assert DeleteJob("alice-3fa9c2d1-prepare-1") in decision.action.effects
    assert [(one.state, one.attempt, one.counted) for one in status.stages] == [("Pending", 1, 1)]
    decision, _ = settle(observe(a_voice(status)))
    assert decision.action.effects == (StartJob("prepare", 2),)


@pytest.mark.parametrize("was_seen_to_run", [True, False])
def test_what_became_of_an_attempt_says_nothing_of_how_it_ran(was_seen_to_run: bool) -> None:
    _, status = settle(observe(jobs=(job("train", started=was_seen_to_run),), outputs=PREPARED))
    assert trained(status).ran == was_seen_to_run
    _, status = settle(observe(a_voice(status), jobs=(job("train", state="Failed"),), outputs=PREPARED))
    assert (trained(status).state, trained(status).ran) == ("Pending", False)


def test_a_pod_that_has_not_ended_yet_is_no_second_run() -> None:
    _, status = settle(observe(jobs=(job("train", started=True),), outputs=PREPARED))
    about_to_be = evicted(NOW, suspended=False, started=True)
    _, status = settle(observe(a_voice(status), jobs=(about_to_be,), outputs=PREPARED))
    assert trained(status).failures == Failures()
    _, status = settle(observe(a_voice(status), jobs=(evicted(NOW),), outputs=PREPARED))
    _, status = settle(observe(a_voice(status), jobs=(about_to_be,), outputs=PREPARED))
    assert (trained(status).failures, trained(status).ran) == (Failures(preemption=1), False)


def test_evictions_beyond_the_budget_end_the_stage_and_its_job() -> None:
    none, gone = {"retries": {"preemption": 0}}, evicted(NOW)
    _, status = settle(observe(a_voice(**none), jobs=(job("train", started=True),), outputs=PREPARED))
    decision, status = settle(observe(a_voice(status, **none), jobs=(gone,), outputs=PREPARED))
    assert (decision.action.phase, decision.action.reason) == ("Failed", "PreemptedByKueue")
    assert "spec.retries.preemption (0) is used up" in decision.action.message
    decision, _ = settle(observe(a_voice(status, **none), jobs=(gone,), outputs=PREPARED))
    assert decision.action.effects == (DeleteJob(gone.name),)


def test_a_suspended_voice_whose_queue_cannot_be_told_says_so() -> None:
    message = decide(observe(a_voice(suspend=True), jobs=(job(queued=True),)), NOW).action.message
    assert message.endswith("but alice-3fa9c2d1-prepare-1 runs on: its queue is not told (chart value kueue.enabled)")


def test_a_budget_that_is_used_up_is_named() -> None:
    jobs = tuple(failed(75, "prepare", n) for n in (1, 2, 3))
    message = decide(observe(jobs=jobs), NOW).action.message
    assert (
        message == "prepare: some message; spec.retries.transient (2) is used up; tried again at 2026-11-23T06:17:00Z"
    )


def test_memory_that_may_not_grow_names_the_value_to_raise() -> None:
    policy = {"train": JobPolicy(max_memory_factor=Fraction(1))}
    observed = observe(jobs=(lost("OutOfHostMemory", "train"),), outputs=PREPARED, job_policies=policy)
    assert "raise stages.train.maxMemory in the chart's values" in decide(observed, NOW).action.message


def test_a_deleted_job_is_no_failure() -> None:
    going = job(state="Deleting", deleting_since=NOW - timedelta(seconds=70), held_by=("example.com/hold of pod p",))
    decision, status = settle(
        observe(a_voice(recorded(stages=(StageStatus(name="prepare", state="Running", attempt=1),))), jobs=(going,))
    )
    assert decision.action.message == (
        "alice-3fa9c2d1-prepare-1 is being deleted since 2026-11-23T06:05:50Z; finalizers: example.com/hold of pod p"
    )
    assert (status.stages[0].state, status.stages[0].failures) == ("Pending", Failures())
    decision, _ = settle(observe(a_voice(status)))
    assert decision.action.effects == (StartJob("prepare", 2),)


def test_results_that_somebody_deleted_are_made_again() -> None:
    done = tuple(StageStatus(name=name, state="Succeeded", attempt=1) for name in ("prepare", "train", "evaluate"))
    decision = decide(observe(a_voice(recorded(stages=done))), NOW)
    assert decision.action.effects == (StartJob("prepare", 2),)


def test_a_pin_serves_the_older_revision_and_trains_nothing() -> None:
    voice = a_voice(recorded(active_revision=REVISION.name), serving={"pin": OLDER.name})
    pod = a_pod("p1", OLDER.digest)
    decision, status = settle(observe(voice, revisions=(OLDER, REVISION), server=a_server(pod), jobs=(job("train"),)))
    assert DeleteJob("alice-3fa9c2d1-train-1") in decision.action.effects
    assert (status.phase, status.active_revision, status.previous_revision) == ("Ready", OLDER.name, REVISION.name)


# Gates and sentences concern the evaluation alone.
EARLIER = "e" * 64  # the evaluation hash of gates that the voice has no more
PRESENT = evaluation_hash(a_voice().spec.evaluation)
FINISHED = tuple(StageStatus(name=name, state="Succeeded", attempt=1) for name in ("prepare", "train", "evaluate"))


def evaluated_for_other_gates(**changes: Any) -> VoiceModelStatus:
    return recorded(**({"evaluation_hash": EARLIER, "stages": FINISHED} | changes))


def test_other_gates_repeat_the_evaluation_alone_under_a_new_job_name() -> None:
    missed = replace(MISSED, evaluation_hash=EARLIER)
    decision, status = settle(observe(a_voice(evaluated_for_other_gates()), outputs={"evaluate": missed}))
    assert decision.action.effects == (StartJob("evaluate", 2),)
    assert [stage.state for stage in status.stages] == ["Succeeded", "Succeeded", "Pending"]
    assert status.evaluation_hash == PRESENT
    passed = {"evaluate": replace(PASSED, evaluation_hash=PRESENT), "publish": replace(PUBLISHED, evaluation_hash="")}
    again = decide(observe(a_voice(status), outputs=passed, jobs=(job("evaluate", 2, state="Succeeded"),)), NOW)
    assert again.action.reason == "Retrying", "what is published is the voice that other gates let pass"
    passed["publish"] = replace(PUBLISHED, evaluation_hash=PRESENT)
    published = decide(observe(a_voice(status), outputs=passed, jobs=(job("evaluate", 2, state="Succeeded"),)), NOW)
    assert published.action.effects == (CreateRevision(REVISION.name, passed["publish"], passed["evaluate"]),)


def test_other_gates_change_nothing_about_a_published_voice() -> None:
    voice = a_voice(evaluated_for_other_gates(active_revision=REVISION.name))
    decision, status = settle(observe(voice, revisions=(REVISION,), server=a_server(a_pod("p1"))))
    assert (decision.action.reason, status.active_revision) == ("Serving", REVISION.name)
    assert not any(isinstance(effect, StartJob) for effect in decision.action.effects)
    assert (status.stages, status.evaluation_hash) == (FINISHED, EARLIER)


def test_an_attempt_that_only_its_result_tells_of_keeps_its_number() -> None:
    """The operator was cut off from the Job's creation until somebody had deleted it."""
    proofs: dict[StageFolder, Proof] = {"prepare": Proof("prepare", "alice-3fa9c2d1-prepare-1", 1, DIGEST)}
    decision, status = settle(observe(outputs=PREPARED, proofs=proofs))
    assert [(one.state, one.attempt) for one in status.stages[:1]] == [("Succeeded", 1)]
    assert decision.action.effects == (StartJob("train", 1, inputs={"prepare": DIGEST}),)


def test_a_first_status_that_comes_after_the_publication_knows_what_the_evaluation_was_for() -> None:
    """The operator died after each write until then, and passes that start a voice's Jobs write no first status."""
    jobs = (job("evaluate", state="Failed"), job("evaluate", 2, state="Succeeded", evaluation_hash=EARLIER))
    _, status = settle(observe(a_voice(), jobs=jobs, revisions=(REVISION,), server=a_server(a_pod("p1"))))
    assert status.evaluation_hash == EARLIER
    _, status = settle(observe(a_voice(status), revisions=(REVISION,), server=a_server(a_pod("p1"))))
    assert status.evaluation_hash == EARLIER, "when the Job is gone as well"


def test_an_evaluation_for_other_gates_is_stopped_and_is_no_failure() -> None:
    running = (*FINISHED[:2], StageStatus(name="evaluate", state="Running", attempt=1))
    evaluation = job("evaluate", evaluation_hash=EARLIER)
    observed = observe(a_voice(evaluated_for_other_gates(stages=running)), jobs=(evaluation,))
    decision, status = settle(observed)
    assert decision.action.effects == (DeleteJob(evaluation.name),)
    decision, status = settle(observe(a_voice(status), jobs=(evaluation,)))
    assert decision.action.effects == (DeleteJob(evaluation.name),), "until it is gone: one Job at a time"
    decision, status = settle(observe(a_voice(status)))
    assert decision.action.effects == (StartJob("evaluate", 2),)
    assert status.stages[2].last_failure is None


@pytest.mark.parametrize(
    ("stages", "jobs", "started"),
    [
        pytest.param(
            (StageStatus(name="prepare", state="Failed", attempt=1, counted=1),),
            (),
            StartJob("prepare", 2),
            id="recordings refused for a sentence",
        ),
        pytest.param(
            (StageStatus(name="prepare", state="Running", attempt=1),),
            (replace(failed(65), evaluation_hash=EARLIER),),
            StartJob("prepare", 2),
            id="a refusal that is noticed when the sentence is gone",
        ),
        pytest.param(
            (FINISHED[0], StageStatus(name="train", state="Pending", attempt=1, counted=1)),
            (),
            StartJob("train", 2),
            id="a training is not begun again",
        ),
        pytest.param(FINISHED, (), StartJob("prepare", 2), id="all of it where the results were deleted"),
    ],
)
def test_other_sentences_start(stages: tuple[StageStatus, ...], jobs: tuple[ObservedJob, ...], started: Any) -> None:
    decision = decide(observe(a_voice(evaluated_for_other_gates(stages=stages)), jobs=jobs), NOW)
    assert decision.action.effects == (started,)


def test_a_request_beside_other_gates_is_not_swallowed() -> None:
    _, status = settle(observe(outputs=PREPARED, jobs=(failed(65, "train"),)))
    voice = a_voice(status, request="now", evaluation={"gates": []})
    assert decide(observe(voice, outputs=PREPARED), NOW).action.effects == (StartJob("train", 2),)


def test_a_training_that_failed_for_good_stays_failed_with_other_gates() -> None:
    _, status = settle(observe(outputs=PREPARED, jobs=(failed(65, "train"),)))
    decision = decide(observe(a_voice(status, evaluation={"gates": []}), outputs=PREPARED), NOW)
    assert decision.action.reason == "SomeReason"


def test_gates_that_a_voice_failed_before_evaluations_were_recorded_start_no_job() -> None:
    dataset = ObservedDataset(uri="s3://voices/alice", fingerprint=DIGEST, generation=3)
    decision, status = settle(
        observe(a_voice(recorded(stages=FINISHED, dataset=dataset)), outputs={"evaluate": MISSED})
    )
    assert (decision.action.reason, decision.action.effects) == ("GatesFailed", ())
    assert status.evaluation_hash == PRESENT
    decision, status = settle(observe(a_voice(status), outputs={"evaluate": MISSED}))
    assert (decision.action.reason, decision.action.effects) == ("GatesFailed", ())
    changed = observe(a_voice(status, evaluation={"gates": []}), outputs={"evaluate": MISSED})
    assert decide(changed, NOW).action.effects == (StartJob("evaluate", 2),)


# An improvement needs a reason.
INTERVALS = {"intervals": {"pesq": "0.300"}}
ACTIVE = replace(OLDER, scores={"pesq": "3.900"}, **INTERVALS)
WORSE = replace(REVISION, scores={"pesq": "3.100"}, state="Candidate", **INTERVALS)


def after_a_training(new: ObservedRevision, **spec: Any) -> Observed:
    voice = a_voice(recorded(active_revision=ACTIVE.name), **spec)
    return observe(voice, revisions=(ACTIVE, new), server=a_server(a_pod("p1", ACTIVE.digest)))


def test_one_that_was_served_before_is_no_new_one_for_who_reverts_a_commit() -> None:
    voice = a_voice(recorded(active_revision=ACTIVE.name, previous_revision=WORSE.name))
    reverted = observe(voice, revisions=(ACTIVE, WORSE), server=a_server(a_pod("p1", ACTIVE.digest)))
    decision, status = settle(reverted)
    assert (decision.action.phase, status.candidate_revision) == ("Loading", WORSE.name)
    assert status.artifacts is not None
    assert status.artifacts.revision == ACTIVE.name, "until it is loaded"


def test_a_worse_revision_is_not_promoted_and_says_by_how_much() -> None:
    decision, status = settle(after_a_training(WORSE))
    assert decision.action.effects == (), "one stays active, the other a candidate"
    assert (status.active_revision, status.candidate_revision) == (ACTIVE.name, WORSE.name)
    assert status.artifacts is not None
    assert status.artifacts.revision == ACTIVE.name
    conditions = {condition.type: condition for condition in status.conditions}
    assert (conditions["Ready"].status, conditions["Ready"].reason) == ("False", "WorseThanActive")
    assert conditions["Ready"].message == (
        "alice-3fa9c2d1 is worse than alice-00000000, which stays served: pesq is 3.100 instead of 3.900 (chance "
        "explains 0.424); to serve it anyway, set spec.serving.pin to alice-3fa9c2d1 or spec.evaluation.noRegression "
        "to false"
    )
    truths = {kind: condition.status for kind, condition in conditions.items()}
    assert (truths["Stalled"], truths["Serving"], truths["GatesPassed"]) == ("True", "True", "True")
    assert "WorseThanActive" in {event.reason for event in events_between(recorded(), status)}


@pytest.mark.parametrize(
    ("new", "spec"),
    [
        pytest.param(replace(WORSE, scores={"pesq": "3.600"}), {}, id="one that is not worse within the interval"),
        pytest.param(WORSE, {"evaluation": {"noRegression": False}}, id="any one where that is wanted"),
        pytest.param(WORSE, {"serving": {"pin": WORSE.name}}, id="a pinned one"),
        pytest.param(replace(WORSE, intervals={}), {}, id="one whose scores have no intervals"),
    ],
)
def test_a_new_revision_is_promoted(new: ObservedRevision, spec: dict[str, Any]) -> None:
    decision, status = settle(after_a_training(new, **spec))
    assert status.loading is not None
    assert (status.loading.artifacts.revision, status.candidate_revision) == (new.name, new.name)
    assert decision.action.reason == "Loading"


def test_an_evaluation_is_told_what_is_served_when_it_starts() -> None:
    def started(outputs: dict[str, StageOutput], **status: Any) -> StartJob:
        observed = observe(a_voice(recorded(**status)), revisions=(OLDER,) if status else (), outputs=outputs)
        return next(effect for effect in decide(observed, NOW).action.effects if isinstance(effect, StartJob))

    assert started(TRAINED, active_revision=OLDER.name).active == OLDER
    assert started(PREPARED, active_revision=OLDER.name).active is None, "only evaluate compares"
    assert started(TRAINED).active is None, "nothing is served"


def test_how_a_revision_compares_is_told_before_and_after_it_is_served() -> None:
    def told(observed: Observed) -> str:
        _, status = settle(observed)
        return next(one.message for one in status.conditions if one.type == "GatesPassed")

    alike = replace(WORSE, scores={"pesq": "3.600"})
    assert told(after_a_training(alike)) == "pesq 3.600; not worse than alice-00000000"
    assert told(after_a_training(WORSE)).startswith("pesq 3.100; worse than alice-00000000: pesq is 3.100 instead of")
    promoted = a_voice(recorded(active_revision=alike.name, previous_revision=ACTIVE.name))
    server = a_server(a_pod("p1"))
    assert told(observe(promoted, revisions=(ACTIVE, alike), server=server)) == (
        "pesq 3.600; not worse than alice-00000000"
    )
    assert told(observe(promoted, revisions=(alike,), server=server)) == "pesq 3.600", "the one before is deleted"
    assert told(after_a_training(replace(alike, intervals={}))) == "pesq 3.600", "nothing follows from such scores"
    assert told(after_a_training(replace(alike, language="ja"))) == "pesq 3.600", "another scale"


def test_a_promoted_revision_stays_when_regressions_are_forbidden_again() -> None:
    voice = a_voice(recorded(active_revision=WORSE.name))
    decision = decide(observe(voice, revisions=(ACTIVE, WORSE), server=a_server(a_pod("p1"))), NOW)
    assert decision.action.reason == "Serving"


def test_a_gate_that_nothing_measured_says_so() -> None:
    gate = GateVerdict(metric="cer", max="0.1", value="", passed=False)
    unmeasured = replace(DONE, passed=False, gates=(gate,))
    action = decide(observe(outputs=TRAINED | {"evaluate": unmeasured}), NOW).action
    assert action.message == "cer is not measured, at most 0.1 is needed"


def failed_gates(gates_from: str, **about: Any) -> str:
    gate = GateVerdict.model_validate({"metric": "stoi", "min": "0.85", "value": "0.8", "passed": False} | about)
    evaluated = replace(DONE, passed=False, gates=(gate,), gates_from=gates_from)
    return decide(observe(outputs=TRAINED | {"evaluate": evaluated}), NOW).action.message


def test_a_default_gate_that_failed_says_that_it_is_one_and_what_to_do() -> None:
    message = failed_gates("default")
    assert message.startswith("stoi is 0.8, at least 0.85 is needed. Neither spec.evaluation.gates nor the base names")
    assert "voice-trainer calibrate" in message
    assert failed_gates("spec") == failed_gates("base") == failed_gates("") == "stoi is 0.8, at least 0.85 is needed"


def test_a_gate_that_was_left_to_the_mean_says_so() -> None:
    message = failed_gates("spec", metric="durationRatio", max="1.2", verdict="inconclusive")
    assert message == (
        "durationRatio is 0.8 by its mean, as its interval straddles the bound, at least 0.85 and at most 1.2 is needed"
    )


def test_every_check_says_why_it_is_there() -> None:
    assert all(check.__doc__ for check in CHECKS)


def test_a_revision_that_somebody_else_made_stops_the_voice_that_would_have_its_name() -> None:
    decision = decide(observe(outputs=TRAINED, unsealed=frozenset({REVISION.name})), NOW)
    assert (decision.action.reason, decision.action.effects) == ("NotSealed", ())
    assert f"kubectl delete vrev {REVISION.name}" in decision.action.message
    elsewhere = decide(observe(outputs=TRAINED, unsealed=frozenset({"alice-99999999"})), NOW)
    assert elsewhere.action.effects == (StartJob("evaluate", 1),), "any other is passed over"


def test_a_pin_to_a_revision_that_somebody_else_made_changes_nothing_that_is_served() -> None:
    voice = a_voice(recorded(active_revision=OLDER.name), serving={"pin": "alice-99999999"})
    found = observe(voice, revisions=(OLDER,), unsealed=frozenset({"alice-99999999"}))
    decision = decide(found, NOW)
    assert decision.action.reason == "NotSealed"
    assert decision.view.target == OLDER


def test_a_revision_from_before_there_was_a_key_is_sealed_and_served_as_before() -> None:
    voice = a_voice(recorded(active_revision=REVISION.name))
    found = observe(voice, revisions=(replace(REVISION, missing_seal="seal"),), server=a_server(a_pod("one")))
    decision = decide(found, NOW)
    assert decision.action.phase == "Ready"
    assert SealRevision(REVISION.name, "seal") in decision.action.effects


def test_a_result_without_a_proof_runs_its_stage_again_with_a_warning() -> None:
    stages = (StageStatus(name="prepare", state="Succeeded", attempt=2, counted=2),)
    voice, sentence = a_voice(recorded(stages=stages)), "s3://voices/… has no receipt.json"
    decision = decide(observe(voice, unproved={"prepare": sentence}), NOW)
    assert decision.action.effects == (StartJob("prepare", 3),)
    status = status_of(decision)
    condition = next(one for one in status.conditions if one.type == "Prepared")
    assert (condition.status, condition.reason, condition.message) == ("False", "UnprovedResult", sentence)
    assert ("Warning", "UnprovedResult") in {(one.type, one.reason) for one in events_between(voice.status, status)}


def test_a_job_that_succeeded_without_a_proof_failed() -> None:
    found = observe(jobs=(job(state="Succeeded"),), unproved={"prepare": "it is not the one of its receipt"})
    (prepare, *_) = decide(found, NOW).view.stages
    assert prepare.last_failure is not None
    assert prepare.last_failure.reason == "UnprovedResult"
    assert prepare.failures.transient == 1


def test_a_job_gets_the_digests_of_the_results_that_it_may_use() -> None:
    proofs = {folder: Proof(folder, "job", 1, f"sha256:{folder}") for folder in ("prepare", "features", "train")}
    decision = decide(observe(outputs=TRAINED, proofs=proofs), NOW)
    inputs = {folder: f"sha256:{folder}" for folder in proofs}
    assert decision.action.effects == (StartJob("evaluate", 1, inputs=inputs),)


REFUSED = Problem("PolicyViolated", "spec.compute.gpus is 8, but at most 1 is allowed (chart value policy.max.gpus)")
CLOSED = Problem("ServerNotAllowed", "VoiceServer voice-system/default serves voices of these namespaces: its own")


def test_what_is_refused_is_not_trained_and_a_running_job_ends() -> None:
    decision = decide(observe(refusal=REFUSED, complete=False, jobs=(job(),)), NOW)
    assert (decision.action.phase, decision.action.reason) == ("Failed", "PolicyViolated")
    assert decision.action.message == f"{REFUSED.message}; nothing is trained"
    assert decision.action.effects == (DeleteJob("alice-3fa9c2d1-prepare-1"),)


def test_consent_is_looked_at_before_policy() -> None:
    revoked = a_voice(consent={"holder": "Alice A.", "statement": "I agree.", "revoked": True})
    assert decide(observe(revoked, refusal=REFUSED), NOW).action.reason == "ConsentRevoked"


def test_a_policy_that_comes_later_leaves_a_served_voice_ready() -> None:
    served = a_voice(recorded(active_revision=REVISION.name))
    server = a_server(a_pod("p1"))
    _, status = settle(observe(served, refusal=REFUSED, revisions=(REVISION,), server=server))
    conditions = {condition.type: condition for condition in status.conditions}
    assert (conditions["Ready"].status, conditions["Allowed"].status) == ("True", "False")
    assert conditions["Allowed"].message == REFUSED.message


def test_a_refused_retraining_keeps_what_is_served() -> None:
    served = a_voice(recorded(active_revision=OLDER.name))
    old = replace(a_server(a_pod("p1", digest=OLDER.digest)))
    observed = observe(served, refusal=REFUSED, revisions=(OLDER,), server=old, complete=False)
    decision = decide(observed, NOW)
    assert decision.action.message == f"{REFUSED.message}; nothing is trained; {OLDER.name} stays served"
    status = status_of(decision)
    assert status.artifacts is not None
    assert (status.artifacts.revision, status.server) == (OLDER.name, "voice-system/default")


def test_a_server_that_is_closed_to_a_voice_neither_serves_nor_loads_it() -> None:
    server = replace(a_server(a_pod("p1")), access=CLOSED)
    for status in (recorded(), recorded(active_revision=REVISION.name)):
        decision = decide(observe(a_voice(status), revisions=(REVISION,), server=server), NOW)
        assert (decision.action.reason, decision.action.stalled) == ("ServerNotAllowed", True)
        after = status_of(decision)
        assert (after.server, after.loading) == (None, None), "it is in no list"


def test_a_voice_that_moves_to_a_closed_server_stays_where_it_is() -> None:
    here = a_server(a_pod("p1"))
    there = replace(here, namespace="team-b", access=CLOSED)
    served = a_voice(recorded(active_revision=REVISION.name))
    decision = decide(observe(served, revisions=(REVISION,), server=there, serving_server=here), NOW)
    after = status_of(decision)
    assert (after.server, after.loading) == (here.id, None)
    assert decision.action.reason == "ServerNotAllowed"


def test_a_review_that_the_installation_requires_holds_a_new_voice_and_not_the_served_one() -> None:
    new = replace(a_voice(), must_be_reviewed=True)
    action = decide(observe(new, revisions=(REVISION,), server=a_server(a_pod("p1"))), NOW).action
    assert action.message.startswith(f"{REVISION.name} waits for approval (chart value policy.review.required): 0 of 1")
    served = replace(a_voice(recorded(active_revision=REVISION.name)), must_be_reviewed=True)
    assert decide(observe(served, revisions=(REVISION,), server=a_server(a_pod("p1"))), NOW).action.phase == "Ready"


@pytest.mark.parametrize(
    ("state", "phase"), [("Candidate", "AwaitingReview"), (None, "AwaitingReview"), ("Superseded", "AwaitingReview")]
)
def test_a_pin_is_no_way_around_a_review_also_where_it_is_a_rollback(state: Any, phase: str) -> None:
    pinned = replace(
        a_voice(recorded(active_revision=OLDER.name), serving={"pin": REVISION.name}), must_be_reviewed=True
    )
    revisions = (replace(REVISION, state=state), OLDER)
    decision = decide(observe(pinned, revisions=revisions, server=a_server(a_pod("p1"))), NOW)
    assert decision.action.phase == phase
    assert decision.view.target is not None
    assert decision.view.target.name == (REVISION.name if phase == "Ready" else OLDER.name)


@pytest.mark.parametrize("changes", [{}, {"revoked": True}, {"expires": "2020-01-01"}])
def test_a_holders_name_is_one_printable_line_in_conditions_and_events(changes: dict[str, Any]) -> None:
    holder = "Alice\n2026-11-29 ERROR forged\x1b[2J\r\u2028\u202e"
    voice = a_voice(consent={"holder": holder, "statement": "I agree."} | changes)
    _, status = settle(observe(voice))
    messages = [condition.message for condition in status.conditions]
    messages += [event.message for event in events_between(VoiceModelStatus(), status)]
    assert all(message.isprintable() for message in messages)
    assert any("Alice\\n2026-11-29 ERROR forged\\x1b[2J\\r\\u2028\\u202e" in message for message in messages)


# Gates that were raised after a revision was published decide what comes to be served, never what is.
RAISED = {"evaluation": {"gates": [{"metric": "pesq", "min": "3.95"}], "noRegression": False}}
GOOD = replace(REVISION, scores={"pesq": "3.900"}, state="Candidate")


def gates_of(status: VoiceModelStatus) -> tuple[str, str]:
    found = next(one for one in status.conditions if one.type == "GatesPassed")
    return found.status, found.reason


def ready_of(status: VoiceModelStatus) -> tuple[str, str]:
    found = next(one for one in status.conditions if one.type == "Ready")
    return found.status, found.reason


def test_what_is_served_stays_served_below_raised_gates_and_says_so_once() -> None:
    before = recorded(active_revision=REVISION.name)
    served, server = replace(REVISION, scores={"pesq": "3.900"}, state="Active"), a_server(a_pod("p1", REVISION.digest))
    _, passed = settle(observe(a_voice(before), revisions=(served,), server=server))
    decision, status = settle(observe(a_voice(passed, **RAISED), revisions=(served,), server=server))
    assert (ready_of(status), gates_of(status)) == (("True", "Serving"), ("False", "BelowGates"))
    assert (status.active_revision, decision.action.effects) == (REVISION.name, ()), "and no Job"
    (told,) = (event for event in events_between(passed, status) if event.reason == "BelowGates")
    assert told.message == (
        "alice-3fa9c2d1 was published for other gates and does not reach the present ones: pesq is 3.900, at least "
        "3.95 is needed; pesq 3.900"
    )
    _, again = settle(observe(a_voice(status, **RAISED), revisions=(served,), server=server))
    assert again == status
    assert events_between(status, again) == ()
    _, lowered = settle(observe(a_voice(status), revisions=(served,), server=server))
    assert gates_of(lowered) == ("True", "Passed")


def test_what_was_served_last_returns_below_raised_gates() -> None:
    """As after a consent that was renewed."""
    status = recorded(previous_revision=REVISION.name)
    served = replace(REVISION, scores={"pesq": "3.900"})
    _, found = settle(observe(a_voice(status, **RAISED), revisions=(served,), server=a_server(a_pod("p1"))))
    assert (found.artifacts is not None, gates_of(found)) == (True, ("False", "BelowGates"))


def test_what_is_not_served_yet_is_held_below_raised_gates_and_names_the_remedies() -> None:
    decision, status = settle(after_a_training(GOOD, **RAISED))
    assert (ready_of(status), gates_of(status)) == (("False", "GatesFailed"), ("False", "BelowGates"))
    assert (status.active_revision, status.loading, decision.action.effects) == (ACTIVE.name, None, ())
    assert decision.action.message == (
        "alice-3fa9c2d1 does not reach the present gates: pesq is 3.900, at least 3.95 is needed; alice-00000000 stays "
        "served; to serve it anyway, lower them or set spec.serving.pin to alice-3fa9c2d1; to train anew, set another "
        "spec.training.seed"
    )
    _, first = settle(observe(a_voice(**RAISED), revisions=(GOOD,), server=a_server(a_pod("p1"))))
    assert (ready_of(first), first.artifacts) == (("False", "GatesFailed"), None), "nor where nothing is served"


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param({"evaluation": {"noRegression": False}}, id="gates that it reaches"),
        pytest.param(RAISED | {"serving": {"pin": GOOD.name}}, id="a pin"),
    ],
)
def test_it_is_promoted_by(spec: dict[str, Any]) -> None:
    _, status = settle(after_a_training(GOOD, **spec))
    assert status.loading is not None
    assert status.loading.artifacts.revision == GOOD.name


def test_a_minimum_of_the_installation_that_was_raised_holds_what_is_not_served_yet() -> None:
    observed = after_a_training(GOOD, evaluation={"gates": [], "noRegression": False})
    raised = replace(observed.voice, minimum_gates=(Gate(metric="pesq", min="3.95"),))
    _, status = settle(replace(observed, voice=raised))
    assert (ready_of(status), status.active_revision) == (("False", "GatesFailed"), ACTIVE.name)
